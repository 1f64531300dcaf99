// Nothing delivered is kept: looks for the marks of many ciphertexts in files, at every byte. One pass over each file,
// whatever the number of marks.
import { contentsOf } from "../../support/folder.ts";
import type { Histories, Stamped } from "../../support/crowd/history.ts";
import { MARK_BYTES } from "../../support/crowd/wire-notes.ts";

export interface Found {
  readonly mark: string;
  readonly path: string;
}

/** The first four bytes of a mark say whether it is worth comparing. */
export class Marks {
  readonly #whole = new Set<string>();
  readonly #starts = new Set<number>();
  /** One bit for each value of the first two bytes: most places are passed by with it. */
  readonly #bits = new Uint8Array(65_536);

  constructor(marks: Iterable<string>) {
    for (const mark of marks) {
      const bytes = Buffer.from(mark, "hex");
      if (bytes.length !== MARK_BYTES) continue;
      this.#whole.add(bytes.toString("latin1"));
      this.#starts.add(bytes.readUInt32BE(0));
      this.#bits[bytes.readUInt16BE(0)] = 1;
    }
  }

  get size(): number {
    return this.#whole.size;
  }

  in(bytes: Buffer): string[] {
    const found: string[] = [];
    for (let at = 0; at + MARK_BYTES <= bytes.length; at++) {
      if (this.#bits[((bytes[at] as number) << 8) | (bytes[at + 1] as number)] === 0) continue;
      if (!this.#starts.has(bytes.readUInt32BE(at))) continue;
      const here = bytes.subarray(at, at + MARK_BYTES).toString("latin1");
      if (this.#whole.has(here)) found.push(Buffer.from(here, "latin1").toString("hex"));
    }
    return found;
  }
}

export function marksOf(histories: Histories<Stamped>): Marks {
  const marks = new Set<string>();
  for (const lines of histories.values())
    for (const line of lines) if (line.is === "submitted") marks.add(line.mark);
  return new Marks(marks);
}

export async function keptIn(folder: string, marks: Marks): Promise<Found[]> {
  const files = await contentsOf(folder);
  return files.flatMap(({ path, bytes }) => marks.in(bytes).map((mark) => ({ mark, path })));
}
