// The directory's contracts, held by the Redis backend on real servers.
import { Redis } from "ioredis";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Time } from "@lethe/protocol";
import { type Backend, openBackend } from "@lethe/queue";
import { afterAll, beforeAll } from "vitest";
import { RedisServer } from "../support/redis-server.ts";
import { choresContract } from "./chores.ts";
import { directoryContract } from "./directory.ts";
import { directoryPeopleContract } from "./directory-people.ts";
import { type BackendUnderTest, type BackendWorld, Clock, ROOMY } from "./world.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** BullMQ reads the clocks of processes, so chores are held to their contract by real time. */
class RealClock extends Clock {
  override readonly now = (): Time => Date.now() as Time;
}

const standalone = (clockOf: () => Clock): BackendUnderTest => ({
  name: "redis",
  keeps: true,
  open: async (limits = ROOMY): Promise<BackendWorld> => {
    const redis = new Redis(server.port, "127.0.0.1");
    await redis.flushall();
    const clock = clockOf();
    const start = () =>
      openBackend({
        kind: "redis",
        url: server.url,
        replicas: 0,
        limits,
        now: clock.now,
        report: () => undefined,
      });
    let backend: Backend = await start();
    return {
      get backend(): Backend {
        return backend;
      },
      clock,
      async elapse(ms) {
        clock.pass(ms);
      },
      counted: () => Promise.resolve(),
      async restart() {
        await backend.close();
        backend = await start();
      },
      async forget() {
        await redis.bgrewriteaof();
        for (;;) if (/aof_rewrite_in_progress:0/.test(await redis.info("persistence"))) return;
      },
      holds: (bytes) => holds(server.folder, bytes),
      async [Symbol.asyncDispose]() {
        await backend.close();
        redis.disconnect();
      },
    };
  },
});

async function holds(folder: string, bytes: Uint8Array): Promise<boolean> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    if ((await readFile(join(entry.parentPath, entry.name))).includes(Buffer.from(bytes))) return true;
  }
  return false;
}

directoryContract(standalone(() => new Clock()));
directoryPeopleContract(standalone(() => new Clock()));
choresContract(
  standalone(() => new RealClock()),
  "real",
);
