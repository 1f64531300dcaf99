// The pictures on the screen of a chat: from where they are to where they should be. Does nothing itself: it says what to write.
// Always true: a picture that is not wanted any more is taken away before the rows are written, a new one is drawn after them.
import {
  type Cells,
  type ImageProtocol,
  iterm2Image,
  kittyDelete,
  kittyPlace,
  kittyTransmit,
  type TerminalImage,
} from "./terminal-image.ts";

/** A picture that stands in the screen's rows from this one on. */
export interface Placed extends Cells {
  readonly row: number;
  readonly image: TerminalImage;
}

export interface LayerChange {
  /** Before the rows. */
  readonly first: string;
  /** Rows to be written whether they have changed or not: a picture stood in them. */
  readonly rewrite: ReadonlySet<number>;
  /** What to write where, after the rows. */
  readonly last: readonly { readonly row: number; readonly text: string }[];
}

export class ImageLayer {
  readonly #protocol: ImageProtocol;
  #placed: readonly Placed[] = [];
  /** Ids of pictures that the terminal has (kitty). */
  readonly #known = new Set<number>();

  constructor(protocol: ImageProtocol) {
    this.#protocol = protocol;
  }

  /** @param isNew the screen is drawn anew, pictures too. */
  turn(next: readonly Placed[], isNew: boolean): LayerChange {
    const stays = (one: Placed, all: readonly Placed[]): boolean => all.some((other) => isSame(one, other));
    const gone = this.#placed.filter((placed) => isNew || !stays(placed, next));
    const come = next.filter((placed) => isNew || !stays(placed, this.#placed));
    this.#placed = next;
    const rows = gone.flatMap(({ row, rows: count }) => Array.from({ length: count }, (_, i) => row + i));
    return {
      first: this.#protocol === "kitty" ? gone.map(({ image }) => kittyDelete(image.id, false)).join("") : "",
      rewrite: new Set(this.#protocol === "iterm2" ? rows : []),
      last: come.map((placed) => ({ row: placed.row, text: this.#draw(placed) })),
    };
  }

  #draw({ image, rows, columns }: Placed): string {
    if (this.#protocol === "iterm2") return iterm2Image(image, { rows, columns });
    const isKnown = this.#known.has(image.id);
    this.#known.add(image.id);
    return (isKnown ? "" : kittyTransmit(image)) + kittyPlace(image, { rows, columns });
  }

  /** The terminal keeps none of them. */
  end(): string {
    return [...this.#known].map((id) => kittyDelete(id, true)).join("");
  }
}

function isSame(a: Placed, b: Placed): boolean {
  return a.image.id === b.image.id && a.row === b.row && a.rows === b.rows && a.columns === b.columns;
}
