// Where a relay says what it takes, or to wait, its clients obey: real clients, a real relay, and an answer of it changed
// on the way where it has to be unkind.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { PATHS } from "@lethe/protocol";
import {
  Client,
  type ClientOptions,
  type Clock,
  openMemoryStore,
  relayPolicy,
  systemClock,
} from "@lethe/client";
import { aFolder, type Folder } from "../support/folder.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { type Cutting, cutting } from "./support/cutting.ts";

const TTL_S = 3_600;
const ENVELOPE_BYTES = 20_000;
const WAIT_MS = 120_000;

let folder: Folder;
let relay: RelayProcess;
const open = new Set<Client>();

beforeAll(async () => {
  folder = await aFolder();
  const flags = ["--envelope-bytes", String(ENVELOPE_BYTES), "--ttl", String(TTL_S), "--idle-days", "30"];
  relay = await RelayProcess.start({ data: folder.path, flags });
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const client of open) await client.close();
  open.clear();
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

async function client(user: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const made = await Client.create({
    relay: relay.url,
    user,
    store: openMemoryStore(),
    requests: "accept",
    receiptJitterMs: 20,
    ...options,
  });
  open.add(made);
  return made;
}

const urlOf = (input: string | URL | Request): string =>
  input instanceof Request ? input.url : input.toString();

/** The connection is lost, and made again. */
async function again(of: Client, lines: Cutting): Promise<void> {
  const online = of.once("connection", ({ state }) => state === "online");
  expect(lines.cut(PATHS.deviceSocket)).toBe(1);
  await online;
}

describe("the relay's policy", () => {
  it("is known before there is an account, and to a client that runs", async () => {
    const policy = await relayPolicy(relay.url);
    expect(policy).toMatchObject({
      registration: "open",
      limits: { envelopeBytes: ENVELOPE_BYTES },
      retention: { mailMs: TTL_S * 1_000, idleAccountMs: 30 * 86_400_000 },
    });
    const anna = await client("anna");
    const known = anna.policy ?? (await anna.once("policy")).policy;
    expect({ ...known, now: policy.now }).toEqual(policy);
  });

  it("is asked for once in its lifetime, whatever becomes of connections", async () => {
    const asked = vi.spyOn(globalThis, "fetch");
    const lines = cutting();
    const ben = await client("ben", { openSocket: lines.openSocket });
    if (ben.policy === undefined) await ben.once("policy");
    if (ben.connection !== "online") await ben.once("connection", ({ state }) => state === "online");
    for (let i = 0; i < 3; i++) await again(ben, lines);
    const policies = asked.mock.calls.filter(([input]) => urlOf(input).endsWith(PATHS.policy));
    expect(policies).toHaveLength(1);
  });

  it("makes a message that is too large one that is not sent, and the next one goes", async () => {
    const [cleo, dora] = [await client("cleo"), await client("dora")];
    const arrived = dora.once("message");
    await cleo.send("dora", "x".repeat(10_000));
    await arrived;
    // Under the limit as it is written, over it in its padding.
    for (const length of [19_900, 60_000])
      await expect(cleo.send("dora", "x".repeat(length))).rejects.toMatchObject({ code: "body-too-large" });
    const next = dora.once("message");
    await cleo.send("dora", "small");
    expect((await next).text).toBe("small");
    const refused = [...(await relay.metrics())].filter(([name]) => name.includes("envelope-too-large"));
    expect(refused).toEqual([]);
  });
});

describe("a relay that asks to wait", () => {
  /** The relay's answer to requests of this path is that there are too many. */
  function rateLimited(path: string): { count: () => number; relent: () => void } {
    const real = globalThis.fetch;
    let count = 0;
    let limited = true;
    vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
      if (!urlOf(input).endsWith(path)) return real(input, init);
      count += 1;
      if (!limited) return real(input, init);
      const problem = { code: "rate-limited", says: "Too many.", now: Date.now(), retryAfter: WAIT_MS };
      return Promise.resolve(new Response(JSON.stringify(problem), { status: 429 }));
    });
    return { count: () => count, relent: () => void (limited = false) };
  }

  /** A clock that can be moved; it keeps how long was to be waited. */
  function movable(): { clock: Clock; waits: number[]; move: (ms: number) => void } {
    const waits: number[] = [];
    let ahead = 0;
    const clock: Clock = {
      ...systemClock,
      now: () => (systemClock.now() + ahead) as ReturnType<Clock["now"]>,
      after: (ms, call) => (waits.push(ms), systemClock.after(ms, call)),
    };
    return { clock, waits, move: (ms) => void (ahead += ms) };
  }

  it("is told to whoever wants to register", async () => {
    const { count } = rateLimited(PATHS.accounts);
    await expect(client("emma")).rejects.toMatchObject({ code: "rate-limited", retryAfter: WAIT_MS });
    expect(count()).toBe(1);
  });

  it("is not asked about prekeys before that, whatever becomes of connections, and is after", async () => {
    const store = `${folder.path}/finn.db`;
    const first = await client("finn", { store });
    await first.once("prekeys");
    await first.close();
    open.delete(first);
    const { count, relent } = rateLimited(PATHS.prekeys);
    const { clock, waits, move } = movable();
    const lines = cutting();
    const finn = await client("finn", { store, clock, openSocket: lines.openSocket });
    await finn.once("error");
    expect(count()).toBe(1);
    expect(waits.some((ms) => ms >= WAIT_MS)).toBe(true);
    for (let i = 0; i < 3; i++) await again(finn, lines);
    expect(count()).toBe(1);
    move(WAIT_MS);
    relent();
    const uploaded = finn.once("prekeys");
    await again(finn, lines);
    await uploaded;
    expect(count()).toBeGreaterThan(1);
  });
});
