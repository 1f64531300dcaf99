// The connections that BullMQ is given: of its own, since it blocks on them. Always true: one that asks fails at once
// while the store is away, and in time while it is silent; one that works waits for it for ever.
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { optionsOf } from "./connection.ts";
import type { StoreUrl } from "./url.ts";

/** BullMQ blocks for 10 s at most: a connection that is silent for longer is dead. */
const SILENT_MS = 30_000;

/** For scheduling. */
export function askingClient(url: StoreUrl, commandMs: number): Redis | Cluster {
  return clientOf(url, { commandTimeout: commandMs, socketTimeout: commandMs, enableOfflineQueue: false });
}

/** For running what is due. */
export function workingClient(url: StoreUrl): Redis | Cluster {
  return clientOf(url, { socketTimeout: SILENT_MS });
}

function clientOf(url: StoreUrl, own: RedisOptions): Redis | Cluster {
  const options: RedisOptions = {
    protocol: 2,
    maxRetriesPerRequest: null,
    ...optionsOf(url),
    ...own,
  };
  if (url.is !== "cluster") return quiet(new Redis({ ...options, replyMapping: "legacy" }));
  const { enableOfflineQueue = true } = own;
  return quiet(
    new Cluster([...url.nodes], {
      enableOfflineQueue,
      redisOptions: { ...options, replyMapping: "legacy" },
    }),
  );
}

/** That a server is away is reported by the store's own connection. */
function quiet<Client extends Redis | Cluster>(client: Client): Client {
  client.on("error", () => undefined);
  return client;
}
