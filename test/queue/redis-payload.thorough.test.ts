// What envelopes of a group have in common, as Redis keeps it: once a shard, for as long as an entry refers to it, whatever
// becomes of entries, calls and slots.
import type { DeviceAddress, Time } from "@lethe/protocol";
import { ready } from "@lethe/crypto";
import type { Envelope } from "@lethe/queue";
import { Redis } from "ioredis";
import { beforeAll, describe, expect, it } from "vitest";
import { Connection } from "../../queue/redis/connection.ts";
import { Keys } from "../../queue/redis/keys.ts";
import { RedisMailbox } from "../../queue/redis/mailbox.ts";
import { Scripts } from "../../queue/redis/scripts.ts";
import { aPayload, plain, sharing } from "../contracts/mailbox-payload.ts";
import {
  all,
  anAddress,
  anEnvelope,
  anOwner,
  claim,
  messages,
  remove,
  ROOMY,
  START,
  store,
} from "../contracts/world.ts";
import { RedisCluster } from "../support/redis-cluster.ts";
import { RedisServer } from "../support/redis-server.ts";
import { keysOf } from "../support/redis-values.ts";
import { eventually } from "../support/waiting.ts";
import { append, clock, open, PATIENCE_MS, type Store } from "./redis-streams.ts";

const HOUR = 3_600_000;
const keys = new Keys(256);
beforeAll(ready);

/** So many mailboxes of one shard. */
function neighbours(count: number, shard = keys.shardOf(anAddress())): DeviceAddress[] {
  const found: DeviceAddress[] = [];
  while (found.length < count) {
    const address = anAddress();
    if (keys.shardOf(address) === shard) found.push(address);
  }
  return found;
}

async function onServer<T>(
  { port }: { readonly port: number },
  ask: (redis: Redis) => Promise<T>,
): Promise<T> {
  const redis = new Redis({ host: "127.0.0.1", port });
  try {
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}

/** Keys of mailboxes and of payloads. */
function kept(server: { readonly port: number }): Promise<{ mailboxes: number; payloads: number }> {
  return onServer(server, async (redis) => ({
    mailboxes: (await keysOf(redis, "m")).length,
    payloads: (await keysOf(redis, "P")).length,
  }));
}

const NOTHING = { mailboxes: 0, payloads: 0 };

const figure = (server: RedisServer, section: string, name: string): Promise<number> =>
  onServer(server, async (redis) =>
    Number(new RegExp(`^${name}:(?:calls=)?(\\d+)`, "m").exec(await redis.info(section))?.[1]),
  );

function appendAll(on: Store, addresses: readonly DeviceAddress[], envelopeFor: () => Envelope) {
  const items = addresses.map((address) => ({ address, suspect: undefined, envelopes: [envelopeFor()] }));
  return on.backend.mailbox.appendUnlessOwned(items);
}

describe("a payload", () => {
  it("is kept once a shard, and sent once a call", async () => {
    await using server = await RedisServer.start();
    await using on = await open(server.url);
    const addresses = [...neighbours(16), ...neighbours(16)];
    const shards = new Set(addresses.map((address) => keys.shardOf(address)));
    const shared = aPayload(60_000);
    await appendAll(on, addresses, () => anEnvelope(clock)); // the script is known
    const before = await figure(server, "stats", "total_net_input_bytes");
    const calls = await figure(server, "commandstats", "cmdstat_mget"); // one for each run of the script
    const results = await appendAll(on, addresses, () => sharing(clock, shared));
    expect(results.every(({ is }) => is === "stored")).toBe(true);
    expect(await figure(server, "commandstats", "cmdstat_mget")).toBe(calls + 1);
    expect(await figure(server, "stats", "total_net_input_bytes")).toBeLessThan(before + 2 * 60_000);
    expect(await kept(server)).toEqual({ mailboxes: 32, payloads: shards.size });
  });

  it("takes less memory for 1,000 devices that are away than 1,000 envelopes do", async () => {
    for (const bytes of [600, 4_000, 60_000]) {
      const addresses = Array.from({ length: 1_000 }, anAddress);
      const shards = new Set(addresses.map((address) => keys.shardOf(address))).size;
      const shared = aPayload(bytes);
      const separate = await memoryOf(addresses, () => anEnvelope(clock, { bytes }));
      const once = await memoryOf(addresses, () => sharing(clock, shared));
      process.stdout.write(
        `1,000 mailboxes with ${bytes} B in ${shards} shards: ${separate.memory} B as envelopes, ${once.memory} B as one payload; in the file ${separate.file} and ${once.file} B\n`,
      );
      // A mailbox takes its keys, its record and the reference; a payload its key, and up to a quarter for its allocation.
      expect(once.memory).toBeLessThan(1_000 * 500 + shards * (bytes * 1.25 + 150));
      expect(separate.memory).toBeGreaterThan(1_000 * (bytes + 250));
      expect(once.file).toBeLessThan(1_000 * 400 + shards * (bytes + 150));
    }
  });
});

/** What mail adds to Redis's memory, once its buffers have let go of what passed through them, and to its file. */
async function memoryOf(addresses: readonly DeviceAddress[], envelopeFor: () => Envelope) {
  await using server = await RedisServer.start();
  const used = async (): Promise<number> => figure(server, "memory", "used_memory_dataset");
  await using on = await open(server.url);
  await appendAll(on, addresses.slice(0, 1), envelopeFor); // the script is there
  const before = { memory: await used(), file: await figure(server, "persistence", "aof_current_size") };
  await appendAll(on, addresses.slice(1), envelopeFor);
  await on.backend.close();
  await eventually(PATIENCE_MS, "the end of its connections", async () =>
    (await figure(server, "clients", "connected_clients")) === 1 ? true : undefined,
  );
  const file = (await figure(server, "persistence", "aof_current_size")) - before.file;
  return { memory: (await used()) - before.memory, file };
}

describe("a reference leaves", () => {
  const soon = (): Time => (clock.now() + 1_000) as Time;

  it("by whatever finds it expired: a read, a look, a sweep, an append into a full mailbox", async () => {
    await using server = await RedisServer.start();
    await using on = await open(server.url, { limits: { ...ROOMY, envelopes: 3 } });
    const { mailbox } = on.backend;
    const ways: Record<string, (address: DeviceAddress) => Promise<unknown>> = {
      read: (address) => all(on.backend, address),
      look: (address) => mailbox.look([address]),
      sweep: () => mailbox.sweep(),
      append: (address) => append(on, address, anEnvelope(clock)),
    };
    for (const [name, way] of Object.entries(ways)) {
      const [address, other] = neighbours(2) as [DeviceAddress, DeviceAddress];
      const shared = aPayload();
      const late = sharing(clock, shared);
      await store(on.backend, address, ...[1, 2, 3].map(() => sharing(clock, shared, soon())));
      await store(on.backend, other, late);
      clock.pass(1_000);
      await way(address);
      expect(await messages(all(on.backend, other)), name).toEqual([plain(late)]);
      expect(await kept(server), name).toMatchObject({ payloads: 1 });
      await remove(on.backend, other, await all(on.backend, other));
      await remove(on.backend, address, await all(on.backend, address));
      expect(await kept(server), name).toEqual(NOTHING);
    }
  });

  it("with a mailbox of hundreds that is retired or swept whole, and other mail of it", async () => {
    await using server = await RedisServer.start();
    await using on = await open(server.url);
    const [address, other] = neighbours(2) as [DeviceAddress, DeviceAddress];
    const [one, two] = [aPayload(), aPayload()];
    const mail = Array.from({ length: 100 }, () => [
      sharing(clock, one),
      anEnvelope(clock),
      sharing(clock, two),
    ]);
    await store(on.backend, address, ...mail.flat());
    await store(on.backend, other, sharing(clock, two));
    expect(await kept(server)).toEqual({ mailboxes: 2, payloads: 2 });
    await on.backend.mailbox.retire(address);
    expect(await kept(server)).toEqual({ mailboxes: 1, payloads: 1 });
    const expired = Array.from({ length: 300 }, () => sharing(clock, one, soon()));
    await store(on.backend, other, ...expired);
    clock.pass(HOUR);
    expect(await on.backend.mailbox.sweep()).toBe(301);
    expect(await kept(server)).toEqual(NOTHING);
    await on.backend.mailbox.count();
    expect(on.backend.mailbox.stats()).toMatchObject({ mailboxes: 0, envelopes: 0, bytes: 0 });
  });

  it("with an owner's append and release, and with an owner who was fenced nothing comes", async () => {
    await using server = await RedisServer.start();
    await using on = await open(server.url);
    const { mailbox } = on.backend;
    const address = anAddress();
    const shared = aPayload();
    const owner = anOwner();
    await claim(on.backend, address, owner, 1);
    await mailbox.appendAsOwner([{ address, owner, envelopes: [sharing(clock, shared)] }]);
    await mailbox.appendAndRelease([{ address, owner, envelopes: [sharing(clock, shared)] }]);
    await mailbox.appendAsOwner([{ address, owner, envelopes: [sharing(clock, aPayload())] }]);
    expect(await kept(server)).toEqual({ mailboxes: 1, payloads: 1 });
    await remove(on.backend, address, await all(on.backend, address));
    expect(await kept(server)).toEqual(NOTHING);
  });
});

describe("a reference without its payload", () => {
  it("is reported, skipped and removed, and what is behind it is read", async () => {
    await using server = await RedisServer.start();
    await using on = await open(server.url);
    const address = anAddress();
    const [lost, there] = [aPayload(), aPayload()];
    const behind = [sharing(clock, there), anEnvelope(clock)];
    await store(on.backend, address, sharing(clock, lost), sharing(clock, lost), ...behind);
    await onServer(server, (redis) => redis.del(keys.payload(keys.shardOf(address), lost.payload)));
    expect(await messages(all(on.backend, address))).toEqual(behind.map(plain));
    expect(on.events).toEqual([{ is: "payload-missing", count: 2 }]);
    expect(await on.backend.mailbox.look([address])).toMatchObject([{ waiting: 2 }]);
    await on.backend.mailbox.count();
    const bytes = behind.reduce((sum, { ciphertext }) => sum + ciphertext.length, 0);
    expect(on.backend.mailbox.stats()).toMatchObject({ mailboxes: 1, envelopes: 2, bytes });
    await remove(on.backend, address, await all(on.backend, address));
    expect(await kept(server)).toEqual(NOTHING);
    expect(on.events).toHaveLength(1);
  });

  it("takes nothing from others when the same payload is kept anew", async () => {
    await using server = await RedisServer.start();
    await using on = await open(server.url);
    const [early, late] = neighbours(2) as [DeviceAddress, DeviceAddress];
    const shared = aPayload();
    await store(on.backend, early, sharing(clock, shared), sharing(clock, shared));
    await onServer(server, (redis) => redis.del(keys.payload(keys.shardOf(early), shared.payload)));
    const anew = sharing(clock, shared);
    await store(on.backend, late, anew);
    expect(await all(on.backend, early)).toHaveLength(2); // it is there again
    await remove(on.backend, early, await all(on.backend, early));
    expect(await messages(all(on.backend, late))).toEqual([plain(anew)]);
    await remove(on.backend, late, await all(on.backend, late));
    expect(await kept(server)).toEqual(NOTHING);
  });
});

describe("calls that are executed twice", () => {
  /** Sends every script a second time, as a client does whose connection broke behind the first. */
  class Twice extends Scripts {
    override async run(...call: Parameters<Scripts["run"]>): Promise<unknown> {
      await super.run(...call);
      return super.run(...call);
    }

    override async look(...call: Parameters<Scripts["look"]>): Promise<unknown> {
      await super.look(...call);
      return super.look(...call);
    }
  }

  it("leave a payload for as long as a copy refers to it, and no longer", async () => {
    await using server = await RedisServer.start();
    const config = {
      kind: "redis",
      url: server.url,
      replicas: 0,
      limits: ROOMY,
      now: clock.now,
      report: () => undefined,
    } as const;
    const connection = await Connection.open({ ...config, commandMs: 5_000 });
    const mailbox = new RedisMailbox({ config, connection, keys, scripts: new Twice(connection) });
    const backend = { mailbox };
    const [address, other] = neighbours(2) as [DeviceAddress, DeviceAddress];
    const shared = aPayload();
    const envelope = sharing(clock, shared);
    await store(backend, address, envelope);
    await store(backend, other, sharing(clock, shared));
    expect(await kept(server)).toEqual({ mailboxes: 2, payloads: 1 });
    const copies = await all(backend, address);
    expect(copies.map(({ id }) => id)).toEqual([envelope.id, envelope.id]);
    await remove(backend, address, copies.slice(0, 1));
    expect(await messages(all(backend, address))).toEqual([plain(envelope)]);
    await remove(backend, address, copies);
    expect(await all(backend, other)).toHaveLength(2);
    await mailbox.retire(other);
    expect(await kept(server)).toEqual(NOTHING);
    await mailbox.close();
    connection.close();
  });
});

describe("a slot that is on its way", () => {
  const letterOf = (key: Buffer): string => key.toString("latin1", 5, 6);

  it("takes payloads along, before their mailboxes or after them, and no mail is taken for lost", async () => {
    await using cluster = await RedisCluster.start();
    await using on = await open(cluster.url, { commandMs: 400 });
    const { mailbox } = on.backend;
    for (const goesFirst of ["P", "moc"]) {
      const [address, other] = neighbours(2) as [DeviceAddress, DeviceAddress];
      const shared = aPayload();
      const mail = [sharing(clock, shared), sharing(clock, shared)];
      await store(on.backend, address, ...mail);
      await store(on.backend, other, sharing(clock, shared));
      const moving = await cluster.beginMoving(keys.mailbox(address).toString("latin1", 0, 6));
      const first = (await moving.left(100)).filter((key) => goesFirst.includes(letterOf(key)));
      expect(first.length).toBe(goesFirst === "P" ? 1 : 5);
      await moving.move(first);
      const FAILED = { is: "failed", code: "storage-failed" };
      const page = { address, after: START, maxEntries: 9, maxBytes: 9_999 };
      expect(await mailbox.read([page]), goesFirst).toEqual([FAILED]);
      await expect(mailbox.retire(other)).rejects.toMatchObject({ code: "storage-failed" });
      await moving.move(await moving.left(100));
      await moving.end();
      expect(await messages(all(on.backend, address))).toEqual(mail.map(plain));
      expect(await all(on.backend, other)).toHaveLength(1);
      for (const each of [address, other]) await remove(on.backend, each, await all(on.backend, each));
      for (const master of await cluster.masters()) expect(await kept(master)).toEqual(NOTHING);
      expect(on.events.filter(({ is }) => is === "payload-missing")).toEqual([]);
    }
  });
});
