// Opening and closing a store in Redis: connection, shards, then the parts, and back again.
import type { Backend, RedisConfig } from "../backend.ts";
import { StoreOpenError } from "../mailbox.ts";
import { RedisChores } from "./chores.ts";
import { Connection } from "./connection.ts";
import { RedisDirectory } from "./directory/directory.ts";
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
  const directory = await openDirectory(parts);
  const chores = new RedisChores(parts, commandMs);
  let closing: Promise<void> | undefined;
  return {
    mailbox: missing("mailbox"),
    directory,
    leases: missing("leases"),
    chores,
    close: () => (closing ??= close(parts, directory, chores)),
  };
}

/** @throws StoreOpenError */
async function openDirectory(parts: RedisParts): Promise<RedisDirectory> {
  try {
    return await RedisDirectory.open(parts);
  } catch (error) {
    parts.connection.close();
    const why = error instanceof Error ? error.message : "no answer";
    throw new StoreOpenError("unreachable", `the directory cannot be opened: ${why}`);
  }
}

async function close(
  { connection }: RedisParts,
  directory: RedisDirectory,
  chores: RedisChores,
): Promise<void> {
  await chores.close();
  await directory.close();
  connection.close();
}

/** A part that does not exist yet: every use of it throws. */
function missing<Part extends object>(name: string): Part {
  return new Proxy({} as Part, {
    get() {
      throw new Error(`the redis backend has no ${name} yet`);
    },
  });
}
