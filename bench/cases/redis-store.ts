// Mail through Redis: stored, read and removed at the store's own interface, by one process, with batches such as a relay's
// turns have; and what a mailbox takes of Redis's memory.
import { randomBytes } from "node:crypto";
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  type EnvelopeId,
  type Position,
  type Time,
} from "@lethe/protocol";
import { type Backend, DEFAULT_MAILBOX_LIMITS, type Envelope, openBackend } from "@lethe/queue";
import type { BenchCase, Context, Measured } from "../harness/case.ts";
import { cpuSeconds } from "../harness/cpu.ts";
import { aFolder, type Server } from "../harness/server.ts";
import { redisVersion, startRedis, storeUrl, usedBytes } from "../peers/redis.ts";

const BYTES = 300;
/** Calls under way, and mailboxes in each: 1,600 in flight as in the case `store`. */
const CALLERS = 16;
const BATCH = 100;
const PAGE = { maxEntries: 64, maxBytes: 262_144 };
const MAILBOXES = 100_000;

export const redisStore: BenchCase = {
  name: "redis-store",
  title: "Through Redis",
  method:
    `Redis with the shipped configuration (append-only file synced before every answer). ${CALLERS} callers with batches of ${BATCH} ` +
    `envelopes of ${BYTES} B each, to 1,000 mailboxes that nobody owns; then all of it is read in pages and removed. CPU is that of the ` +
    `Redis process over both. Memory: ${MAILBOXES.toLocaleString("en")} mailboxes with one envelope each, Redis's own count before and after.`,
  metrics: [
    {
      name: "redisCpu",
      says: "Redis CPU a message stored, read, removed",
      unit: "µs",
      bar: 30,
      better: "less",
    },
    { name: "storeCpu", says: "of it, stored", unit: "µs", better: "less" },
    { name: "rate", says: "messages stored", unit: "/s", bar: 20_000, better: "more" },
    { name: "drainRate", says: "messages read and removed", unit: "/s", better: "more" },
    { name: "nodeCpu", says: "CPU of the caller a message", unit: "µs", better: "less" },
    {
      name: "memory",
      says: "Redis memory a mailbox with one envelope",
      unit: "B",
      bar: 1_000,
      better: "less",
    },
  ],
  open(context) {
    context.note(`Redis ${redisVersion()}`);
    return { once: () => measure(context), close: () => Promise.resolve() };
  },
};

async function measure(context: Context): Promise<Measured> {
  await using folder = await aFolder();
  await using redis = await startRedis(folder.path);
  const backend = await openBackend({
    kind: "redis",
    url: storeUrl(redis),
    replicas: 0,
    limits: DEFAULT_MAILBOX_LIMITS,
    report: ({ is }) => context.note(is),
  });
  try {
    const { scale } = context;
    const addresses = someAddresses(scale.offline);
    const memory = await memoryOfMailboxes(backend, redis, scale.quick ? 2_000 : MAILBOXES);
    await through(backend, redis, addresses, scale.warmUp / 4);
    return { ...(await through(backend, redis, addresses, scale.messages)), memory };
  } finally {
    await backend.close();
  }
}

async function through(
  backend: Backend,
  redis: Server,
  addresses: readonly DeviceAddress[],
  messages: number,
) {
  const before = reading(redis);
  await fill(backend, addresses, messages);
  const stored = reading(redis);
  const drained = await drain(backend, addresses);
  const after = reading(redis);
  if (drained !== messages) throw new Error(`${drained} read, ${messages} were stored`);
  const each = (cpu: number): number => (cpu / messages) * 1e6;
  return {
    redisCpu: each(after.redis - before.redis),
    storeCpu: each(stored.redis - before.redis),
    nodeCpu: each(after.own - before.own),
    rate: (messages / (stored.at - before.at)) * 1e3,
    drainRate: (messages / (after.at - stored.at)) * 1e3,
  };
}

function reading(redis: Server): { redis: number; own: number; at: number } {
  return { redis: redis.cpu(), own: cpuSeconds(process.pid), at: performance.now() };
}

async function fill(backend: Backend, addresses: readonly DeviceAddress[], messages: number): Promise<void> {
  let left = messages;
  let next = 0;
  const caller = async (): Promise<void> => {
    while (left > 0) {
      const count = Math.min(BATCH, left);
      left -= count;
      const items = Array.from({ length: count }, () => {
        const address = addresses[next++ % addresses.length] as DeviceAddress;
        return { address, suspect: undefined, envelopes: [anEnvelope()] };
      });
      for (const result of await backend.mailbox.appendUnlessOwned(items))
        if (result.is !== "stored" || typeof result.outcomes[0] !== "number") throw new Error(result.is);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

async function drain(backend: Backend, addresses: readonly DeviceAddress[]): Promise<number> {
  let drained = 0;
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < addresses.length) {
      let some = addresses.slice(next, (next += BATCH / 4));
      while (some.length > 0) {
        const reads = some.map((address) => ({ address, after: 0 as Position, ...PAGE }));
        const pages = await backend.mailbox.read(reads);
        const found = some.flatMap((address, i) => {
          const page = pages[i];
          if (page?.is !== "page") throw new Error(page?.is);
          return page.entries.length === 0 ? [] : [{ address, entries: page.entries }];
        });
        for (const { entries } of found) drained += entries.length;
        await backend.mailbox.remove(found);
        some = found.map(({ address }) => address);
      }
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return drained;
}

async function memoryOfMailboxes(backend: Backend, redis: Server, count: number): Promise<number> {
  const addresses = someAddresses(count);
  const before = usedBytes(redis);
  await fill(backend, addresses, count);
  const after = usedBytes(redis);
  await drain(backend, addresses);
  return (after - before) / count;
}

function someAddresses(count: number): DeviceAddress[] {
  return Array.from({ length: count }, () =>
    addressOf(randomBytes(16).toString("latin1") as AccountId, 1 as DeviceNumber),
  );
}

function anEnvelope(): Envelope {
  const bytes = randomBytes(16 + BYTES);
  return {
    id: bytes.toString("latin1", 0, 16) as EnvelopeId,
    kind: "pairwise",
    expiry: (Date.now() + 86_400_000) as Time,
    ciphertext: bytes.subarray(16),
  };
}
