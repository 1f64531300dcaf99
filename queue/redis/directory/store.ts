// What the parts of the directory share: keys, scripts, the clock. Every call is one atomic script; nothing is remembered.
import { createHash } from "node:crypto";
import type { AccountId } from "@lethe/protocol";
import type { RedisParts } from "../parts.ts";
import type { DirectoryKeys } from "./keys.ts";

export interface DirectoryStore extends Pick<RedisParts, "connection" | "scripts"> {
  readonly keys: DirectoryKeys;
  /** What a script takes for the time. */
  readonly now: () => string;
}

/** Keys that one script can be given together: on one server all shards', in a cluster one shard's. */
export function byPlace(
  { connection, keys }: Pick<RedisParts, "connection"> & { readonly keys: Pick<DirectoryKeys, "shards"> },
  keysOf: (shard: number) => readonly [Buffer, ...Buffer[]],
): Buffer[][] {
  const places = new Map<number, Buffer[]>();
  for (let shard = 0; shard < keys.shards; shard++) {
    const some = keysOf(shard);
    const place = connection.placeOf(some[0]);
    const known = places.get(place);
    if (known === undefined) places.set(place, [...some]);
    else known.push(...some);
  }
  return [...places.values()];
}

/** The bytes of an id. */
export function bytesOf(id: string): Buffer {
  return Buffer.from(id, "latin1");
}

/** Knows a deleted account again without telling it: 16 random bytes cannot be guessed from their hash. */
export function markOf(account: AccountId): Buffer {
  return createHash("sha256").update(account, "latin1").digest().subarray(0, 16);
}

/** An answer that a script cannot give: a fault of ours. */
export function unexpected(script: string): Error {
  return new Error(`the script ${script} answered what it never answers`);
}

/** An answer in words. */
export function wordOf(answer: unknown): string {
  return Buffer.isBuffer(answer) ? answer.toString("latin1") : "";
}

export function buffersOf(answer: unknown, script: string): Buffer[] {
  if (!Array.isArray(answer) || !answer.every((part) => Buffer.isBuffer(part))) throw unexpected(script);
  return answer;
}
