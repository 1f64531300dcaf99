// How many prekeys are handed out, and to whom: token buckets for each asker and device, and for each device's one-time
// keys. Always true: asking again as the same requester costs nothing and changes nothing; what is remembered is capped,
// and whoever is forgotten is as if new.
import type { DeviceAddress } from "@lethe/protocol";
import { SAME_PREKEYS_MS } from "@lethe/queue";

/** One more request for the same device is allowed each so often, ms (Signal-Server's PRE_KEYS limit has the same shape). */
export const TOKEN_MS = 600_000;
/** One-time keys of one device that go to strangers in an hour; then they get the last-resort keys alone. */
export const STRANGERS_KEYS = 20;
const HOUR_MS = 3_600_000;
/** Askers, and devices, remembered at most. */
const MAX_REMEMBERED = 50_000;

interface Bucket {
  tokens: number;
  at: number;
}

interface Asker extends Bucket {
  /** Requests of the last 10 minutes, with what they were given: at most as many as the bucket holds. */
  given: { readonly requester: string; readonly at: number; readonly oneTime: boolean }[];
}

export interface Asking {
  /** Who is counted: an account, or a network address where no account is known. */
  readonly who: string;
  readonly target: DeviceAddress;
  readonly requester: Uint8Array;
  /** Whether the asker has shown the target's access key. */
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
  readonly #strangers = new Map<DeviceAddress, Bucket>();

  /** @param fetches requests for one device that one asker may make at once. @param now monotonic clock, ms. */
  constructor(fetches: number, now: () => number) {
    this.#fetches = fetches;
    this.#now = now;
  }

  relimit(fetches: number): void {
    this.#fetches = fetches;
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
    if (asker.tokens < 1) return { is: "wait", ms: Math.ceil((1 - asker.tokens) * TOKEN_MS) };
    asker.tokens--;
    const oneTime = isContact || this.#takeForStranger(target, now);
    asker.given.push({ requester: key, at: now, oneTime });
    return { is: "may", oneTime };
  }

  #asker(key: string, now: number): Asker {
    const known = this.#askers.get(key);
    if (known === undefined) {
      const asker = { tokens: this.#fetches, at: now, given: [] };
      remember(this.#askers, key, asker);
      return asker;
    }
    refill(known, this.#fetches, TOKEN_MS, now);
    known.given = known.given.filter((given) => now - given.at < SAME_PREKEYS_MS);
    return known;
  }

  #takeForStranger(target: DeviceAddress, now: number): boolean {
    const bucket = this.#strangers.get(target) ?? { tokens: STRANGERS_KEYS, at: now };
    refill(bucket, STRANGERS_KEYS, HOUR_MS / STRANGERS_KEYS, now);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    remember(this.#strangers, target, bucket);
    return true;
  }
}

function refill(bucket: Bucket, most: number, tokenMs: number, now: number): void {
  bucket.tokens = Math.min(most, bucket.tokens + (now - bucket.at) / tokenMs);
  bucket.at = now;
}

function remember<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= MAX_REMEMBERED) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
