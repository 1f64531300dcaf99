// Chance from one number, so that a run can be had again: xoshiro128** (Blackman and Vigna), seeded by splitmix32.

export class Chance {
  readonly seed: number;
  readonly #s: Uint32Array;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    let x = this.seed;
    this.#s = Uint32Array.from({ length: 4 }, () => {
      x = (x + 0x9e3779b9) >>> 0;
      let z = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      return z ^ (z >>> 16);
    });
  }

  /** A seed of the moment, or the one that the environment names; printed, so that a failure can be had again. */
  static forThisRun(what: string): Chance {
    const given = process.env["LETHE_SEED"];
    const chance = new Chance(given === undefined ? Date.now() & 0x7fffffff : Number(given));
    process.stdout.write(`${what}: seed ${chance.seed} (LETHE_SEED=${chance.seed} runs it again)\n`);
    return chance;
  }

  u32(): number {
    const s = this.#s as unknown as [number, number, number, number];
    const rotated = Math.imul(s[1], 5);
    const result = Math.imul((rotated << 7) | (rotated >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    return this.u32() % below;
  }

  /** A whole number from `min` to `max`. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1);
  }

  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) out[i] = this.u32() & 0xff;
    return out;
  }

  /** `length` bytes as a string with one character a byte: an id. */
  id<T extends string>(length = 16): T {
    return Buffer.from(this.bytes(length)).toString("latin1") as T;
  }
}
