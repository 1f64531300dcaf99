// Token buckets by whom they are for. Always true: so many are remembered at most, the longest unused are forgotten first;
// a bucket that is full is worth nothing, so forgetting gives little away.
import { remember } from "./remember.ts";
import { TokenBucket } from "./token-bucket.ts";

const MAX_REMEMBERED = 10_000;

export class Rates {
  readonly #rate: number;
  readonly #burst: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, TokenBucket>();

  /** @param rate tokens a second. @param burst tokens at once. @param now a monotonic clock, ms. */
  constructor(rate: number, burst: number, now: () => number) {
    this.#rate = rate;
    this.#burst = burst;
    this.#now = now;
  }

  /** 0, or ms to wait. */
  take(whose: string): number {
    const now = this.#now();
    const bucket = this.#buckets.get(whose) ?? new TokenBucket(this.#rate, this.#burst, now);
    remember(this.#buckets, whose, bucket, MAX_REMEMBERED);
    return bucket.take(1, now);
  }
}
