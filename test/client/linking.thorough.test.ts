// A second device of an account, over a real relay: linked, refused, given up, crashed in between, and removed.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { accessKey, decodeIdentity } from "@lethe/crypto";
import { decodeAll, type Time } from "@lethe/protocol";
import {
  Client,
  type ClientErrorCode,
  type ClientStore,
  type Clock,
  type Linking,
  type LinkingView,
  openMemoryStore,
  systemClock,
} from "@lethe/client";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { contactRow } from "../../client-lib/delivery/rows.ts";
import { Chance } from "../support/chance.ts";
import { Fleet } from "../support/fleet.ts";
import { aFolder, type Folder } from "../support/folder.ts";
import { lastingStore } from "../support/linked-store.ts";
import { eventually, within } from "../support/waiting.ts";
import { RelayProcess } from "./support/relay-process.ts";

const PATIENCE_MS = 30_000;
const PROCESS = fileURLToPath(new URL("support/linking-process.ts", import.meta.url));

let relay: RelayProcess;
let folder: Folder;
let people = 0;
const open = new Set<Client>();
const children = new Set<ChildProcess>();

beforeAll(async () => {
  relay = await RelayProcess.start();
  folder = await aFolder();
});
afterEach(async () => {
  for (const client of open) await client.close();
  open.clear();
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});
afterAll(async () => {
  await relay[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** A clock that can be put ahead. */
class Ahead implements Clock {
  by = 0;
  now = (): Time => (systemClock.now() + this.by) as Time;
  after = systemClock.after.bind(systemClock);
  soon = systemClock.soon.bind(systemClock);
}

const person = (name: string): string => `${name}-${++people}`;
const kept = (client: Client): Client => {
  open.add(client);
  return client;
};
const shared = { receiptJitterMs: 20, requests: "accept" } as const;

async function someone(
  user = person("anna"),
  options: { clock?: Clock; store?: string | ClientStore; at?: string } = {},
) {
  const { at = relay.url, store = openMemoryStore(), ...rest } = options;
  return kept(await Client.create({ relay: at, user, store, ...shared, ...rest }));
}

/** A new device, from its code on. */
class Fresh {
  readonly store = lastingStore();
  readonly clock = new Ahead();
  readonly code: Promise<string>;
  readonly compared: Promise<{ digits: string; user: string }>;
  readonly client: Promise<Client>;
  readonly stopped = new AbortController();

  constructor(at = relay.url, user?: string) {
    const [code, compared] = [
      Promise.withResolvers<string>(),
      Promise.withResolvers<{ digits: string; user: string }>(),
    ];
    this.code = code.promise;
    this.compared = compared.promise;
    const view: LinkingView = {
      show: code.resolve,
      compare: (digits, of) => compared.resolve({ digits, user: of }),
      signal: this.stopped.signal,
    };
    const named = user === undefined ? {} : { user };
    const { store, clock } = this;
    this.client = Client.createLinked({ relay: at, store, clock, ...named, ...shared }, view).then(kept);
    this.client.catch(code.reject);
    this.client.catch(() => undefined);
  }
}

async function refused(what: Promise<unknown>, code: ClientErrorCode): Promise<void> {
  await expect(within(PATIENCE_MS, code, what)).rejects.toMatchObject({ code });
}

/** Both sides have digits, and they are the same. */
async function compared(phone: Client, fresh: Fresh): Promise<Linking> {
  const linking = await phone.devices.link(await fresh.code);
  expect(linking.digits).toMatch(/^\d{6}$/);
  expect(await fresh.compared).toEqual({ digits: linking.digits, user: phone.user });
  return linking;
}

async function linked(phone: Client, at?: string): Promise<Client> {
  const fresh = new Fresh(at);
  await (await compared(phone, fresh)).confirm();
  return fresh.client;
}

const isOnline = (client: Client): Promise<unknown> =>
  client.connection === "online"
    ? Promise.resolve()
    : client.once("connection", ({ state }) => state === "online");
const numbers = (client: Client): number[] => client.devices.list().map(({ number }) => number);
const nextText = async (client: Client): Promise<string | undefined> => (await client.once("message")).text;

describe("a phone and a laptop", () => {
  it("become one account: both connect, both have what somebody sends", async () => {
    const [phone, ben] = [await someone(), await someone(person("ben"))];
    const laptop = await linked(phone);
    expect(laptop.user).toBe(phone.user);
    expect(laptop.account).toBe(phone.account);
    await Promise.all([isOnline(phone), isOnline(laptop)]);
    const both = Promise.all([nextText(phone), nextText(laptop)]);
    await ben.send(phone.user, "to both of you");
    expect(await both).toEqual(["to both of you", "to both of you"]);
    const started = Date.now() - 60_000;
    expect(phone.devices.list()).toMatchObject([
      { number: 1, isPrimary: true, isThis: true },
      { number: 2, isPrimary: false, isThis: false },
    ]);
    for (const { createdAt } of phone.devices.list()) expect(createdAt).toBeGreaterThan(started);
    expect(laptop.devices.list()).toMatchObject([
      { number: 1, isPrimary: true, isThis: false },
      { number: 2, isPrimary: false, isThis: true },
    ]);
  });

  it("are opened again as what they are", async () => {
    const phone = await someone();
    const fresh = new Fresh();
    await (await compared(phone, fresh)).confirm();
    await (await fresh.client).close();
    const { store } = fresh;
    const laptop = kept(await Client.create({ relay: relay.url, user: phone.user, store, ...shared }));
    await isOnline(laptop);
    expect(numbers(laptop)).toEqual([1, 2]);
    await refused(laptop.devices.link("x"), "primary-only");
    await refused(laptop.devices.remove(1), "primary-only");
    await refused(
      Client.createLinked({ relay: relay.url, store }, { show() {}, compare() {} }),
      "store-of-another",
    );
  });

  it("are linked also where the new device is cut off before its prekeys are there: it goes on when it is opened", async () => {
    const phone = await someone();
    const fresh = new Fresh();
    const linking = await compared(phone, fresh);
    const real = globalThis.fetch;
    globalThis.fetch = (input, init) =>
      init?.method === "PUT" && typeof input === "string" && input.endsWith("/v1/prekeys")
        ? Promise.reject(new Error("the network is gone"))
        : real(input, init);
    const confirmed = linking.confirm();
    try {
      await refused(fresh.client, "relay-unreachable");
    } finally {
      globalThis.fetch = real;
    }
    const { store } = fresh;
    const laptop = kept(await Client.create({ relay: relay.url, user: phone.user, store, ...shared }));
    await within(PATIENCE_MS, "the laptop", confirmed);
    expect(numbers(phone)).toEqual(numbers(laptop));
  });

  it("a third and a fourth get numbers that were never used, whatever became of the others", async () => {
    const phone = await someone();
    await linked(phone);
    await phone.devices.remove(2);
    await linked(phone);
    expect(numbers(phone)).toEqual([1, 3]);
    const given = new Fresh();
    await (await compared(phone, given)).cancel();
    await refused(given.client, "linking-ended");
    await linked(phone);
    expect(numbers(phone)).toEqual([1, 3, 5]);
  });
});

describe("a linking", () => {
  it("whose digits differ leaves nothing: no device, no message at the relay, nothing in the new store", async () => {
    const phone = await someone();
    const fresh = new Fresh();
    const linking = await compared(phone, fresh);
    await linking.cancel();
    await refused(fresh.client, "linking-ended");
    expect(numbers(phone)).toEqual([1]);
    await refused(linking.confirm(), "linking-expired");
    expect(numbers(phone)).toEqual([1]);
    expect(await fresh.store.list("identity")).toEqual([]);
    expect(await fresh.store.list("prekey")).toEqual([]);
  });

  it("of a code that was used is refused, while it goes on and afterwards", async () => {
    const [phone, other] = [await someone(), await someone(person("eve"))];
    const fresh = new Fresh();
    const linking = await compared(phone, fresh);
    await refused(other.devices.link(await fresh.code), "linking-taken");
    await refused(phone.devices.link(await fresh.code), "linking-under-way");
    await linking.confirm();
    await fresh.client;
    await refused(other.devices.link(await fresh.code), "linking-ended");
    await refused(phone.devices.link(await fresh.code), "linking-ended");
    expect(numbers(other)).toEqual([1]);
    expect(numbers(phone)).toEqual([1, 2]);
  });

  it("ends 120 s after its code was shown, on either side, and a new one goes on", async () => {
    const clock = new Ahead();
    const phone = await someone(undefined, { clock });
    const fresh = new Fresh();
    const code = await fresh.code;
    fresh.clock.by = 120_000;
    await refused(fresh.client, "linking-expired");
    const link = phone.devices.link(code);
    link.catch(() => undefined);
    await eventually(PATIENCE_MS, "the offer", async () => {
      const path = `/v1/linking/${Buffer.from(code, "base64url").subarray(1, 17).toString("hex")}/offer`;
      return (await fetch(relay.url + path)).status === 200 ? true : undefined;
    });
    clock.by = 120_000;
    await refused(link, "linking-expired");
    clock.by = 0;
    await linked(phone);
  });

  it("is refused for what is no code, for one of another relay and for another account than was expected", async () => {
    const phone = await someone();
    await refused(phone.devices.link("https://lethe.example/link#AAAA"), "linking-refused");
    await using elsewhere = await RelayProcess.start();
    const other = new Fresh(elsewhere.url);
    const code = await other.code;
    const moved = Buffer.from(code, "base64url");
    moved[40] = (moved[40] ?? 0) ^ 1;
    await refused(phone.devices.link(moved.toString("base64url")), "linking-refused");
    other.stopped.abort();
    await refused(other.client, "linking-cancelled");
    const expecting = new Fresh(relay.url, person("somebody"));
    const link = phone.devices.link(await expecting.code);
    link.catch(() => undefined);
    await refused(expecting.client, "linking-other-account");
    await refused(link, "linking-ended");
    expect(numbers(phone)).toEqual([1]);
  });

  it("is given up by the new device or by the primary one, and another begins", async () => {
    const phone = await someone();
    const fresh = new Fresh();
    await fresh.code;
    fresh.stopped.abort();
    await refused(fresh.client, "linking-cancelled");
    const stop = new AbortController();
    const waiting = phone.devices.link(await new Fresh().code, { signal: stop.signal });
    await refused(phone.devices.link("x"), "linking-under-way");
    stop.abort();
    await waiting.then(
      (linking) => linking.cancel(), // the new device was quicker
      () => undefined,
    );
    await linked(phone);
  });
});

/** The access key that contacts of a store's account are given, in hexadecimal. */
async function accessKeyIn(store: ClientStore): Promise<string> {
  const own = await store.get("identity", "own");
  return Buffer.from(accessKey(decodeIdentity(own ?? new Uint8Array()))).toString("hex");
}

/** The access key that a store's account has of somebody. */
async function accessKeyOf(store: ClientStore, account: string): Promise<string> {
  const rows = await store.list("contact");
  const row = rows.find(({ key }) => Buffer.from(key, "latin1").toString("hex") === account);
  return Buffer.from(decodeAll(contactRow, row?.value ?? new Uint8Array()).accessKey ?? []).toString("hex");
}

describe("a device that is removed", () => {
  it("gets nothing any more; contacts go on with a new access key", async () => {
    const [phones, bens] = [openMemoryStore(), openMemoryStore()];
    const phone = await someone(undefined, { store: phones });
    const ben = await someone(person("ben"), { store: bens });
    const laptop = await linked(phone);
    await isOnline(laptop);
    const both = Promise.all([nextText(phone), nextText(laptop)]);
    await ben.send(phone.user, "before");
    await both;
    const answered = nextText(ben);
    await phone.send(ben.user, "yes");
    await answered;
    const before = await accessKeyIn(phones);
    expect(await accessKeyOf(bens, phone.account)).toBe(before);
    const [stopped, told] = [laptop.once("stopped"), phone.once("prekeys")];
    await phone.devices.remove(2);
    expect(numbers(phone)).toEqual([1]);
    expect(["device-removed", "authentication-failed"]).toContain(
      (await within(10_000, "the end of the laptop", stopped)).code,
    );
    await told; // the relay has the new access key
    const after = await accessKeyIn(phones);
    expect(after).not.toBe(before);
    await eventually(PATIENCE_MS, "the new access key at Ben's", async () =>
      (await accessKeyOf(bens, phone.account)) === after ? true : undefined,
    );
    const arrived = nextText(phone);
    await ben.send(phone.user, "after");
    expect(await arrived).toBe("after");
    await refused(phone.devices.remove(2), "not-listed");
    await refused(phone.devices.remove(1), "own-device");
  });
});

/** The primary device, killed at one place while it links; then opened again. */
async function killedAt(where: "published" | "granting" | "granted", fresh: Fresh) {
  const [user, store] = [person("anna"), join(folder.path, `${where}.db`)];
  await (await someone(user, { store })).close();
  const child = spawn(process.execPath, [PROCESS, relay.url, user, store, await fresh.code, where], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.add(child);
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line === `at ${where}`) break;
  }
  expect(lines).toEqual([`digits ${(await fresh.compared).digits}`, `at ${where}`]);
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
  return { user, store };
}

const untilNumbers = (client: Client, expected: readonly number[]): Promise<unknown> =>
  eventually(PATIENCE_MS, `devices ${expected.join(" ")}`, () =>
    numbers(client).join() === expected.join() ? true : undefined,
  );

describe("a primary device that is killed", () => {
  it("between publishing and the grant takes the new device out again at its next start", async () => {
    const fresh = new Fresh();
    const { user, store } = await killedAt("published", fresh);
    const phone = await someone(user, { store });
    await untilNumbers(phone, [1]);
    fresh.stopped.abort();
    await refused(fresh.client, "linking-cancelled");
    const laptop = await linked(phone);
    await isOnline(laptop);
    expect(numbers(phone)).toEqual([1, 3]);
  });

  it("before its grant has left waits as long as the new device may come, then takes it out", async () => {
    const fresh = new Fresh();
    const { user, store } = await killedAt("granting", fresh);
    const clock = new Ahead();
    const phone = await someone(user, { store, clock });
    await isOnline(phone);
    expect(numbers(phone)).toEqual([1, 2]);
    await refused(phone.devices.link("x"), "linking-under-way");
    clock.by = 200_000;
    await untilNumbers(phone, [1]);
    fresh.stopped.abort();
  });

  it("behind its grant finds the new device come, and keeps it", async () => {
    const fresh = new Fresh();
    const { user, store } = await killedAt("granted", fresh);
    const laptop = await fresh.client;
    const clock = new Ahead();
    clock.by = 200_000;
    const phone = await someone(user, { store, clock });
    await isOnline(laptop);
    expect(numbers(phone)).toEqual([1, 2]);
    await eventually(PATIENCE_MS, "the end of the linking", () =>
      phone.devices
        .link("x")
        .catch(({ code }: { code: string }) => (code === "linking-refused" ? true : undefined)),
    );
    expect(numbers(phone)).toEqual([1, 2]);
  });
});

describe("two devices at two nodes over Redis", () => {
  it("are linked, both get their mail, and one is removed through the other's node", async () => {
    await using fleet = await Fleet.start({ nodes: 2, chance: Chance.forThisRun("linked devices") });
    const [here = "", there = ""] = fleet.urls;
    const phone = await someone(person("anna"), { at: here });
    const ben = await someone(person("ben"), { at: here });
    const laptop = await linked(phone, there);
    await Promise.all([isOnline(phone), isOnline(laptop)]);
    const both = Promise.all([nextText(phone), nextText(laptop)]);
    await ben.send(phone.user, "to both");
    expect(await both).toEqual(["to both", "to both"]);
    const stopped = laptop.once("stopped");
    await phone.devices.remove(2);
    await within(10_000, "the end of the laptop", stopped);
    for (const client of open) await client.close();
    open.clear();
  });
});
