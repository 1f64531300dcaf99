// How much an account may submit without the recipient's access key: token buckets for each sender and recipient, and for
// each sender over all recipients. Always true: an account's submits to itself are not counted; nothing of it is written
// down or told to other nodes, so that an account has it at each node and after each start anew; what is remembered is
// capped, and whoever is forgotten is as if new.
import type { AccountId } from "@lethe/protocol";
import { remember } from "./remember.ts";
import { TokenBucket } from "./token-bucket.ts";

export interface RequestLimits {
  /** Envelopes an hour from one account to another, and at once. */
  readonly toOne: number;
  /** Envelopes a day from one account to all others, and at once. */
  readonly toAll: number;
}

const HOUR_S = 3_600;
const DAY_S = 86_400;
/** Pairs, and senders, remembered at most: about 10 MB each. The one that has sent nothing for longest gives way. */
export const MAX_REMEMBERED = 50_000;

export class RequestQuota {
  #limits: RequestLimits;
  readonly #now: () => number;
  readonly #isLimited: (remote: string) => boolean;
  readonly #pairs = new Map<string, TokenBucket>();
  readonly #senders = new Map<AccountId, TokenBucket>();

  /** @param now monotonic clock, ms. @param isLimited whether a network address has limits at all. */
  constructor(limits: RequestLimits, now: () => number, isLimited: (remote: string) => boolean) {
    this.#limits = limits;
    this.#now = now;
    this.#isLimited = isLimited;
  }

  /** Other limits, from now on; whoever is known keeps the rate until they are forgotten. */
  relimit(limits: RequestLimits): void {
    this.#limits = limits;
    for (const bucket of this.#pairs.values()) bucket.resize(limits.toOne);
    for (const bucket of this.#senders.values()) bucket.resize(limits.toAll);
  }

  get remembered(): number {
    return this.#pairs.size + this.#senders.size;
  }

  /** Counts envelopes; ms to wait where there may be none now, and then none is counted. */
  take(request: { from: AccountId; to: AccountId; count: number; remote: string }): number {
    const { from, to, count, remote } = request;
    if (from === to || !this.#isLimited(remote)) return 0;
    const now = this.#now();
    const { toOne, toAll } = this.#limits;
    const pair = used(this.#pairs, from + to, () => new TokenBucket(toOne / HOUR_S, toOne, now));
    const sender = used(this.#senders, from, () => new TokenBucket(toAll / DAY_S, toAll, now));
    // Asked before either is taken from: a refusal costs nothing.
    const wait = Math.max(pair.take(0, now), sender.take(0, now));
    if (wait > 0) return wait;
    pair.take(count, now);
    sender.take(count, now);
    return 0;
  }
}

/** The bucket of a key, made where there is none, as the one used last. */
function used<Key>(known: Map<Key, TokenBucket>, key: Key, make: () => TokenBucket): TokenBucket {
  const bucket = known.get(key) ?? make();
  remember(known, key, bucket, MAX_REMEMBERED);
  return bucket;
}
