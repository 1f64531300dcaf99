// What the parts of an open store in Redis share.
import type { RedisConfig } from "../backend.ts";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import type { Scripts } from "./scripts.ts";

export interface RedisParts {
  readonly config: RedisConfig;
  readonly connection: Connection;
  readonly keys: Keys;
  readonly scripts: Scripts;
}

/** The `now` argument of a script: a test's clock, or "0" for the server's own. */
export function nowArg({ config }: Pick<RedisParts, "config">): string {
  return config.now === undefined ? "0" : String(config.now());
}
