// Chores of several relays on one store: who runs them, what of them lies in Redis, and what happens when Redis or a relay
// is away.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Redis } from "ioredis";
import type { Time } from "@lethe/protocol";
import { DEFAULT_MAILBOX_LIMITS, StoreClosedError, StoreFailedError } from "@lethe/queue";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ChoreTuning, RedisChores } from "../../queue/redis/chores.ts";
import { Connection } from "../../queue/redis/connection.ts";
import { openRedis } from "../../queue/redis/open.ts";
import { Scripts } from "../../queue/redis/scripts.ts";
import { RedisServer } from "../support/redis-server.ts";
import { eventually, within } from "../support/waiting.ts";

const COMMAND_MS = 1_000;
const PATIENCE_MS = 20_000;
const report = (): undefined => undefined;
let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await RedisServer.start();
  redis = new Redis(server.port, "127.0.0.1");
  redis.on("error", () => undefined);
});
beforeEach(async () => {
  await redis.flushall();
});
afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

interface Relay extends AsyncDisposable {
  readonly chores: RedisChores;
}

async function aRelay(tuning: Partial<ChoreTuning> = {}): Promise<Relay> {
  const config = {
    kind: "redis",
    url: server.url,
    replicas: 0,
    limits: DEFAULT_MAILBOX_LIMITS,
    report,
  } as const;
  const connection = await Connection.open({ ...config, commandMs: COMMAND_MS });
  const chores = new RedisChores(
    { config, connection, scripts: new Scripts(connection) },
    COMMAND_MS,
    tuning,
  );
  const close = async (): Promise<void> => {
    await chores.close();
    connection.close();
  };
  return { chores, [Symbol.asyncDispose]: close };
}

const soon = (key: string, payload = key, inMs = 0) => ({
  name: "work",
  key,
  at: (Date.now() + inMs) as Time,
  payload,
});

/** Resolves once it was said so often. */
class Count {
  readonly seen: string[] = [];
  readonly #all: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #wanted: number;

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  say(what: string): void {
    this.seen.push(what);
    if (this.seen.length === this.#wanted) this.#all.resolve();
  }

  get all(): Promise<void> {
    return within(PATIENCE_MS, () => `${this.#wanted} runs (${this.seen.length} were)`, this.#all.promise);
  }
}

describe("chores of two relays", () => {
  it("C3: each runs once, at one of them, and both work", async () => {
    await using one = await aRelay();
    await using other = await aRelay();
    const ran = new Count(101);
    const at = { one: 0, other: 0 };
    for (const [name, { chores }] of Object.entries({ one, other })) {
      chores.handle("work", async (payload) => {
        at[name as keyof typeof at]++;
        ran.say(payload);
      });
      chores.start();
    }
    const keys = Array.from({ length: 100 }, (_, i) => `key-${i}`);
    await Promise.all(keys.map((key, i) => (i % 2 === 0 ? one : other).chores.schedule(soon(key))));
    await one.chores.schedule(soon("last", "last", 500));
    await ran.all;
    expect(ran.seen.toSorted()).toEqual([...keys, "last"].toSorted());
    expect(Math.min(at.one, at.other)).toBeGreaterThan(0);
  });

  it("C3: of one that is scheduled by both at the same time, the last to be on record runs, and no other", async () => {
    await using one = await aRelay();
    await using other = await aRelay();
    const runs: string[] = [];
    const last = Promise.withResolvers<void>();
    let running = 0;
    let most = 0;
    for (const { chores } of [one, other]) {
      chores.handle("work", async (payload) => {
        most = Math.max(most, ++running);
        runs.push(payload);
        await new Promise(setImmediate);
        running--;
        if (payload === "last") last.resolve();
      });
    }
    await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        (i % 2 === 0 ? one : other).chores.schedule(soon("key", `${i}`, 100)),
      ),
    );
    for (const { chores } of [one, other]) chores.start();
    await eventually(PATIENCE_MS, "a run", () => (runs.length > 0 ? true : undefined));
    await one.chores.schedule(soon("key", "last"));
    await within(PATIENCE_MS, "the last", last.promise);
    expect(runs).toHaveLength(2);
    expect(most).toBe(1);
  });

  it("C1: one whose relay was killed while it ran is run by the other", async () => {
    const lockMs = 1_000;
    const dead = await aRelay({ closeWaitMs: 1, lockMs });
    const begun = Promise.withResolvers<void>();
    dead.chores.handle("work", () => {
      begun.resolve();
      return new Promise(() => undefined);
    });
    dead.chores.start();
    await dead.chores.schedule(soon("key", "again"));
    await within(PATIENCE_MS, "the first run", begun.promise);
    await dead[Symbol.asyncDispose]();
    await using next = await aRelay({ lockMs });
    const ran = new Count(1);
    next.chores.handle("work", async (payload) => ran.say(payload));
    next.chores.start();
    await ran.all;
    expect(ran.seen).toEqual(["again"]);
  });
});

describe("what of chores lies in Redis", () => {
  it("a name, a payload and digests: no key, nor what a handler threw; and nothing once it is done", async () => {
    await using relay = await aRelay({ pauseAfter: () => 50 });
    const ran = new Count(2);
    const secretly = "user-0123456789abcdef";
    relay.chores.handle("work", async (payload) => {
      ran.say(payload);
      if (ran.seen.length === 1) throw new Error(`failed for ${secretly}`);
    });
    await relay.chores.schedule(soon(secretly, "payload-in-the-clear"));
    expect(await filesHold("payload-in-the-clear")).toBe(true);
    relay.chores.start();
    await ran.all;
    await eventually(PATIENCE_MS, "an empty queue", async () => {
      const left = (await redis.keys("*")).filter(
        (key) => !/:(?:meta|id|events|marker|stalled-check)$/.test(key),
      );
      return left.length === 0 ? true : undefined;
    });
    expect(await filesHold(secretly)).toBe(false);
  });
});

async function filesHold(text: string): Promise<boolean> {
  const files = await readdir(server.aofFolder);
  const contents = await Promise.all(files.map((file) => readFile(join(server.aofFolder, file))));
  return contents.some((content) => content.includes(text));
}

describe("chores while Redis is away", () => {
  it("scheduling rejects in time and nothing else happens; afterwards chores go on", async () => {
    await using relay = await aRelay();
    const ran = new Count(2);
    relay.chores.handle("work", async (payload) => ran.say(payload));
    relay.chores.start();
    await relay.chores.schedule(soon("before", "before", 1_000));
    await server.kill();
    const begun = performance.now();
    await expect(relay.chores.schedule(soon("meanwhile"))).rejects.toBeInstanceOf(StoreFailedError);
    expect(performance.now() - begun).toBeLessThan(COMMAND_MS * 3);
    await server.restart();
    await eventually(PATIENCE_MS, "the queue", () =>
      relay.chores.schedule(soon("after", "after", 1_500)).then(
        () => true,
        () => undefined,
      ),
    );
    await ran.all;
    expect(ran.seen).toEqual(["before", "after"]);
  });

  it("a whole backend closes within its deadline, also while Redis is stopped, and schedules nothing after", async () => {
    const { chores, close } = await openRedis({
      kind: "redis",
      url: server.url,
      replicas: 0,
      limits: DEFAULT_MAILBOX_LIMITS,
      commandMs: COMMAND_MS,
      report,
    }).then((backend) => ({ chores: backend.chores, close: () => backend.close() }));
    chores.handle("work", async () => undefined);
    chores.start();
    await chores.schedule(soon("key"));
    server.signal("SIGSTOP");
    await within(10_000, "the end", close());
    server.signal("SIGCONT");
    await expect(chores.schedule(soon("late"))).rejects.toBeInstanceOf(StoreClosedError);
  });
});
