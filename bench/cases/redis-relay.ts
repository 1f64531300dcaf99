// The case `store` over again, with a relay whose store is a Redis.
import { join } from "node:path";
import type { BenchCase, Context, Measured } from "../harness/case.ts";
import { aFolder, startRelay } from "../harness/server.ts";
import { redisVersion, startRedis, storeUrl } from "../peers/redis.ts";
import { IN_FLIGHT, measureOn, SENDERS } from "./store.ts";

export const redisRelay: BenchCase = {
  name: "redis-relay",
  title: "Stored, then drained, by a relay on Redis",
  method:
    `As the case \`store\`: ${SENDERS} senders with ${IN_FLIGHT / SENDERS} messages of 256 B under way each, to devices that are offline, which then come and take all ` +
    "of it. Redis has the shipped configuration: its append-only file is synced before every answer. Load, relay and Redis share the machine.",
  metrics: [
    { name: "rate", says: "messages stored", unit: "/s", bar: 20_000, better: "more" },
    { name: "cpu", says: "relay CPU a message stored", unit: "µs", better: "less" },
    {
      name: "beside",
      says: "Redis CPU a message stored and drained, logins and all",
      unit: "µs",
      bar: 30,
      better: "less",
    },
    { name: "drainRate", says: "messages drained, logins and all", unit: "/s", better: "more" },
    {
      name: "drainWithLogin",
      says: "relay CPU a message drained, logins and all",
      unit: "µs",
      better: "less",
    },
    { name: "loginCpu", says: "relay CPU a login", unit: "µs", better: "less" },
  ],
  open(context) {
    context.note(`Redis ${redisVersion()}`);
    return { once: () => measure(context), close: () => Promise.resolve() };
  },
};

async function measure(context: Context): Promise<Measured> {
  await using folder = await aFolder();
  await using redis = await startRedis(folder.path);
  const store = ["--store", storeUrl(redis), "--cluster-secret", "a secret that only this benchmark knows"];
  await using relay = await startRelay(join(folder.path, "relay"), context, [...store, "--link-port", "0"]);
  const { cpuMany: _, drainCpu: __, memory: ___, ...measured } = await measureOn(relay, context, redis);
  return measured;
}
