// A token bucket: so many a second on average, so many at once. No timer: it is filled when it is asked.

/** Sums of fractions are off by less than this. */
const ROUNDING = 1e-6;

export class TokenBucket {
  readonly #perMs: number;
  #most: number;
  #tokens: number;
  #at: number;

  /** @param rate tokens a second; infinity is no limit. @param burst tokens at once, at least 1. @param now ms. */
  constructor(rate: number, burst: number, now: number) {
    this.#perMs = rate / 1_000;
    this.#most = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Another burst, from the next filling on. */
  resize(burst: number): void {
    this.#most = burst;
  }

  // Whoever asks may have been heard before the one who asked last: a bucket that several share does not run backwards.
  /** Takes `count` tokens if there are any at all: a batch may overdraw once, and pays by waiting. Else ms until there is one. */
  take(count: number, now: number): number {
    if (this.#perMs === Number.POSITIVE_INFINITY) return 0;
    if (now > this.#at) {
      this.#tokens = Math.min(this.#most, this.#tokens + (now - this.#at) * this.#perMs);
      this.#at = now;
    }
    const missing = 1 - this.#tokens;
    if (missing > ROUNDING) return Math.max(1, Math.ceil(missing / this.#perMs - ROUNDING));
    this.#tokens -= count;
    return 0;
  }

  /** Whether it would make no difference if the bucket were made anew. */
  isFull(now: number): boolean {
    return this.#tokens + (now - this.#at) * this.#perMs >= this.#most;
  }
}
