// Runs of 8 bytes of many buffers, to be found again in others, wherever they stand. Always true: it is exact; megabytes take it
// a second.

/** Bytes of a run: fewer may be the same by chance. */
export const RUN_BYTES = 8;
/** Bits that say quickly of most runs that they are not there; one in 32 is set for eight million runs. */
const BITS = 2 ** 28;

export class Runs {
  readonly #sorted: BigUint64Array;
  readonly #bits = new Uint8Array(BITS / 8);

  /** @param step from each run to the next: with RUN_BYTES every stretch of twice as many bytes has a run of its own. */
  constructor(buffers: readonly Buffer[], step = 1) {
    const counts = buffers.map(({ length }) => Math.max(0, Math.floor((length - RUN_BYTES) / step) + 1));
    this.#sorted = new BigUint64Array(counts.reduce((sum, count) => sum + count, 0));
    let at = 0;
    for (const [i, buffer] of buffers.entries())
      for (let run = 0; run < (counts[i] ?? 0); run++) {
        this.#sorted[at++] = buffer.readBigUInt64LE(run * step);
        const bit = bitOf(buffer, run * step);
        this.#bits[bit >>> 3] = (this.#bits[bit >>> 3] ?? 0) | (1 << (bit & 7));
      }
    this.#sorted.sort();
  }

  get size(): number {
    return this.#sorted.length;
  }

  /** Where the first of them stands in it; undefined: nowhere. */
  in(buffer: Buffer): number | undefined {
    for (let at = 0; at + RUN_BYTES <= buffer.length; at++) {
      const bit = bitOf(buffer, at);
      const mayBe = ((this.#bits[bit >>> 3] ?? 0) & (1 << (bit & 7))) !== 0;
      if (mayBe && this.#has(buffer.readBigUInt64LE(at))) return at;
    }
    return undefined;
  }

  #has(run: bigint): boolean {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle] ?? 0n) < run) low = middle + 1;
      else high = middle;
    }
    return this.#sorted[low] === run;
  }
}

function bitOf(buffer: Buffer, at: number): number {
  const mixed =
    Math.imul(buffer.readInt32LE(at), 0x9e3779b1) ^ Math.imul(buffer.readInt32LE(at + 4), 0x85ebca77);
  return (mixed ^ (mixed >>> 15)) & (BITS - 1);
}
