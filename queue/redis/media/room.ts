// Room in accounts' quotas, and the blobs that it is for, in two shards that no script reaches together. Always true: a
// reservation counts from before its blob is begun until after the blob has ended; a blob names the reservation that it
// counts by, so that none is kept or freed for another blob of the same id. One whose relay ended in between is in doubt, and
// is settled by whether its blob is there, at a time when it cannot be begun any more.
import { randomBytes } from "node:crypto";
import { type AccountId, ID_BYTES } from "@lethe/protocol";
import { type MediaId, type MediaQuota, type MediaUpload } from "../../media.ts";
import { buffersOf, bytesOf, byPlace, unexpected, wordOf } from "../directory/store.ts";
import { nowArg, type RedisParts } from "../parts.ts";
import type { MediaKeys } from "./keys.ts";

const RESERVATION_BYTES = 8;
/** How long a reservation has been in doubt when it is settled, ms. */
const DOUBT_MS = 600_000;
/** How old it may be when its blob is begun, ms: far younger, whatever the clocks of two servers say. */
export const RESERVED_MS = 60_000;
/** Doubts that one look finds in a shard. */
const MAX_DOUBTS = 100;

export interface Reservation {
  readonly account: AccountId;
  readonly media: MediaId;
  readonly reservation: Buffer;
}

export type Reserved =
  | { readonly is: "reserved"; readonly room: Reservation; readonly at: number }
  | { readonly is: "full" | "taken" };

export class Room {
  readonly #parts: RedisParts;
  readonly #keys: MediaKeys;

  constructor(parts: RedisParts, keys: MediaKeys) {
    this.#parts = parts;
    this.#keys = keys;
  }

  /** The same again reserves nothing more. */
  async reserve({ media, account, bytes }: MediaUpload, quota: MediaQuota): Promise<Reserved> {
    const ids = [bytesOf(media), bytesOf(account), randomBytes(RESERVATION_BYTES)];
    const args = [nowArg(this.#parts), ...ids, bytes, quota.bytes, quota.blobs];
    const answer = await this.#parts.scripts.run("reserve-media", this.#keysOf(account), args);
    if (Array.isArray(answer) && Buffer.isBuffer(answer[0]))
      return { is: "reserved", room: { account, media, reservation: answer[0] }, at: Number(answer[1]) };
    const is = wordOf(answer);
    if (is !== "full" && is !== "taken") throw unexpected("reserve-media");
    return { is };
  }

  /** Whether the reservation is there still. */
  async settle({ account, media, reservation }: Reservation, how: "keep" | "free"): Promise<boolean> {
    const args = [bytesOf(media), bytesOf(account), reservation, how];
    return (await this.#parts.scripts.run("settle-media", this.#keysOf(account), args)) === 1;
  }

  /** Settles what has been in doubt for long. */
  async settleDoubts(): Promise<void> {
    const { scripts, connection } = this.#parts;
    const places = byPlace({ connection, keys: this.#keys }, (shard) => [this.#keys.doubts(shard)]);
    const args = [nowArg(this.#parts), DOUBT_MS, MAX_DOUBTS];
    const found = await Promise.all(places.map((some) => scripts.look("doubts", some, args)));
    const doubts = found.flatMap((some) => buffersOf(some, "doubts")).map(reservationOf);
    await Promise.all(doubts.map((doubt) => this.#resolve(doubt)));
  }

  async #resolve(doubt: Reservation): Promise<void> {
    const key = this.#keys.blob(doubt.media);
    const countsBy = await this.#parts.connection.call(key, "HGET", [key, "r"]);
    const isBegun = Buffer.isBuffer(countsBy) && countsBy.equals(doubt.reservation);
    await this.settle(doubt, isBegun ? "keep" : "free");
  }

  /** Blobs that count for the account. */
  async blobsOf(account: AccountId): Promise<readonly MediaId[]> {
    const key = this.#keys.quota(account);
    const fields = buffersOf(await this.#parts.connection.call(key, "HKEYS", [key]), "HKEYS");
    return fields.filter(({ length }) => length === ID_BYTES).map((media) => wordOf(media) as MediaId);
  }

  async forgetAccount(account: AccountId): Promise<void> {
    const keys = [...this.#keysOf(account), this.#keys.counters(this.#keys.shardOf(account))];
    await this.#parts.scripts.run("leave-quota", keys, [nowArg(this.#parts), bytesOf(account)]);
  }

  #keysOf(account: AccountId): Buffer[] {
    return [this.#keys.quota(account), this.#keys.doubts(this.#keys.shardOf(account))];
  }
}

function reservationOf(doubt: Buffer): Reservation {
  return {
    account: wordOf(doubt.subarray(0, ID_BYTES)) as AccountId,
    media: wordOf(doubt.subarray(ID_BYTES, 2 * ID_BYTES)) as MediaId,
    reservation: doubt.subarray(2 * ID_BYTES),
  };
}
