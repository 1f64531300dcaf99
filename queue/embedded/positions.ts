// The store's one counter of positions. Always true: a position is handed out only below a mark that is already kept in
// the directory, and a start begins above the mark, so that none is ever handed out twice.
import type { Position } from "@lethe/protocol";

export interface PositionsParts {
  /** All positions up to this one may have been used. */
  readonly mark: number;
  readonly block: number;
  /** Resolves once the mark is durable. */
  readonly raise: (mark: number) => Promise<unknown>;
}

export class Positions {
  readonly #parts: PositionsParts;
  #last: number;
  #mark: number;
  #raising: Promise<void> | undefined = undefined;

  private constructor(parts: PositionsParts) {
    this.#parts = parts;
    this.#last = parts.mark;
    this.#mark = parts.mark;
  }

  static async open(parts: PositionsParts): Promise<Positions> {
    const positions = new Positions(parts);
    await positions.raise(parts.block);
    return positions;
  }

  /** Whether `count` can be taken now. Where few are left, more are asked for ahead of their use. */
  has(count: number): boolean {
    const left = this.#mark - this.#last;
    if (left < this.#parts.block / 2) this.raise(count).catch(() => undefined);
    return left >= count;
  }

  /** Resolves once more positions can be taken. @throws what the directory throws */
  raise(count: number): Promise<void> {
    this.#raising ??= this.#raise(Math.max(this.#parts.block, count)).finally(() => {
      this.#raising = undefined;
    });
    return this.#raising;
  }

  take(): Position {
    if (this.#last >= this.#mark) throw new RangeError("no position is left below the mark");
    return ++this.#last as Position;
  }

  async #raise(count: number): Promise<void> {
    const mark = this.#mark + count;
    await this.#parts.raise(mark);
    this.#mark = mark;
  }
}
