// What a relay keeps, and who keeps it: the interfaces, and the one way to open a backend.
import type { Backend, EmbeddedConfig, RedisConfig } from "./backend.ts";
import { openEmbedded } from "./embedded/open.ts";

export * from "./backend.ts";
export { type BlobsConfig, checkBlobs, openBlobs } from "./blobs/open.ts";
export { collect, collectOrphans, type Collected } from "./collection.ts";
export * from "./directory.ts";
export * from "./linking.ts";
export * from "./mailbox.ts";
export * from "./media.ts";
export { type MemoryConfig, openMemoryBackend } from "./memory/index.ts";

/** Every configuration names its backend. */
export type BackendConfig = EmbeddedConfig | RedisConfig;

/** @throws StoreOpenError */
export async function openBackend(config: BackendConfig): Promise<Backend> {
  if (config.kind === "embedded") return openEmbedded(config);
  // Loaded only where it is used: clients of Redis and BullMQ cost every start some tenths of a second.
  const { openRedis } = await import("./redis/open.ts");
  return openRedis(config);
}

export { realTimers, type Timers } from "./timers.ts";
