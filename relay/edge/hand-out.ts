// How many prekeys are handed out, and to whom: token buckets for each asker and device, and for each device's one-time
// keys. Always true: asking again as the same requester costs nothing and changes nothing; what is remembered is capped,
// and whoever is forgotten is as if new.
import type { DeviceAddress } from "@lethe/protocol";
import { SAME_PREKEYS_MS } from "@lethe/queue";
import { remember } from "./remember.ts";
import { TokenBucket } from "./token-bucket.ts";

/** One more request for the same device is allowed each so often, ms (Signal-Server's PRE_KEYS limit has the same shape). */
export const TOKEN_MS = 600_000;
/** One-time keys of one device that go to strangers in an hour; then they get the last-resort keys alone. */
export const STRANGERS_KEYS = 20;
const HOUR_S = 3_600;
/** Askers, and devices, remembered at most. */
const MAX_REMEMBERED = 50_000;

interface Asker {
  readonly bucket: TokenBucket;
  /** Requests of the last 10 minutes, with what they were given: at most as many as the bucket holds. */
  given: { readonly requester: string; readonly at: number; readonly oneTime: boolean }[];
}

export interface Asking {
  /** Who is counted: an account, or a network address where no account is known. */
  readonly who: string;
  readonly target: DeviceAddress;
  readonly requester: Uint8Array;
  /** Whether the asker has shown the target's access key, or is another device of its account. */
  readonly isContact: boolean;
}

/** Wait so long, ms; or: one-time keys may be handed out, or only the others. */
export type HandOutAnswer =
  | { readonly is: "wait"; readonly ms: number }
  | { readonly is: "may"; readonly oneTime: boolean };

export class HandOut {
  #fetches: number;
  readonly #now: () => number;
  readonly #askers = new Map<string, Asker>();
  readonly #strangers = new Map<DeviceAddress, TokenBucket>();

  /** @param fetches requests for one device that one asker may make at once. @param now monotonic clock, ms. */
  constructor(fetches: number, now: () => number) {
    this.#fetches = fetches;
    this.#now = now;
  }

  relimit(fetches: number): void {
    this.#fetches = fetches;
    for (const { bucket } of this.#askers.values()) bucket.resize(fetches);
  }

  get remembered(): number {
    return this.#askers.size + this.#strangers.size;
  }

  ask({ who, target, requester, isContact }: Asking): HandOutAnswer {
    const now = this.#now();
    const asker = this.#asker(`${target}${who}`, now);
    const key = Buffer.from(requester).toString("latin1");
    const before = asker.given.find((given) => given.requester === key);
    if (before !== undefined) return { is: "may", oneTime: before.oneTime };
    const wait = asker.bucket.take(1, now);
    if (wait > 0) return { is: "wait", ms: wait };
    const oneTime = isContact || this.#takeForStranger(target, now);
    asker.given.push({ requester: key, at: now, oneTime });
    return { is: "may", oneTime };
  }

  #asker(key: string, now: number): Asker {
    const known = this.#askers.get(key);
    if (known === undefined) {
      const asker = { bucket: new TokenBucket(1_000 / TOKEN_MS, this.#fetches, now), given: [] };
      remember(this.#askers, key, asker, MAX_REMEMBERED);
      return asker;
    }
    known.given = known.given.filter((given) => now - given.at < SAME_PREKEYS_MS);
    return known;
  }

  #takeForStranger(target: DeviceAddress, now: number): boolean {
    const bucket =
      this.#strangers.get(target) ?? new TokenBucket(STRANGERS_KEYS / HOUR_S, STRANGERS_KEYS, now);
    if (bucket.take(1, now) > 0) return false;
    remember(this.#strangers, target, bucket, MAX_REMEMBERED);
    return true;
  }
}
