// What the store holds, as its scripts count it, and since when removed bytes may still be in files. `stats` is answered at
// once from what was last asked for: nodes ask every few seconds, one small read a shard.
import type { Time } from "@lethe/protocol";
import type { MailboxStats } from "../mailbox.ts";
import type { RedisParts } from "./parts.ts";

const REFRESH_MS = 5_000;

/** A counter of one shard; see lua/parts/counters.lua. Only the sum over all shards means something. */
interface Counters {
  readonly mailboxes: number;
  readonly envelopes: number;
  readonly bytes: number;
  /** Since when removed bytes may be in files; 0 if there are none. */
  readonly removedAt: number;
}

const NOTHING: Counters = { mailboxes: 0, envelopes: 0, bytes: 0, removedAt: 0 };

export class Counts {
  readonly #parts: RedisParts;
  readonly #timer: NodeJS.Timeout;
  #last: Counters = NOTHING;
  #oldest: Time | undefined;
  #expired = 0;

  constructor(parts: RedisParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => void this.refresh().catch(() => undefined), REFRESH_MS).unref();
    void this.refresh().catch(() => undefined);
  }

  /** Told by the sweep. */
  set oldest(time: Time | undefined) {
    this.#oldest = time;
  }

  /** A sweep of this process removed so many. */
  swept(count: number): void {
    this.#expired += count;
  }

  stats(): MailboxStats {
    const { mailboxes, envelopes, bytes, removedAt } = this.#last;
    const now = this.#parts.config.now?.() ?? Date.now();
    return {
      mailboxes,
      envelopes,
      bytes,
      oldest: envelopes === 0 ? undefined : this.#oldest,
      expired: this.#expired,
      forgetLag: removedAt === 0 ? 0 : Math.max(0, now - removedAt),
    };
  }

  /** @throws StoreFailedError */
  async refresh(): Promise<void> {
    const { keys, connection } = this.#parts;
    const byPlace = Map.groupBy(keys.allCounters(), (key) => connection.placeOf(key));
    const replies = await Promise.all(
      [...byPlace.values()].map((some) => connection.call(some[0] as Buffer, "MGET", some)),
    );
    this.#last = (replies.flat() as (Buffer | null)[]).map(countersIn).reduce(sum, NOTHING);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

function countersIn(bytes: Buffer | null): Counters {
  if (bytes === null) return NOTHING;
  const int = (at: number): number => Number(bytes.readBigInt64BE(at));
  return {
    mailboxes: int(0),
    envelopes: int(8),
    bytes: int(16),
    removedAt: earliest(bytes.readUIntBE(24, 6), bytes.readUIntBE(30, 6)),
  };
}

function sum(a: Counters, b: Counters): Counters {
  return {
    mailboxes: a.mailboxes + b.mailboxes,
    envelopes: a.envelopes + b.envelopes,
    bytes: a.bytes + b.bytes,
    removedAt: earliest(a.removedAt, b.removedAt),
  };
}

/** Of two times, either of which may be 0: never. */
function earliest(a: number, b: number): number {
  return a === 0 || b === 0 ? a + b : Math.min(a, b);
}
