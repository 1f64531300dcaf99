// The names of everything that the store keeps in Redis: short and binary, since a million mailboxes have two each.
// Always true: all that is of one account lies in one shard, whose two hexadecimal digits are the hash tag.
import { type AccountId, accountOf, type DeviceAddress, ID_BYTES } from "@lethe/protocol";

/** Two hexadecimal digits name no more. */
export const MAX_SHARDS = 256;

/** FNV-1a (32 bits) over the account id, modulo `shards`. */
export function shardOf(account: AccountId, shards: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < ID_BYTES; i++) hash = Math.imul(hash ^ account.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}

/** `l{HH}`, then one letter for what it is, then whose: bytes as they are. */
export function keyOf(shard: number, letter: string, whose = ""): Buffer {
  return Buffer.from(`l{${shard.toString(16).padStart(2, "0")}}${letter}${whose}`, "latin1");
}

/** What there is once in a store: in shard 0. */
export function storeKey(letter: string, whose = ""): Buffer {
  return keyOf(0, letter, whose);
}

/**
 * The letters in use. One letter is one kind of key; what the sweep looks for is `l{*}m*`.
 * `m` mailbox (stream), `o` owner record, `c` counters of a shard, `w` wakes of a node, `n` nodes' leases, `s` what the
 * store says of itself; of the directory: see directory/keys.
 */
export class Keys {
  readonly shards: number;

  constructor(shards: number) {
    this.shards = shards;
  }

  shardOf(address: DeviceAddress): number {
    return shardOf(accountOf(address), this.shards);
  }

  mailbox(address: DeviceAddress): Buffer {
    return keyOf(this.shardOf(address), "m", address);
  }

  owner(address: DeviceAddress): Buffer {
    return keyOf(this.shardOf(address), "o", address);
  }

  /** A key of one account's. */
  account(account: AccountId, letter: string): Buffer {
    return keyOf(shardOf(account, this.shards), letter, account);
  }
}
