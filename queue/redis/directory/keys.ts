// The names of what the directory keeps in Redis. Always true: all that is of one account lies in the account's shard,
// a name lies in the name's own shard, and invites lie together in the shard of the store. Letters are used once in a store.
import {
  type AccountId,
  accountOf,
  type DeviceAddress,
  type DeviceNumber,
  deviceOf,
  type UserName,
} from "@lethe/protocol";
import { type Keys, keyOf, shardOf, storeKey } from "../keys.ts";

export class DirectoryKeys {
  readonly shards: number;
  readonly #keys: Keys;

  constructor(keys: Keys) {
    this.shards = keys.shards;
    this.#keys = keys;
  }

  /** Whoever deletes says so in them, so that files are rewritten. */
  counters(shard: number): Buffer {
    return this.#keys.counters(shard);
  }

  /** Hash: `n` name, `k` account key, `h` access key hash, `v` list version, `l` list, `r` attempt, `p` hides, `d..` devices. */
  account(account: AccountId): Buffer {
    return keyOf(this.shardOf(account), "a", account);
  }

  /** Hash of the same shape, read in place of an account that is not there. */
  nobody(shard: number): Buffer {
    return keyOf(shard, "a");
  }

  /** String that is there for a while after an attempt to register the account was ended. */
  ended(account: AccountId, attempt: Buffer): Buffer {
    return keyOf(this.shardOf(account), "v", attempt.toString("latin1"));
  }

  /** Set of the marks of deleted accounts. */
  deleted(account: AccountId): Buffer {
    return keyOf(this.shardOf(account), "x");
  }

  /** Sorted set: every account of the shard, by the day on which it was last used. */
  use(shard: number): Buffer {
    return keyOf(shard, "u");
  }

  /** Hash: `last` day that passed, `away` days that do not count. */
  days(shard: number): Buffer {
    return keyOf(shard, "y");
  }

  /** String: the account that has the name, and the attempt that reserved it. */
  name(name: UserName): Buffer {
    return keyOf(shardOf(name, this.shards), "k", name);
  }

  /** Sorted set: holder and name, by the time since which it is not known whether the account is there. */
  doubts(shard: number): Buffer {
    return keyOf(shard, "j");
  }

  doubtsOf(name: UserName): Buffer {
    return this.doubts(shardOf(name, this.shards));
  }

  /** Hash of prekeys' bytes, sorted set of their order, hash of what was given to whom, sorted set of when. */
  prekeys(address: DeviceAddress): [Buffer, Buffer, Buffer, Buffer] {
    const shard = this.shardOf(accountOf(address));
    return ["p", "q", "g", "t"].map((letter) => keyOf(shard, letter, address)) as [
      Buffer,
      Buffer,
      Buffer,
      Buffer,
    ];
  }

  /** Sorted set of marks by expiry, hash of uses that are left, hash of held uses. */
  invites(): [Buffer, Buffer, Buffer] {
    return [storeKey("i"), storeKey("r"), storeKey("h")];
  }

  shardOf(account: AccountId): number {
    return shardOf(account, this.shards);
  }
}

/** The field of a device in the hash of its account. */
export function deviceField(device: DeviceNumber): Buffer {
  return Buffer.from([0x64, device >> 8, device & 0xff]);
}

export function fieldOf(address: DeviceAddress): Buffer {
  return deviceField(deviceOf(address));
}
