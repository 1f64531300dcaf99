// Opening and closing a store in Redis: connection, what the store says of itself, then the parts, and back again.
import type { Backend, RedisConfig } from "../backend.ts";
import { StoreOpenError } from "../mailbox.ts";
import { RedisChores } from "./chores.ts";
import { Connection } from "./connection.ts";
import { RedisDirectory } from "./directory/directory.ts";
import { clockOf, doubtsOf } from "./doubts.ts";
import { Keys, MAX_SHARDS } from "./keys.ts";
import { RedisLeases } from "./leases.ts";
import { RedisLinkingMailboxes } from "./linking.ts";
import { RedisMailbox } from "./mailbox.ts";
import { RedisMediaLedger } from "./media/ledger.ts";
import type { RedisParts } from "./parts.ts";
import { Scripts } from "./scripts.ts";

const FORMAT = "lethe-redis 2";
/** Knew no payloads. */
const BEFORE = "lethe-redis 1";
const DEFAULT_SHARDS = 256;
const DEFAULT_COMMAND_MS = 5_000;

export interface RedisBackend extends Backend {
  readonly mailbox: RedisMailbox;
}

/** @throws StoreOpenError */
export async function openRedis(config: RedisConfig): Promise<RedisBackend> {
  const { url, replicas, report, shards = DEFAULT_SHARDS, commandMs = DEFAULT_COMMAND_MS } = config;
  if (!Number.isInteger(shards) || shards < 1 || shards > MAX_SHARDS)
    throw new StoreOpenError("shards-differ", `a store has 1 to ${MAX_SHARDS} shards`);
  const connection = await Connection.open({ url, replicas, commandMs, report });
  const parts: RedisParts = { config, connection, keys: new Keys(shards), scripts: new Scripts(connection) };
  let apart: Connection | undefined;
  try {
    await checkStore(parts);
    // A write that waits for replicas holds up what is sent behind it: a lease must not be lost by that.
    apart = await Connection.open({ url, replicas, commandMs, report: () => undefined });
    return openOver(parts, apart, await openDirectory(parts));
  } catch (error) {
    apart?.close();
    connection.close();
    throw error;
  }
}

function openOver(parts: RedisParts, apart: Connection, directory: RedisDirectory): RedisBackend {
  const mailbox = new RedisMailbox(parts);
  const leases = new RedisLeases({ ...parts, connection: apart, scripts: new Scripts(apart) });
  const linking = new RedisLinkingMailboxes(parts);
  const media = new RedisMediaLedger(parts);
  const chores = new RedisChores(parts, parts.config.commandMs ?? DEFAULT_COMMAND_MS);
  const close = async (): Promise<void> => {
    await chores.close();
    leases.close();
    linking.close();
    apart.close();
    await media.close();
    await directory.close();
    await mailbox.close();
    parts.connection.close();
  };
  let closing: Promise<void> | undefined;
  return {
    mailbox,
    directory,
    leases,
    linking,
    media,
    chores,
    rewriteFiles: () => mailbox.rewriteAofs(),
    doubts: () => doubtsOf(parts.connection),
    clock: () => clockOf(parts.connection),
    close: () => (closing ??= close()),
  };
}

/** @throws StoreOpenError */
async function openDirectory(parts: RedisParts): Promise<RedisDirectory> {
  try {
    return await RedisDirectory.open(parts);
  } catch (error) {
    const why = error instanceof Error ? error.message : "no answer";
    throw new StoreOpenError("unreachable", `the directory cannot be opened: ${why}`);
  }
}

/** Records format and shards in a store that is new, and holds them against one that is not. @throws StoreOpenError */
async function checkStore({ scripts, keys }: RedisParts): Promise<void> {
  const recorded = scripts.run("open-store", [keys.store], [FORMAT, keys.shards, BEFORE]);
  const reply = await recorded.catch((error: unknown) => {
    throw new StoreOpenError("unreachable", `the store cannot be opened: ${String(error)}`);
  });
  const [format, shards] = (reply as Buffer[]).map(String);
  if (format !== FORMAT)
    throw new StoreOpenError("format-unknown", "the store has a format that this version does not know");
  if (Number(shards) !== keys.shards)
    throw new StoreOpenError("shards-differ", `the store has ${shards} shards, not ${keys.shards}`);
}
