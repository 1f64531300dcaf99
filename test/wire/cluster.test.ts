// What nodes tell each other beside mail: who is there, what has changed of accounts, which devices are gone; and what a node
// does whose lease or store is lost.
import { OPERATOR_PATHS, PATHS } from "@lethe/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Chance } from "../support/chance.ts";
import { CLUSTER_SECRET, Fleet } from "../support/fleet.ts";
import { lethe } from "../support/command.ts";
import { ask, Person } from "../support/person.ts";
import { RedisServer } from "../support/redis-server.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { eventually } from "../support/waiting.ts";
import { sealed, submitTo, Wire } from "../support/wire.ts";

const PATIENCE_MS = 30_000;
const LEASE_MS = 10_000;
const STORM = 40;
const NOTHING = Buffer.alloc(0);
let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.start({ nodes: 2, chance: Chance.forThisRun("nodes") });
});
afterAll(() => fleet[Symbol.asyncDispose]());

const [here, there] = [() => fleet.node(0), () => fleet.node(1)];
const watch = ({ account, accessKey }: Person) => ({ frame: "watch", account, accessKey }) as const;

/** Commands that Redis has run, of those that a relay's mail and directory are made of. */
const commands = (): Promise<number> =>
  fleet.calls("evalsha", "eval", "hget", "hgetall", "hmget", "get", "xadd");

/** What nodes do once when they start asks Redis for every shard; until it is over, and nothing else is asked for. */
async function choresDone(): Promise<void> {
  let last = Number.NEGATIVE_INFINITY;
  await eventually(
    PATIENCE_MS,
    "the end of the chores of the start",
    async () => {
      const runs = ["sweep", "idle", "forget"].map((chore) =>
        fleet.total(`lethe_chores_total{chore="${chore}",outcome="done"}`),
      );
      const [isDone, now] = [(await Promise.all(runs)).every((count) => count > 0), await commands()];
      const isQuiet = isDone && now - last < 20;
      last = now;
      return isQuiet ? true : undefined;
    },
    500,
  );
}

describe("live mail between two nodes", () => {
  it("costs Redis nothing: no command a message, none stored", async () => {
    const ben = await Person.called("ben").register(there());
    await using device = await Wire.device(there(), ben);
    await device.take("drained");
    await using sender = await Wire.anonymous(here());
    const one = async (): Promise<void> => {
      const letter = sealed("hello");
      sender.send(submitTo(ben, letter));
      const { id } = await device.take("push");
      device.send({ frame: "delivered", ids: [id] });
      await sender.take("accepted");
    };
    await one(); // the owner and the account are looked up
    await choresDone();
    const [before, began] = [await commands(), performance.now()];
    for (let i = 0; i < 1_000; i++) await one();
    const seconds = (performance.now() - began) / 1_000;
    const spent = (await commands()) - before;
    process.stdout.write(
      `1,000 live messages over a link: ${spent} commands of Redis in ${seconds.toFixed(1)} s\n`,
    );
    expect(spent).toBeLessThan(30 + 10 * seconds); // leases of two nodes, an account's record each 10 s
    expect(await fleet.total("lethe_stored_total")).toBe(0);
  });
});

describe("presence of a person at another node", () => {
  it("is told as it changes, with the minute of their going, and follows them from node to node", async () => {
    const ben = await Person.called("ben").register(here());
    await using watcher = await Wire.anonymous(here());
    watcher.send(watch(ben));
    expect(await watcher.take("notice")).toMatchObject({ state: "offline", lastSeen: 0 });
    const first = await Wire.device(there(), ben);
    expect(await watcher.take("notice")).toMatchObject({ state: "online" });
    const second = await Wire.device(here(), ben);
    await first.closed;
    await using third = await Wire.device(there(), ben);
    await second.closed;
    expect(await watcher.rest()).toEqual([]);
    await third.close();
    const gone = await watcher.take("notice");
    expect(gone).toMatchObject({ state: "offline" });
    expect(Date.now() - gone.lastSeen).toBeLessThan(120_000);
  });

  it("ends, denied, where the person replaces their access key at that node", async () => {
    const ben = await Person.called("ben").register(there());
    await using watcher = await Wire.anonymous(here());
    watcher.send(watch(ben));
    await watcher.take("notice");
    const { accessKeyHash } = Person.called("ben").registration;
    await ben.request(there(), "PUT", PATHS.accessKey, { accessKeyHash });
    expect(await watcher.take("notice")).toMatchObject({ state: "denied" });
    watcher.send(watch(ben));
    expect(await watcher.take("notice")).toMatchObject({ state: "denied" });
  });
});

describe("a device that connects over and over, at both nodes at once", () => {
  it("has one connection in the end, which gets its mail once; every other one is ended", async () => {
    const ben = await Person.called("ben").register(here());
    const tries = await Promise.allSettled(
      Array.from({ length: STORM }, (_, i) => Wire.device(i % 2 === 0 ? here() : there(), ben)),
    );
    const others = tries.flatMap((attempt) => (attempt.status === "fulfilled" ? [attempt.value] : []));
    expect(others.length).toBeGreaterThan(0);
    await using last = await Wire.device(there(), ben);
    await last.take("drained");
    await Promise.all(others.map(({ closed }) => closed));
    await using sender = await Wire.anonymous(here());
    const letter = sealed("to whoever is left");
    sender.send(submitTo(ben, letter));
    const { id } = await last.take("push");
    expect(id).toBe(letter.id);
    last.send({ frame: "delivered", ids: [id] });
    await sender.take("accepted");
    expect(await last.rest()).toEqual([]);
    await eventually(PATIENCE_MS, "one session of the storm", async () =>
      (await fleet.total("lethe_sessions")) === 1 ? true : undefined,
    );
  });
});

describe("a device that is removed at one node", () => {
  it("is disconnected from the other, and so is every device of an account that is deleted", async () => {
    const ben = await Person.called("ben").register(here());
    const tablet = new Person(ben.name, 2, ben);
    await ben.request(here(), "PUT", PATHS.deviceList, ben.listOf(2, [ben, tablet]));
    await using second = await Wire.device(there(), tablet);
    await second.take("drained");
    await ben.request(here(), "PUT", PATHS.deviceList, ben.listOf(3, [ben]));
    expect(await second.ending()).toMatchObject({ code: "device-removed" });
    await using phone = await Wire.device(there(), ben);
    await phone.take("drained");
    await ben.request(here(), "DELETE", PATHS.account);
    expect(await phone.ending()).toMatchObject({ code: "device-removed" });
  });
});

describe("the operator of two nodes", () => {
  it("sees at either how many live and are linked, whose clock is how far, how many devices are there", async () => {
    const ben = await Person.called("ben").register(there());
    await using device = await Wire.device(there(), ben);
    await device.take("drained");
    const door = ["--relay", here().url, "--data", `${fleet.folder}/node-0`];
    const figures = await eventually(PATIENCE_MS, "the other node's devices", async () => {
      const told = JSON.parse((await lethe("status", "--json", ...door)).out) as Record<string, unknown>;
      return Number(told["otherSessions"]) >= 1 ? told : undefined;
    });
    expect(figures).toMatchObject({ nodes: 1, links: 1, storeDoubts: "" });
    expect(Math.abs(Number(figures["clockAheadMs"]))).toBeLessThan(1_000);
    const shown = await lethe("admin", "show", ben.name, ...door);
    expect(shown.out).toMatch(/device 1 {2}connected at ws:\/\/127\.0\.0\.1:\d+ {2}0 undelivered/);
    const store = ["--store", fleet.redis.url, "--cluster-secret", CLUSTER_SECRET];
    const { out } = await lethe("doctor", "--port", "0", "--data", `${fleet.folder}/node-0`, ...store);
    expect(out).toMatch(/✓ store\s+reached, and set as it should be/);
    expect(out).toMatch(/✓ clock/);
    expect(out).toMatch(/✓ nodes\s+2 live, all are reached from here/);
  });
});

describe("a node that", () => {
  it("dies turns its people offline within the lease's time", async () => {
    const ben = await Person.called("ben").register(here());
    await using device = await Wire.device(there(), ben);
    await device.take("drained");
    await using watcher = await Wire.anonymous(here());
    watcher.send(watch(ben));
    expect(await watcher.take("notice")).toMatchObject({ state: "online" });
    const began = performance.now();
    await fleet.killNode(1);
    expect(await watcher.take("notice")).toMatchObject({ state: "offline" });
    const took = performance.now() - began;
    process.stdout.write(`offline ${(took / 1_000).toFixed(1)} s after the node's death\n`);
    expect(took).toBeLessThan(LEASE_MS + 3_000); // looked at each second, on a machine that is busy
    await fleet.startNode(1);
    await fleet.linked();
  });

  it("stood still for longer than its lease closes its sessions, and is another node from then on", async () => {
    const ben = await Person.called("ben").register(there());
    await using device = await Wire.device(there(), ben);
    await device.take("drained");
    const before = await fleet.nodeIds();
    there().signal("SIGSTOP");
    await eventually(PATIENCE_MS, "the end of its lease", async () =>
      (await fleet.nodeIds()).length === 1 ? true : undefined,
    );
    there().signal("SIGCONT");
    expect(await device.ending()).toMatchObject({ code: "fenced" });
    await fleet.linked();
    const after = await fleet.nodeIds();
    expect(after.length).toBe(2);
    expect(after.filter((id) => before.includes(id)).length).toBe(1);
    await using again = await Wire.device(there(), ben);
    await again.take("drained");
  });

  it("finds no store says that it is up and not ready, and takes people in once there is one", async () => {
    await using store = await RedisServer.start();
    await store.kill();
    const flags = ["--store", store.url, "--cluster-secret", "s".repeat(32), "--link-port", "0"];
    const port = 20_000 + (store.port % 10_000) + 1;
    const at = { url: `http://127.0.0.1:${port}` };
    const starting = RelayProcess.start({ data: `${fleet.folder}/waits`, port, flags });
    await eventually(PATIENCE_MS, "a relay that is up", async () =>
      (await ask(at, "GET", OPERATOR_PATHS.health, NOTHING).catch(() => undefined))?.status === 200
        ? true
        : undefined,
    );
    expect(await ask(at, "GET", OPERATOR_PATHS.ready, NOTHING)).toMatchObject({
      status: 503,
      body: { code: "not-ready" },
    });
    await store.restart();
    await using relay = await starting;
    expect(await ask(relay, "GET", OPERATOR_PATHS.ready, NOTHING)).toMatchObject({
      status: 200,
      body: { status: "ready" },
    });
    await Person.called("ben").register(relay);
  });

  it("finds a store that would lose mail does not start; one that is weaker than promised is named", async () => {
    const flagsOf = (store: RedisServer): string[] => [
      "--store",
      store.url,
      "--cluster-secret",
      "s".repeat(32),
      "--link-port",
      "0",
    ];
    const evicting = { "maxmemory-policy": "allkeys-lru", maxmemory: "100mb" };
    await using bad = await RedisServer.start({ configuration: evicting });
    await expect(RelayProcess.start({ data: `${fleet.folder}/bad`, flags: flagsOf(bad) })).rejects.toThrow(
      /maxmemory-policy/,
    );
    await using weak = await RedisServer.start({ configuration: { appendfsync: "everysec" } });
    await using relay = await RelayProcess.start({
      data: `${fleet.folder}/weak`,
      log: "warn",
      flags: flagsOf(weak),
    });
    expect((await ask(relay, "GET", OPERATOR_PATHS.ready, NOTHING)).body).toEqual({
      status: "ready",
      doubts: ["not-synced"],
    });
    expect(relay.output.toString()).toContain("not-synced");
  });
});
