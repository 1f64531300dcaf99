// Chance from a seed: small streams, one for each thing that is decided, so that leaving out one deed of a plan moves
// nothing that it does not touch. Always true: the same seed and name give the same stream, on every machine.

/** A 32-bit hash of numbers, for seeds (the finaliser of MurmurHash3 over each). */
export function mix(...numbers: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const number of numbers) {
    hash = Math.imul(hash ^ (number | 0), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}

/** mulberry32: 32 bits of state are enough for one schedule, and a draw costs a few nanoseconds. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.fraction() * below);
  }

  between(low: number, high: number): number {
    return low + this.fraction() * (high - low);
  }

  /** True once in `1 / probability` times. */
  happens(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) out[i] = this.below(256);
    return out;
  }
}

/** How long something takes, ms: mostly about `usual`, now and then up to `rare`. */
export interface Pace {
  readonly usual: number;
  readonly rare: number;
  /** How often the rare case comes, in [0, 1]. */
  readonly often: number;
}

export function takes(dice: Dice, pace: Pace): number {
  const usual = pace.usual * (0.5 + dice.fraction());
  return dice.happens(pace.often) ? usual + dice.fraction() * pace.rare : usual;
}
