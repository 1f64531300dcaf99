// The embedded mailbox against its twin in memory: random operations with restarts, crashes of the process and losses
// of power, forgetting and time. After each operation both answer the same; after a crash only what was not answered may
// be missing, and only what was removed since the last forgetting may be back. What envelopes share is on the disk once
// after a forgetting where any of them is left, and else not at all.
import fc from "fast-check";
import type { DeviceAddress, EnvelopeId, Position, Time } from "@lethe/protocol";
import {
  type Entry,
  type Envelope,
  type NodeId,
  openMemoryBackend,
  type Owner,
  type PayloadId,
} from "@lethe/queue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { all, anAddress } from "../contracts/world.ts";
import { chanceOf } from "./disk.ts";
import { occurrences } from "../support/folder.ts";
import { TestDirectory, TestStore } from "./support.ts";

let directory: TestDirectory;
beforeAll(async () => {
  directory = await TestDirectory.open();
});
afterAll(() => directory[Symbol.asyncDispose]());

const LIMITS = { envelopes: 6, bytes: 3_000 };
const DEVICES = 3;
/** Runs of either kind; more by the environment. */
const RUNS = Number(process.env["LETHE_RUNS"] ?? 60);
const LOSSES = Math.ceil(RUNS / 3);

/** Ciphertexts that envelopes share: their bytes stand nowhere else. */
const SHARED = [700, 250, 40].map((bytes, i) => ({
  payload: String(i).repeat(32) as PayloadId,
  ciphertext: Buffer.from(Array.from({ length: bytes }, (_, at) => (at * (i + 3) * 37) & 0xff)),
}));

type Step =
  | {
      readonly is: "append";
      readonly device: number;
      readonly as: "nobody" | "owner" | "release";
      readonly sizes: readonly number[];
      /** Which shared ciphertext its envelopes of a group have; undefined: bytes of their own. */
      readonly shared: number | undefined;
      readonly ttl: number;
    }
  | { readonly is: "claim"; readonly device: number; readonly epoch: number; readonly session: number }
  | { readonly is: "remove"; readonly device: number; readonly which: number }
  | { readonly is: "read"; readonly device: number; readonly maxEntries: number; readonly maxBytes: number }
  | { readonly is: "pass"; readonly ms: number }
  | { readonly is: "sweep" }
  | { readonly is: "retire"; readonly device: number }
  | { readonly is: "forget"; readonly which: "due" | "all" }
  | { readonly is: "restart" }
  | { readonly is: "crash"; readonly how: "process" | "power" };

const device = fc.nat(DEVICES - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      is: fc.constant("append" as const),
      device,
      as: fc.constantFrom("nobody" as const, "owner" as const, "release" as const),
      sizes: fc.array(fc.nat(900), { minLength: 1, maxLength: 4 }),
      shared: fc.option(fc.nat(SHARED.length - 1), { nil: undefined, freq: 2 }),
      ttl: fc.constantFrom(-1, 1_000, 60_000, 3_600_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      is: fc.constant("claim" as const),
      device,
      epoch: fc.nat(12),
      session: fc.nat(3),
    }),
  },
  { weight: 6, arbitrary: fc.record({ is: fc.constant("remove" as const), device, which: fc.nat(7) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      is: fc.constant("read" as const),
      device,
      maxEntries: fc.integer({ min: 1, max: 4 }),
      maxBytes: fc.nat(2_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ is: fc.constant("pass" as const), ms: fc.constantFrom(500, 1_000, 30_000) }),
  },
  { weight: 1, arbitrary: fc.constant({ is: "sweep" as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ is: fc.constant("retire" as const), device: fc.constant(DEVICES - 1) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      is: fc.constant("forget" as const),
      which: fc.constantFrom("due" as const, "all" as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ is: "restart" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      is: fc.constant("crash" as const),
      how: fc.constantFrom("process" as const, "power" as const),
    }),
  },
);

/** Both stores, fed the same, and what links their positions. */
class Pair {
  readonly real: TestStore;
  readonly addresses = Array.from({ length: DEVICES }, anAddress);
  readonly #twin: ReturnType<typeof openMemoryBackend>;
  readonly #owners = new Map<DeviceAddress, Owner>();
  /** The twin's position of each of the real store's. */
  readonly #positions = new Map<Position, Position>();
  #ids = 0;

  private constructor(real: TestStore) {
    this.real = real;
    this.#twin = openMemoryBackend({ now: real.clock.now, limits: LIMITS, timers: real.clock });
  }

  static async open(seed: number): Promise<Pair> {
    return new Pair(await TestStore.open(directory, { limits: LIMITS, seed }));
  }

  async close(): Promise<void> {
    await this.real.close();
    await this.#twin.close();
  }

  async run(step: Step): Promise<void> {
    switch (step.is) {
      case "append":
        return this.#append(step);
      case "claim":
        return this.#claim(step);
      case "remove":
        return this.#remove(step);
      case "read":
        return this.#read(step);
      case "pass":
        return this.real.clock.pass(step.ms);
      case "sweep":
        await Promise.all([this.real.mailbox.sweep(), this.#twin.mailbox.sweep()]);
        return;
      case "retire":
        return this.#retire(step);
      case "forget":
        await this.real.forget(step.which);
        return step.which === "all" ? this.#keepsOnce() : undefined;
      case "restart":
        await this.real.restart();
        return this.#dropOwners();
      case "crash":
        return this.#crash(step);
    }
  }

  /** Both hold the same mail, in the same order, for every device. */
  async compare(): Promise<void> {
    for (const address of this.addresses) {
      const looks = await Promise.all([
        this.real.mailbox.look([address]),
        this.#twin.mailbox.look([address]),
      ]);
      expect(looks[0]).toEqual(looks[1]);
      if (looks[0]?.[0]?.is !== "seen") continue;
      const [real, twin] = await Promise.all([all(this.real.backend, address), all(this.#twin, address)]);
      expect(real.map(plain)).toEqual(twin.map(plain));
      expect(real.map(({ position }) => this.#positions.get(position))).toEqual(
        twin.map(({ position }) => position),
      );
    }
  }

  /** Of each shared ciphertext there is as much on the disk as the mailboxes need. */
  async #keepsOnce(): Promise<void> {
    const looks = await this.#twin.mailbox.look(this.addresses);
    const open = this.addresses.filter((_, i) => looks[i]?.is === "seen");
    const held = (await Promise.all(open.map((address) => all(this.#twin, address)))).flat();
    for (const { ciphertext } of SHARED) {
      const isHeld = held.some((entry) => Buffer.compare(entry.ciphertext, ciphertext) === 0);
      expect(this.#copies(ciphertext)).toBe(isHeld ? 1 : 0);
    }
  }

  #copies(bytes: Buffer): number {
    return this.real.disk.files().reduce((copies, { shown }) => copies + occurrences(shown, bytes), 0);
  }

  #addressOf(n: number): DeviceAddress {
    return this.addresses[n] as DeviceAddress;
  }

  #ownerOf(address: DeviceAddress): Owner {
    return this.#owners.get(address) ?? { node: "nobody" as NodeId, session: 0 };
  }

  #envelopes({ sizes, shared, ttl }: Extract<Step, { is: "append" }>): Envelope[] {
    return sizes.map((size, i) => ({
      id: String(++this.#ids).padStart(16, "0") as EnvelopeId,
      kind: i % 2 === 0 ? "pairwise" : "group",
      expiry: (this.real.clock.now() + ttl) as Time,
      ciphertext: Buffer.alloc(size, this.#ids),
      ...(shared === undefined || (sizes.length > 2 && i % 2 === 0) ? {} : SHARED[shared]),
    }));
  }

  async #append(step: Extract<Step, { is: "append" }>): Promise<void> {
    const address = this.#addressOf(step.device);
    const item = {
      address,
      owner: this.#ownerOf(address),
      suspect: undefined,
      envelopes: this.#envelopes(step),
    };
    const verb = (
      { nobody: "appendUnlessOwned", owner: "appendAsOwner", release: "appendAndRelease" } as const
    )[step.as];
    const [[real], [twin]] = await Promise.all([
      this.real.mailbox[verb]([item]),
      this.#twin.mailbox[verb]([item]),
    ]);
    if (real?.is === "stored" && twin?.is === "stored") this.#link(real.outcomes, twin.outcomes);
    else expect(real).toEqual(twin);
  }

  #link(real: readonly unknown[], twin: readonly unknown[]): void {
    expect(real.map((outcome) => typeof outcome === "number" || outcome)).toEqual(
      twin.map((outcome) => typeof outcome === "number" || outcome),
    );
    for (const [i, outcome] of real.entries()) {
      if (typeof outcome === "number") this.#positions.set(outcome as Position, twin[i] as Position);
    }
  }

  async #claim({ device, epoch, session }: Extract<Step, { is: "claim" }>): Promise<void> {
    const address = this.#addressOf(device);
    const claim = { address, owner: { node: "node" as NodeId, session }, epoch };
    const [real, twin] = await Promise.all([
      this.real.mailbox.claim([claim]),
      this.#twin.mailbox.claim([claim]),
    ]);
    expect(real).toEqual(twin);
    if (real[0]?.is === "claimed") this.#owners.set(address, claim.owner);
  }

  async #remove({ device, which }: Extract<Step, { is: "remove" }>): Promise<void> {
    const address = this.#addressOf(device);
    if ((await this.real.mailbox.look([address]))[0]?.is !== "seen") return;
    const entries = await all(this.real.backend, address);
    const gone = entries.filter((_, i) => (which >> (i % 3)) % 2 === 1);
    await this.#removeFromBoth(address, gone);
  }

  async #removeFromBoth(address: DeviceAddress, entries: readonly Entry[]): Promise<void> {
    await this.real.mailbox.remove([{ address, entries }]);
    await this.#removeFromTwin(
      address,
      entries.map(({ position, id }) => ({ position: this.#twinOf(position), id })),
    );
  }

  async #removeFromTwin(
    address: DeviceAddress,
    entries: { position: Position; id: EnvelopeId }[],
  ): Promise<void> {
    await this.#twin.mailbox.remove([{ address, entries }]);
  }

  #twinOf(position: Position): Position {
    return this.#positions.get(position) ?? (-1 as Position);
  }

  async #read({ device, maxEntries, maxBytes }: Extract<Step, { is: "read" }>): Promise<void> {
    const read = { address: this.#addressOf(device), after: 0 as Position, maxEntries, maxBytes };
    const [[real], [twin]] = await Promise.all([
      this.real.mailbox.read([read]),
      this.#twin.mailbox.read([read]),
    ]);
    if (real?.is !== "page" || twin?.is !== "page") expect(real).toEqual(twin);
    else expect([real.entries.map(plain), real.owner]).toEqual([twin.entries.map(plain), twin.owner]);
  }

  async #retire({ device }: Extract<Step, { is: "retire" }>): Promise<void> {
    const address = this.#addressOf(device);
    expect(await this.real.mailbox.retire(address)).toEqual(await this.#twin.mailbox.retire(address));
  }

  /** Owners live in the process; the twin has no crash, so its owners are released. */
  async #dropOwners(): Promise<void> {
    for (const [address, owner] of this.#owners) {
      await this.#twin.mailbox.appendAndRelease([{ address, owner, envelopes: [] }]);
    }
    this.#owners.clear();
  }

  async #crash({ how }: Extract<Step, { is: "crash" }>): Promise<void> {
    const underWay = this.#startAppend();
    await this.real.crash(how);
    await underWay.settled;
    await this.#dropOwners();
    for (const address of this.addresses) await this.#mend(address, underWay.ids);
  }

  /** An append that the crash falls into: it may be there afterwards, and nobody may have been told that it is. */
  #startAppend(): { ids: ReadonlySet<EnvelopeId>; settled: Promise<void> } {
    const address = this.#addressOf(0);
    const envelopes = this.#envelopes({
      is: "append",
      device: 0,
      as: "nobody",
      sizes: [700, 700],
      shared: this.#ids % 2 === 0 ? 0 : undefined,
      ttl: 3_600_000,
    });
    const owner = this.#owners.get(address);
    const settled = this.real.mailbox
      .appendUnlessOwned([{ address, suspect: owner, envelopes }])
      .then(([result]) => {
        const told =
          result?.is === "stored" ? result.outcomes.filter((outcome) => typeof outcome === "number") : [];
        expect(told).toEqual([]);
      });
    return { ids: new Set(envelopes.map(({ id }) => id)), settled };
  }

  /** Takes out of the real store what came back, and what was under way; all else must be as it was. */
  async #mend(address: DeviceAddress, underWay: ReadonlySet<EnvelopeId>): Promise<void> {
    const [[look], twin] = await Promise.all([
      this.real.mailbox.look([address]),
      this.#twin.mailbox.look([address]),
    ]);
    if (look?.is !== "seen" || twin[0]?.is !== "seen") return;
    const held = new Set((await all(this.#twin, address)).map(({ id }) => id));
    const found = await all(this.real.backend, address);
    const extra = found.filter(({ id }) => !held.has(id));
    for (const { id, position } of extra)
      expect(underWay.has(id) || this.#positions.has(position)).toBe(true);
    await this.real.mailbox.remove([{ address, entries: extra }]);
  }
}

function plain({ id, kind, expiry, ciphertext }: Entry): unknown {
  return { id, kind, expiry, bytes: Buffer.from(ciphertext).toString("hex") };
}

describe("the embedded mailbox against its twin", () => {
  it("answers the same over random operations, restarts, crashes and losses of power", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(2 ** 31),
        fc.array(step, { minLength: 5, maxLength: 40 }),
        async (seed, steps) => {
          const pair = await Pair.open(seed);
          for (const each of steps) {
            await pair.run(each);
            await pair.compare();
          }
          await pair.close();
        },
      ),
      { numRuns: RUNS, endOnFailure: false },
    );
  });

  it("loses nothing that it answered as stored, over losses of power in the middle of everything", async () => {
    const seed = Number(process.env["LETHE_SEED"] ?? Date.now() % 1_000_000);
    console.info(`losses of power: seed ${seed}`);
    for (let run = 0; run < LOSSES; run++) {
      const chance = chanceOf(seed + run);
      const opened = await TestStore.open(directory, { seed: seed + run });
      opened.disk.writesShort = chance() < 0.5;
      const address = anAddress();
      const payloads = [0, 1].map(() => ({
        payload: String(chance()).padEnd(32).slice(0, 32) as PayloadId,
        ciphertext: Buffer.from(Array.from({ length: 200 + chance() * 500 }, () => chance() * 256)),
      }));
      const kept = new Set<EnvelopeId>();
      const removed = new Set<EnvelopeId>();
      for (let life = 0; life < 4; life++) {
        const appends = Array.from({ length: 30 }, async (_, i) => {
          const id = `${run}.${life}.${i}`.padStart(16, "0") as EnvelopeId;
          const expiry = (opened.clock.now() + 3_600_000) as Time;
          const envelope: Envelope = {
            id,
            kind: "pairwise",
            expiry,
            ciphertext: Buffer.alloc(Math.floor(chance() * 800), i),
            ...(i % 2 === 0 ? payloads[i % 4 === 0 ? 0 : 1] : {}),
          };
          for (let wait = Math.floor(chance() * 40); wait > 0; wait--)
            await new Promise((resolve) => setImmediate(resolve));
          const [result] = await opened.mailbox.appendUnlessOwned([
            { address, suspect: undefined, envelopes: [envelope] },
          ]);
          if (result?.is === "stored" && typeof result.outcomes[0] === "number" && !removed.has(id))
            kept.add(id);
        });
        const removals = (async () => {
          for (let i = 0; i < 5; i++) {
            const entries = (await all(opened.backend, address)).filter(() => chance() < 0.2);
            for (const { id } of entries) {
              removed.add(id);
              kept.delete(id);
            }
            await opened.mailbox.remove([{ address, entries }]);
            await opened.forget("all");
          }
        })();
        for (let wait = Math.floor(chance() * 200); wait > 0; wait--)
          await new Promise((resolve) => setImmediate(resolve));
        const told = Promise.allSettled([...appends, removals]);
        await opened.crash(chance() < 0.5 ? "power" : "process");
        await told;
        const entries = await all(opened.backend, address);
        const found = new Set(entries.map(({ id }) => id));
        expect([...kept].filter((id) => !found.has(id))).toEqual([]);
        expect(opened.eventsOf("storage-failed")).toEqual([]);
        for (const { id, ciphertext } of entries) {
          const i = Number(id.split(".")[2]);
          if (i % 2 === 0) expect(ciphertext).toEqual(payloads[i % 4 === 0 ? 0 : 1]?.ciphertext);
        }
      }
      await opened.mailbox.remove([{ address, entries: await all(opened.backend, address) }]);
      await opened.forget("all");
      for (const { ciphertext } of payloads) expect(opened.disk.holds(ciphertext)).toBe(false);
      await opened.close();
    }
  });
});
