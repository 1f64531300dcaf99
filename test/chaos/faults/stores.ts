// Faults of what is under the relays: a disk that is full, and Redis killed, stopped, asleep, without memory, clients or
// scripts.
import type { FillableDisk } from "../world/place.ts";
import type { RunRedis } from "../world/redis.ts";
import { anywhere, type Blow, type FaultKind, lasting, onlyRedis, type Struck } from "./fault.ts";

const diskFull: FaultKind = {
  name: "disk-full",
  group: "machine",
  says: "the store's disk has no room",
  fits: anywhere,
  async strike({ world, chance }) {
    const disk: FillableDisk | undefined = world.place.disk;
    if (disk === undefined || world.take(["disk"], (name) => name, chance) === undefined) return undefined;
    const { redis } = world.place;
    if (redis !== undefined) redis.mayEnd = true; // as it should when its append-only file cannot be written
    await disk.fill();
    return {
      says: "every byte taken",
      heal: async () => {
        await disk.clear();
        await redis?.mend();
        if (redis !== undefined) redis.mayEnd = false;
      },
    };
  },
};

/** A fault of the Redis server: one at a time. */
function ofRedis(
  name: string,
  says: string,
  strike: (redis: RunRedis, blow: Blow) => Promise<Struck>,
): FaultKind {
  return {
    name,
    group: "store",
    says,
    fits: onlyRedis,
    async strike(blow) {
      const { redis } = blow.world.place;
      if (redis === undefined || !redis.isRunning) return undefined;
      if (blow.world.take(["redis"], (taken) => taken, blow.chance) === undefined) return undefined;
      return strike(redis, blow);
    },
  };
}

const done = (): Promise<void> => Promise.resolve();

export const STORE_FAULTS: readonly FaultKind[] = [
  diskFull,
  ofRedis("redis-kill", "SIGKILL of Redis", async (redis) => {
    await redis.end("SIGKILL");
    return { says: "SIGKILL", heal: () => redis.mend() };
  }),
  ofRedis("redis-stop", "SIGTERM of Redis", async (redis) => {
    await redis.end("SIGTERM");
    return { says: "SIGTERM", heal: () => redis.mend() };
  }),
  ofRedis("redis-pause", "SIGSTOP of Redis", async (redis) => {
    redis.signal("SIGSTOP");
    return {
      says: "SIGSTOP",
      heal: () => {
        redis.signal("SIGCONT");
        return done();
      },
    };
  }),
  ofRedis("redis-sleep", "DEBUG SLEEP", async (redis, { chance }) => {
    const seconds = chance.between(1, 4);
    redis.ask(`DEBUG SLEEP ${seconds}`).catch(() => undefined);
    const over = lasting(seconds * 1_000);
    return { says: `${seconds} s`, heal: () => over };
  }),
  ofRedis("redis-clients", "CLIENT KILL of every connection", async (redis) => {
    await redis.ask("CLIENT KILL TYPE normal SKIPME yes");
    return { says: "all", heal: done };
  }),
  ofRedis("redis-scripts", "SCRIPT FLUSH", async (redis) => {
    await redis.ask("SCRIPT FLUSH");
    return { says: "all", heal: done };
  }),
  ofRedis("redis-memory", "maxmemory is reached", async (redis) => {
    await redis.ask("CONFIG SET maxmemory 1mb");
    return { says: "1 MB", heal: async () => void (await redis.ask("CONFIG SET maxmemory 0")) };
  }),
];
