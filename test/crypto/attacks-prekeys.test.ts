// Attacks on the life of prekeys: depletion, lost answers, crashes and restored stores. The directory is the relay's own.
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  fromBase64url,
  PATHS,
  type Time,
  toBytes,
} from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import type { Write } from "../../client-lib/delivery/events.ts";
import { KEY_TABLES, type KeyState, loadKeys, OWN, putKey } from "../../client-lib/keys/key-rows.ts";
import { firstPrekeys, PrekeyKeeper, putPrekeys } from "../../client-lib/keys/prekey-keeper.ts";
import { PairwiseCipher } from "../../client-lib/keys/pairwise-cipher.ts";
import {
  createIdentity,
  destroyAt,
  encodeIdentity,
  ONE_TIME_KEM_PREKEYS,
  ONE_TIME_LIFETIME_MS,
  ONE_TIME_PREKEYS,
  publicIdentity,
  ready,
  SIGNED_PREKEY_JITTER_MS,
  SIGNED_PREKEY_ROTATE_MS,
} from "../../crypto/index.ts";
import { MemoryDirectory } from "../../queue/memory/directory.ts";
import { DAY, Device, later, seededRandom, START } from "./support.ts";

beforeAll(ready);

const HOUR = 3_600_000;
const JITTER_MS = HOUR;

class Crash extends Error {}

type Json = Record<string, unknown>;
interface JsonKey {
  readonly id: string;
  readonly bytes: string;
}
const keyOf = ({ id, bytes }: JsonKey) => ({
  id: toBytes(fromBase64url(id) ?? ""),
  bytes: toBytes(fromBase64url(bytes) ?? ""),
});
const text = (id: Uint8Array): string => Buffer.from(id).toString("base64url");

/** One device, its store and the relay's directory. It can die before and after each write and each request. */
class World {
  readonly directory: MemoryDirectory;
  readonly address: DeviceAddress;
  rows = new Map<string, Uint8Array>();
  keys: KeyState;
  keeper: PrekeyKeeper;
  now: Time = START;
  edges = 0;
  crashAt = 0;
  readonly #random: ReturnType<typeof seededRandom>;
  /** Every key that the relay was ever given, by its id. */
  readonly uploaded = new Map<string, string>();

  private constructor(directory: MemoryDirectory, account: AccountId, seed: number) {
    this.#random = seededRandom(seed);
    this.directory = directory;
    this.address = addressOf(account, 1 as never);
    this.keys = undefined as unknown as KeyState;
    this.keeper = undefined as unknown as PrekeyKeeper;
  }

  static async begin(crashAt = 0, seed = 12): Promise<World> {
    const random = seededRandom(11);
    const identity = createIdentity({ random, now: START });
    const own = publicIdentity(identity);
    let world: World | undefined;
    const directory = new MemoryDirectory(() => world?.now ?? START);
    world = new World(directory, own.account, seed);
    const { device, signingKey, certificate, accountKey, listVersion, deviceList, accessKeyHash } = own;
    await directory.register({
      account: own.account,
      name: "anna" as never,
      accountKey,
      accessKeyHash,
      listVersion,
      deviceList,
      devices: [{ device, signingKey, certificate }],
    });
    world.#write([
      putKey("identity", OWN, encodeIdentity(identity)),
      ...putPrekeys(firstPrekeys(identity, random, START)),
    ]);
    world.crashAt = crashAt;
    world.load();
    return world;
  }

  /** The process starts, with what the store holds. */
  load(): void {
    const rows = Object.fromEntries(
      KEY_TABLES.map((table) => [
        table,
        [...this.rows]
          .filter(([key]) => key.startsWith(`${table}/`))
          .map(([key, value]) => ({ key: key.slice(table.length + 1), value })),
      ]),
    );
    this.keys = loadKeys(rows) as KeyState;
    this.keeper = new PrekeyKeeper({
      keys: this.keys,
      random: this.#random,
      refillDelay: () => JITTER_MS * (this.#random.below(1_000) / 1_000),
      commit: async (writes) => {
        this.#edge();
        this.#write(writes);
        this.#edge();
      },
      ask: async (method, path, json) => {
        this.#edge();
        const answer = await this.#relay(method, path, json as Json);
        this.#edge();
        return answer;
      },
    });
  }

  #edge(): void {
    this.edges++;
    if (this.edges === this.crashAt) throw new Crash();
  }

  #write(writes: readonly Write[]): void {
    for (const { table, key, value } of writes)
      if (value === undefined) this.rows.delete(`${table}/${key}`);
      else this.rows.set(`${table}/${key}`, value);
  }

  async #relay(method: string, path: string, json: Json): Promise<unknown> {
    if (path !== PATHS.prekeys) return {};
    if (method === "GET") {
      const held = await this.directory.heldPrekeys(this.address);
      const one = (id: Uint8Array | undefined) => (id === undefined ? null : text(id));
      return {
        signed: one(held?.signed),
        lastResort: one(held?.lastResort),
        oneTime: held?.oneTime.map(text),
        oneTimeKem: held?.oneTimeKem.map(text),
      };
    }
    const many = (field: string) => ((json[field] ?? []) as JsonKey[]).map(keyOf);
    const one = (field: string) => (json[field] === undefined ? undefined : keyOf(json[field] as JsonKey));
    const [signed, lastResort] = [one("signed"), one("lastResort")];
    for (const { id, bytes } of [...many("oneTime"), ...many("oneTimeKem"), signed, lastResort].filter(
      (k) => k !== undefined,
    )) {
      const known = this.uploaded.get(text(id));
      if (known !== undefined) expect(text(bytes), "a repeat sends the same bytes").toBe(known);
      this.uploaded.set(text(id), text(bytes));
    }
    await this.directory.putPrekeys(this.address, {
      signed,
      lastResort,
      oneTime: many("oneTime"),
      oneTimeKem: many("oneTimeKem"),
      replace: json["replace"] === true,
    });
    return {};
  }

  /** A round; if the process dies in it, the next one of a new process. */
  async round(): Promise<number> {
    try {
      return await this.keeper.round(this.now);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.load();
      return this.keeper.round(this.now);
    }
  }

  async take(count: number, prefix: string): Promise<void> {
    for (let i = 0; i < count; i++)
      await this.directory.takePrekeys({
        address: this.address,
        requester: new TextEncoder().encode(`${prefix}${i}`.padEnd(32)),
        oneTime: true,
      });
  }

  async held(): Promise<{ oneTime: string[]; oneTimeKem: string[]; signed: string[] }> {
    const held = await this.directory.heldPrekeys(this.address);
    const [oneTime, oneTimeKem] = [held?.oneTime ?? [], held?.oneTimeKem ?? []];
    const signed = [held?.signed, held?.lastResort].filter((id) => id !== undefined);
    return { oneTime: oneTime.map(text), oneTimeKem: oneTimeKem.map(text), signed: signed.map(text) };
  }

  get own(): Set<string> {
    return new Set([...this.keys.prekeys.keys()].map((id) => text(toBytes(id))));
  }
}

/** Depletion, rotation, a restored store: everything that moves prekeys. */
async function live(crashAt: number): Promise<World> {
  const world = await World.begin(crashAt);
  await world.round();
  const old = new Map(world.rows);
  await world.take(60, "early");
  await world.round();
  world.now = later(world.now, 3 * HOUR);
  await world.round();
  world.now = later(world.now, 3 * DAY);
  await world.round();
  await world.take(55, "late");
  // The store goes back to before the first hand-out; the relay says that its epoch is behind.
  world.rows = old;
  world.load();
  const cipher = new PairwiseCipher({
    keys: world.keys,
    random: seededRandom(3),
    name: "anna",
    relay: "relay",
    alarm: () => undefined,
  });
  for (const { table, key, value } of cipher.suspect(world.now))
    if (value !== undefined) world.rows.set(`${table}/${key}`, value);
  await world.round();
  return world;
}

describe("attack 12: keys that one side has and the other has not", () => {
  it("a death at every write and request, and a restored store: no id has two keys, and the relay lists no key that is not held", async () => {
    const whole = await live(0);
    expect(whole.edges).toBeGreaterThan(20);
    for (let edge = 1; edge <= whole.edges; edge++) {
      const world = await live(edge);
      world.crashAt = 0;
      await world.round();
      const held = await world.held();
      const own = world.own;
      for (const id of [...held.oneTime, ...held.oneTimeKem, ...held.signed])
        expect(own.has(id), `edge ${edge}: the relay lists a key that is not held`).toBe(true);
      expect(held.oneTime.length, `edge ${edge}`).toBeGreaterThanOrEqual(ONE_TIME_PREKEYS);
      expect(held.oneTimeKem.length, `edge ${edge}`).toBeGreaterThanOrEqual(ONE_TIME_KEM_PREKEYS);
      for (const [id, record] of world.keys.prekeys) {
        const known = world.uploaded.get(text(toBytes(id)));
        if (known !== undefined) expect(known).toBe(text(record.upload));
      }
    }
  }, 300_000);

  it("ids that the relay lists and the store does not hold lead to a full replacement", async () => {
    const world = await World.begin();
    await world.round();
    const before = await world.held();
    const id = toBytes(fromBase64url(before.oneTime[0] ?? "") ?? "");
    world.rows.delete(`prekey/${Buffer.from(id).toString("latin1")}`);
    world.load();
    expect(await world.round()).toBe(2 + ONE_TIME_PREKEYS + ONE_TIME_KEM_PREKEYS);
    const after = await world.held();
    expect(after.oneTime.filter((each) => before.oneTime.includes(each))).toEqual([]);
    expect(await world.round()).toBe(0);
  });

  it("so does a signed prekey, or a last-resort key, that the store does not hold", async () => {
    for (const at of [0, 1]) {
      const world = await World.begin();
      await world.round();
      const before = (await world.held()).signed;
      const id = toBytes(fromBase64url(before[at] ?? "") ?? "");
      world.rows.delete(`prekey/${Buffer.from(id).toString("latin1")}`);
      world.load();
      expect(await world.round()).toBe(2 + ONE_TIME_PREKEYS + ONE_TIME_KEM_PREKEYS);
      expect((await world.held()).signed.filter((each) => before.includes(each))).toEqual([]);
    }
  });

  it("that everything is to be replaced outlives the process", async () => {
    const world = await World.begin();
    await world.round();
    world.rows.set("identity/replace-pending", new Uint8Array());
    world.load();
    expect(world.keys.replacePending).toBe(true);
    expect(await world.round()).toBe(2 + ONE_TIME_PREKEYS + ONE_TIME_KEM_PREKEYS);
    world.load();
    expect(world.keys.replacePending).toBe(false);
  });
});

describe("attack 10: Prekey Pogo", () => {
  it("after 1,000 fetches a ratchet is still set up, from the last-resort key", async () => {
    const world = await World.begin();
    await world.round();
    await world.take(1_000, "pogo");
    const bundle = await world.directory.takePrekeys({
      address: world.address,
      requester: new Uint8Array(32).fill(9),
      oneTime: true,
    });
    expect(bundle).toMatchObject({ oneTime: undefined, oneTimeKem: undefined });
    const [anna, ben] = [new Device(seededRandom(1)), new Device(seededRandom(2))];
    anna.start(ben, ben.bundle({ oneTime: false, oneTimeKem: false }));
    expect(ben.read(anna.send(ben, "all the same"))).toBe("all the same");
  });

  it("the refill is made at a random time after it was found to be due, not when the device comes", async () => {
    const waits: number[] = [];
    for (let run = 0; run < 12; run++) {
      const world = await World.begin(0, run);
      await world.round();
      await world.take(80, `pogo${run}`);
      const noticed = world.now;
      expect(await world.round(), "nothing is uploaded when it is noticed").toBe(0);
      const due = world.keeper.refillAt ?? noticed;
      world.now = (due - 1) as Time;
      if (due > noticed) expect(await world.round()).toBe(0);
      world.now = due;
      expect(await world.round()).toBeGreaterThanOrEqual(80);
      waits.push(due - noticed);
      expect(due - noticed).toBeLessThanOrEqual(JITTER_MS);
    }
    expect(new Set(waits).size).toBeGreaterThan(6);
  });
});

describe("attack 11: a lost answer", () => {
  it("costs no keys: the same requester gets the same ones for ten minutes, another one others", async () => {
    const world = await World.begin();
    await world.round();
    const ask = (requester: number) =>
      world.directory.takePrekeys({
        address: world.address,
        requester: new Uint8Array(32).fill(requester),
        oneTime: true,
      });
    const first = await ask(1);
    expect(await ask(1)).toEqual(first);
    expect((await ask(2))?.oneTime).not.toEqual(first?.oneTime);
    world.now = later(world.now, 600_001);
    expect((await ask(1))?.oneTime).not.toEqual(first?.oneTime);
    expect((await world.held()).oneTime).toHaveLength(ONE_TIME_PREKEYS - 3);
  });
});

describe("times of prekeys (attacks 8, 9: what is kept, and how long)", () => {
  it("the signed pair is replaced after 48 h, give or take 6, by its own id; the old halves live on", async () => {
    const world = await World.begin();
    await world.round();
    const [before] = (await world.held()).signed;
    world.now = later(START, SIGNED_PREKEY_ROTATE_MS - SIGNED_PREKEY_JITTER_MS - 1);
    await world.round();
    expect((await world.held()).signed[0]).toBe(before);
    world.now = later(START, SIGNED_PREKEY_ROTATE_MS + SIGNED_PREKEY_JITTER_MS);
    await world.round();
    expect((await world.held()).signed[0]).not.toBe(before);
    expect(world.own.has(before ?? "")).toBe(true);
  });

  it("one-time keys that were handed out and never used are destroyed R + 2 d after it was noticed, others replaced before 60 d", async () => {
    const world = await World.begin();
    await world.round();
    const listed = new Set((await world.held()).oneTime);
    await world.take(3, "never-used");
    await world.round();
    const left = new Set((await world.held()).oneTime);
    const out = [...listed].filter((id) => !left.has(id));
    expect(out).toHaveLength(3);
    const record = [...world.keys.prekeys.values()].find(({ id }) => text(toBytes(id)) === out[0]);
    if (record === undefined) throw new Error("not kept");
    world.now = (destroyAt(record, START) - 1) as Time;
    await world.round();
    expect(out.every((id) => world.own.has(id))).toBe(true);
    world.now = later(world.now, 1);
    await world.round();
    expect(out.some((id) => world.own.has(id))).toBe(false);
    world.now = later(START, ONE_TIME_LIFETIME_MS - DAY);
    await world.round();
    const renewed = (await world.held()).oneTime;
    expect(renewed.filter((id) => left.has(id))).toEqual([]);
    expect(renewed).toHaveLength(ONE_TIME_PREKEYS);
  });
});
