// The names of everything that the store keeps in Redis: short and binary, since a million mailboxes have two each.
// Always true: all that is of one account lies in one shard, whose two hexadecimal digits are the hash tag.
import { type AccountId, accountOf, type DeviceAddress, type UserName } from "@lethe/protocol";
import type { NodeId, PayloadId } from "../mailbox.ts";
import type { MediaId } from "../media.ts";

/** Two hexadecimal digits name no more. */
export const MAX_SHARDS = 256;

/** FNV-1a (32 bits) over an account id (clause S-SHARD), a name, a node id or a blob's id, modulo `shards`. */
export function shardOf(whose: AccountId | UserName | NodeId | MediaId, shards: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < whose.length; i++) hash = Math.imul(hash ^ whose.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}

const TAGS = Array.from({ length: MAX_SHARDS }, (_, shard) => `l{${shard.toString(16).padStart(2, "0")}}`);

/** `l{HH}`, then one letter for what it is, then whose: bytes as they are. */
export function keyOf(shard: number, letter: string, whose = ""): Buffer {
  return Buffer.from(`${TAGS[shard]}${letter}${whose}`, "latin1");
}

/** What there is once in a store: in shard 0. */
export function storeKey(letter: string, whose = ""): Buffer {
  return keyOf(0, letter, whose);
}

/**
 * The letters in use; one is one kind of key, and the directory has others. `m` mailbox (stream), `o` owner record, `P` what
 * envelopes of a shard have in common, `c` counters of a shard, `w` wakes of a node (stream); of media `M`, `D`, `B`, `U` and `V`
 * (see media/keys.ts); once in a store: `n` nodes' leases (hash), `s` what it says of itself, `R` replicas and when they were
 * last seen (hash), `L` a linking mailbox (hash), `T` when each ends (sorted set).
 */
export class Keys {
  readonly shards: number;
  readonly leases = storeKey("n");
  readonly store = storeKey("s");
  readonly replicas = storeKey("R");

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

  payload(shard: number, payload: PayloadId): Buffer {
    return keyOf(shard, "P", payload);
  }

  counters(shard: number): Buffer {
    return keyOf(shard, "c");
  }

  allCounters(): Buffer[] {
    return Array.from({ length: this.shards }, (_, shard) => this.counters(shard));
  }

  /** Nodes' wakes are spread over the shards as accounts are. */
  wakes(node: NodeId): Buffer {
    return keyOf(shardOf(node, this.shards), "w", node);
  }

  /** A key of one account's. */
  account(account: AccountId, letter: string): Buffer {
    return keyOf(shardOf(account, this.shards), letter, account);
  }
}
