// The redis backend when its servers fail: scripts forgotten, a server killed, paused, full or short of replicas. What was
// answered `stored` is there, what was not is answered with its code, and it goes on when the fault is over.
import { describe, expect, it } from "vitest";
import { all, anAddress, anEnvelope, anOwner, claim, remove, store } from "../contracts/world.ts";
import { filesHolding } from "../support/folder.ts";
import { RedisCluster } from "../support/redis-cluster.ts";
import { RedisServer } from "../support/redis-server.ts";
import { eventually } from "../support/waiting.ts";
import { append, clock, expectKept, open, PATIENCE_MS, stream } from "./redis-streams.ts";

const FAILED = [{ is: "failed", code: "storage-failed" }];

describe("the redis backend", () => {
  it("sends scripts again that a server has forgotten", async () => {
    await using server = await RedisServer.start();
    await using on = await open(server.url);
    const address = anAddress();
    await store(on.backend, address, anEnvelope(clock));
    await server.cli("script", "flush");
    await store(on.backend, address, anEnvelope(clock));
    await server.cli("script", "flush");
    expect(await all(on.backend, address)).toHaveLength(2);
  });

  it("refuses a store with another number of shards, and one that does not answer", async () => {
    await using server = await RedisServer.start();
    await using _ = await open(server.url, { shards: 16 });
    await expect(open(server.url)).rejects.toMatchObject({ name: "StoreOpenError", code: "shards-differ" });
    await using again = await open(server.url, { shards: 16 });
    await store(again.backend, anAddress(), anEnvelope(clock));
    await server.kill();
    await expect(open(server.url, { shards: 16, commandMs: 200 })).rejects.toMatchObject({
      code: "unreachable",
    });
  });

  it("opens a store that knew no payloads, which from then on is of this format, and refuses another format", async () => {
    await using server = await RedisServer.start();
    const address = anAddress();
    const envelope = anEnvelope(clock);
    {
      await using on = await open(server.url);
      await store(on.backend, address, envelope);
    }
    await server.cli("hset", "l{00}s", "format", "lethe-redis 1");
    {
      await using on = await open(server.url);
      expect((await all(on.backend, address)).map(({ id }) => id)).toEqual([envelope.id]);
    }
    expect(await server.cli("hget", "l{00}s", "format")).toBe("lethe-redis 2");
    await server.cli("hset", "l{00}s", "format", "lethe-redis 3");
    await expect(open(server.url)).rejects.toMatchObject({ code: "format-unknown" });
  });

  it("loses nothing that was answered when a server is killed under many appends, and goes on when it is back", async () => {
    await using server = await RedisServer.start();
    await using on = await open(server.url, { commandMs: 2_000 });
    const addresses = Array.from({ length: 20 }, anAddress);
    const streams = addresses.map((address) => stream(on, address));
    for (let round = 1; round <= 3; round++) {
      await Promise.all(streams.map((one) => one.atLeast(round * 40)));
      await server.kill();
      await server.restart();
    }
    await Promise.all(streams.map((one) => one.atLeast(160)));
    await Promise.all(streams.map((one) => one.stop()));
    for (const [i, address] of addresses.entries()) await expectKept(on, address, streams[i]?.stored ?? []);
    expect(on.events).toContainEqual({ is: "storage-failed", code: expect.any(String) as string });
  });

  it("answers within its time-out while a server is paused, and replaces a connection on which nothing comes", async () => {
    await using server = await RedisServer.start();
    await using on = await open(server.url, { commandMs: 400 });
    const address = anAddress();
    await store(on.backend, address, anEnvelope(clock));
    await server.cli("client", "pause", "1500", "ALL");
    expect(await append(on, address, anEnvelope(clock))).toEqual(FAILED);
    server.signal("SIGSTOP");
    expect(await append(on, address, anEnvelope(clock))).toEqual(FAILED);
    server.signal("SIGCONT");
    const last = anEnvelope(clock);
    await eventually(PATIENCE_MS, "an append", async () =>
      (await append(on, address, last))[0]?.is === "stored" ? true : undefined,
    );
    expect((await all(on.backend, address)).map(({ id }) => id)).toContain(last.id);
  });

  it("says storage-full when the memory is full, still claims, reads, removes and releases, and stores when there is room", async () => {
    await using server = await RedisServer.start();
    await using on = await open(server.url);
    const [address, other] = [anAddress(), anAddress()];
    const owner = anOwner();
    await store(on.backend, address, ...[1, 2, 3].map(() => anEnvelope(clock, { bytes: 50_000 })));
    await server.cli("config", "set", "maxmemory", "1");
    const full = [{ is: "failed", code: "storage-full" }];
    expect(await append(on, other, anEnvelope(clock))).toEqual(full);
    expect(await append(on, address, anEnvelope(clock, { bytes: 1 }))).toEqual(full);
    expect(await on.backend.mailbox.look([address, other])).toMatchObject([{ waiting: 3 }, { waiting: 0 }]);
    await claim(on.backend, address, owner, 1);
    await remove(on.backend, address, await all(on.backend, address));
    expect(await on.backend.mailbox.appendAndRelease([{ address, owner, envelopes: [] }])).toEqual([
      { is: "stored", outcomes: [] },
    ]);
    expect(await all(on.backend, address)).toEqual([]);
    await server.cli("config", "set", "maxmemory", "0");
    await store(on.backend, address, anEnvelope(clock));
    await on.backend.mailbox.count();
    expect(on.backend.mailbox.stats()).toMatchObject({ mailboxes: 1, envelopes: 1, bytes: 64 });
  });

  it("answers nothing as stored that too few replicas have, and counts on them again when they are back", async () => {
    await using server = await RedisServer.start();
    const configuration = { replicaof: `127.0.0.1 ${server.port}` };
    await using replica = await RedisServer.start({ configuration });
    await server.hasReplica();
    await using on = await open(server.url, { replicas: 1, commandMs: 800 });
    const address = anAddress();
    await store(on.backend, address, anEnvelope(clock));
    await replica.kill();
    expect(await append(on, address, anEnvelope(clock))).toEqual(FAILED);
    expect(await on.backend.mailbox.claim([{ address, owner: anOwner(), epoch: 1 }])).toEqual(FAILED);
    await replica.restart();
    await eventually(PATIENCE_MS, "an append", async () =>
      (await append(on, anAddress(), anEnvelope(clock)))[0]?.is === "stored" ? true : undefined,
    );
  });
});

describe("a call that was answered as failed", () => {
  it("is not done later: neither what waited for a server that was away, nor what was under way", async () => {
    await using server = await RedisServer.start();
    await using on = await open(server.url, { commandMs: 400 });
    const address = anAddress();
    await server.kill();
    for (let i = 0; i < 3; i++) expect(await append(on, address, anEnvelope(clock))).toEqual(FAILED);
    await server.restart();
    const last = anEnvelope(clock);
    await eventually(PATIENCE_MS, "an append", async () =>
      (await append(on, address, last))[0]?.is === "stored" ? true : undefined,
    );
    expect(new Set((await all(on.backend, address)).map(({ id }) => id))).toEqual(new Set([last.id]));
  });
});

describe("a lease", () => {
  it("is held while too few replicas hold up everything that is to be durable", async () => {
    await using server = await RedisServer.start();
    const configuration = { replicaof: `127.0.0.1 ${server.port}` };
    await using replica = await RedisServer.start({ configuration });
    await server.hasReplica();
    await using on = await open(server.url, { replicas: 1, commandMs: 2_000 });
    const { leases } = on.backend;
    const node = anOwner().node;
    expect(await leases.renew(node, "", 10_000)).toBe("held");
    await replica.kill();
    const appends = Array.from({ length: 20 }, async () => append(on, anAddress(), anEnvelope(clock)));
    for (let i = 0; i < 5; i++) {
      const began = performance.now();
      expect(await leases.renew(node, "", 10_000)).toBe("held");
      expect(performance.now() - began).toBeLessThan(900); // one WAIT alone would take 1,000
    }
    for (const answer of await Promise.all(appends)) expect(answer).toEqual(FAILED);
  });
});

describe("a rewrite of files", () => {
  it("is not done while a replica is away that may hold what was removed, and does that one when it is back", async () => {
    await using server = await RedisServer.start();
    const configuration = { replicaof: `127.0.0.1 ${server.port}` };
    await using replica = await RedisServer.start({ configuration });
    await server.hasReplica();
    await using on = await open(server.url);
    const rewrite = () => on.backend.mailbox.rewriteAofs();
    const address = anAddress();
    const letters = [anEnvelope(clock), anEnvelope(clock)];
    await store(on.backend, address, ...letters);
    const [first, second] = await all(on.backend, address);
    await remove(on.backend, address, first === undefined ? [] : [first]);
    expect(await rewrite()).toBe(2);
    await replica.kill();
    await eventually(PATIENCE_MS, "its absence", async () =>
      (await server.cli("info", "replication")).includes("connected_slaves:0") ? true : undefined,
    );
    await remove(on.backend, address, second === undefined ? [] : [second]);
    await expect(rewrite()).rejects.toThrow("1 replicas are away");
    const mark = Buffer.from(second?.ciphertext ?? new Uint8Array());
    expect(await filesHolding(replica.folder, mark)).not.toEqual([]); // else the search shows nothing
    await replica.restart();
    await server.hasReplica();
    expect(await rewrite()).toBe(2);
    expect(await filesHolding(replica.folder, mark)).toEqual([]);
    expect(await rewrite()).toBe(0);
  });
});

describe("wakes", () => {
  it("of a node that this process is no more are not waited for: its connection goes, its take ends", async () => {
    await using server = await RedisServer.start();
    await using on = await open(server.url);
    const { mailbox } = on.backend;
    const blocked = async (): Promise<number> =>
      Number(/blocked_clients:(\d+)/.exec(await server.cli("info", "clients"))?.[1]);
    let old = mailbox.takeWakes(anOwner("node-0").node);
    for (let i = 1; i < 6; i++) {
      const next = mailbox.takeWakes(anOwner(`node-${i}`).node);
      expect(await old).toEqual([]);
      old = next;
    }
    await eventually(PATIENCE_MS, "one blocked connection", async () =>
      (await blocked()) === 1 ? true : undefined,
    );
  });
});

describe("the redis backend over a cluster", () => {
  it("loses nothing while slots move under appends, and finds everything afterwards", async () => {
    await using cluster = await RedisCluster.start();
    await using on = await open(cluster.url, { shards: 4 });
    const addresses = Array.from({ length: 12 }, anAddress);
    const streams = addresses.map((address) => stream(on, address));
    await Promise.all(streams.map((one) => one.atLeast(10)));
    for (let shard = 0; shard < 4; shard++) await cluster.moveSlot(`l{0${shard}}`);
    const counts = streams.map((one) => one.stored.length);
    await Promise.all(streams.map((one, i) => one.atLeast((counts[i] ?? 0) + 10)));
    await Promise.all(streams.map((one) => one.stop()));
    for (const [i, address] of addresses.entries()) await expectKept(on, address, streams[i]?.stored ?? []);
  });

  it("loses nothing that was answered when a master is killed and its replica takes over, with one replica waited for", async () => {
    await using cluster = await RedisCluster.start();
    await using on = await open(cluster.url, { replicas: 1, commandMs: 2_000 });
    const addresses = Array.from({ length: 12 }, anAddress);
    const streams = addresses.map((address) => stream(on, address));
    await Promise.all(streams.map((one) => one.atLeast(20)));
    const [master] = cluster.nodes;
    await master?.kill();
    await eventually(PATIENCE_MS, "the new master", async () =>
      (await cluster.state()) === "ok" ? true : undefined,
    );
    await master?.restart();
    await cluster.whole();
    const counts = streams.map((one) => one.stored.length);
    await Promise.all(streams.map((one, i) => one.atLeast((counts[i] ?? 0) + 20)));
    await Promise.all(streams.map((one) => one.stop()));
    for (const [i, address] of addresses.entries()) await expectKept(on, address, streams[i]?.stored ?? []);
    expect(on.events.some(({ is }) => is === "store-moved")).toBe(true);
  });
});
