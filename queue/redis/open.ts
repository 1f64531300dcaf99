// Opening and closing a store in Redis: connection, shards, then the parts, and back again.
import type { Backend, RedisConfig } from "../backend.ts";
import { StoreOpenError } from "../mailbox.ts";
import { Connection } from "./connection.ts";
import { doubtsOf } from "./doubts.ts";
import { Keys, MAX_SHARDS } from "./keys.ts";
import type { RedisParts } from "./parts.ts";
import { Scripts } from "./scripts.ts";

const DEFAULT_SHARDS = 256;
const DEFAULT_COMMAND_MS = 5_000;

/** @throws StoreOpenError */
export async function openRedis(config: RedisConfig): Promise<Backend> {
  const { url, replicas, report, shards = DEFAULT_SHARDS, commandMs = DEFAULT_COMMAND_MS } = config;
  if (!Number.isInteger(shards) || shards < 1 || shards > MAX_SHARDS)
    throw new StoreOpenError("shards-differ", `a store has 1 to ${MAX_SHARDS} shards`);
  const connection = await Connection.open({ url, replicas, commandMs, report });
  const parts: RedisParts = { config, connection, keys: new Keys(shards), scripts: new Scripts(connection) };
  let closing: Promise<void> | undefined;
  return {
    mailbox: missing("mailbox"),
    directory: missing("directory"),
    leases: missing("leases"),
    chores: missing("chores"),
    doubts: () => doubtsOf(connection),
    close: () => (closing ??= close(parts)),
  };
}

function close({ connection }: RedisParts): Promise<void> {
  connection.close();
  return Promise.resolve();
}

/** A part that does not exist yet: every use of it throws. */
function missing<Part extends object>(name: string): Part {
  return new Proxy({} as Part, {
    get() {
      throw new Error(`the redis backend has no ${name} yet`);
    },
  });
}
