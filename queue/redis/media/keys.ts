// The names of what the media ledger keeps in Redis. Always true: all that is of one blob lies in the shard of its id, and
// what counts for an account's quota in the shard of the account.
import type { AccountId } from "@lethe/protocol";
import type { MediaId } from "../../media.ts";
import { type Keys, keyOf, shardOf } from "../keys.ts";

export class MediaKeys {
  readonly shards: number;
  readonly #keys: Keys;

  constructor(keys: Keys) {
    this.shards = keys.shards;
    this.#keys = keys;
  }

  /** Hash: a blob; see lua/parts/media.lua. */
  blob(media: MediaId): Buffer {
    return keyOf(this.shardOf(media), "M", media);
  }

  /** Sorted set: blobs of a shard by when they end, 0 once they have. */
  ends(shard: number): Buffer {
    return keyOf(shard, "D");
  }

  /** String: bytes of a shard's blobs. */
  bytes(shard: number): Buffer {
    return keyOf(shard, "B");
  }

  /** Whoever forgets says so in them, so that files are rewritten. */
  counters(shard: number): Buffer {
    return this.#keys.counters(shard);
  }

  /** Hash: what counts for an account, by blob: bytes (6), 1 once it is settled (1), reservation (8); and `b`, the sum of bytes. */
  quota(account: AccountId): Buffer {
    return this.#keys.account(account, "U");
  }

  /** Sorted set: account, blob and reservation, by the time since which it is not known whether the blob was begun. */
  doubts(shard: number): Buffer {
    return keyOf(shard, "V");
  }

  shardOf(id: MediaId | AccountId): number {
    return shardOf(id, this.shards);
  }
}
