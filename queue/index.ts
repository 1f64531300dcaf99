// What a relay keeps, and who keeps it: the interfaces, and the one way to open a backend.
import type { Backend, EmbeddedConfig, RedisConfig } from "./backend.ts";
import { openEmbedded } from "./embedded/open.ts";
import { openRedis } from "./redis/open.ts";

export * from "./backend.ts";
export * from "./directory.ts";
export * from "./mailbox.ts";
export { type MemoryConfig, openMemoryBackend } from "./memory/index.ts";

/** Every configuration names its backend. */
export type BackendConfig = EmbeddedConfig | RedisConfig;

/** @throws StoreOpenError */
export function openBackend(config: BackendConfig): Promise<Backend> {
  return config.kind === "embedded" ? openEmbedded(config) : openRedis(config);
}

export { realTimers, type Timers } from "./timers.ts";
