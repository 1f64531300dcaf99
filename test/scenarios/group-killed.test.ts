// One ciphertext for a group's devices, some of them away, while relays are killed in the middle of handing it out: what
// was accepted comes once and in order, and nothing of it is left behind.
import { envelopeIdFor, ready } from "@lethe/crypto";
import { toHex } from "@lethe/protocol";
import { Redis } from "ioredis";
import { beforeAll, expect, it } from "vitest";
import { Keys } from "../../queue/redis/keys.ts";
import { Chance } from "../support/chance.ts";
import { GroupDevice, GroupSender, markOf, Notes } from "../support/crowd/group-wire.ts";
import { judgeWire } from "../support/crowd/wire-judge.ts";
import { Fleet } from "../support/fleet.ts";
import { aFolder, contentsOf } from "../support/folder.ts";
import { Person } from "../support/person.ts";
import { aQuietPort } from "../support/ports.ts";
import { keysOf, valuesOf } from "../support/redis-values.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { eventually } from "../support/waiting.ts";

const KILLS = 20;
const PRESENT = 12;
const ABSENT = 12;
/** The absent lie in so few shards that they have payloads in common. */
const SHARDS = 3;
const BYTES = 2_000;
/** Uploads between two kills, and how many of them are under way at once. */
const EACH = 16;
const WINDOW = 4;
const PATIENCE_MS = 60_000;
/** Twenty starts of a process and more: on a machine that is busy with other tests they are most of the time. */
const LONGEST_MS = 400_000;

beforeAll(ready);

/** Relays that are killed and started again. */
interface Relays {
  readonly running: readonly RelayProcess[];
  readonly count: number;
  kill(i: number): Promise<void>;
  start(i: number): Promise<void>;
}

/** A group on some relays, through all kills; resolves once everybody is back and has everything. */
class Group {
  readonly notes = new Notes();
  readonly sender: GroupSender;
  readonly present: readonly GroupDevice[];
  readonly absent: readonly GroupDevice[];
  readonly #relays: Relays;
  readonly #chance: Chance;
  #up = Promise.withResolvers<undefined>();
  /** Uploads that were half done at a kill, over all kills. */
  halfDone = 0;
  readonly #began = performance.now();

  constructor(
    relays: Relays,
    chance: Chance,
    people: { present: readonly Person[]; absent: readonly Person[] },
  ) {
    this.#relays = relays;
    this.#chance = chance;
    const where = (): Promise<RelayProcess> => this.#where();
    const device = (person: Person): GroupDevice => new GroupDevice(person, where, this.notes);
    this.present = people.present.map(device);
    this.absent = people.absent.map(device);
    const members = [...people.present, ...people.absent];
    this.sender = new GroupSender({ members, where, notes: this.notes, bytes: BYTES, window: WINDOW });
  }

  get devices(): readonly GroupDevice[] {
    return [...this.present, ...this.absent];
  }

  async #where(): Promise<RelayProcess> {
    for (;;) {
      const { running } = this.#relays;
      if (running.length > 0) return this.#chance.pick(running);
      await this.#up.promise;
    }
  }

  async through(kills: number): Promise<void> {
    for (const device of this.present) {
      device.forgets = { chance: this.#chance, oneIn: 40 };
      device.come();
    }
    this.sender.start();
    for (let kill = 0; kill < kills; kill++) {
      this.sender.allow(EACH);
      await this.#amid();
      const first = this.#chance.below(this.#relays.count);
      const victims = this.#chance.oneIn(6)
        ? Array.from({ length: this.#relays.count }, (_, i) => i)
        : [first];
      this.halfDone += this.sender.halfDone;
      await Promise.all(victims.map((victim) => this.#relays.kill(victim)));
      await this.#someMove();
      await Promise.all(victims.map((victim) => this.#relays.start(victim)));
      this.#up.resolve(undefined);
      this.#up = Promise.withResolvers();
    }
    await eventually(PATIENCE_MS, "every answer", () => (this.sender.isDone ? true : undefined));
  }

  /** A random moment at which part of an upload is answered and part of it is not. */
  async #amid(): Promise<void> {
    const { sender, notes } = this;
    const most = (EACH - WINDOW) * (PRESENT + ABSENT);
    await notes.until(notes.events + this.#chance.below(most));
    while (sender.halfDone === 0) {
      if (sender.isDone) sender.allow(1);
      await notes.until(notes.events + 1);
    }
  }

  /** One of those who are there goes, or comes back. */
  async #someMove(): Promise<void> {
    const device = this.#chance.pick(this.present);
    if (device.isOnline) await device.go();
    else device.come();
  }

  /** Everybody connects anew and takes what is owed. */
  async everybody(): Promise<void> {
    await this.sender.stop();
    await Promise.all(this.devices.map((device) => device.go()));
    for (const device of this.devices) {
      device.forgets = undefined;
      device.come();
    }
    await eventually(PATIENCE_MS, "everything at everybody", () =>
      judgeWire(this.notes.histories).missing === 0 ? true : undefined,
    );
  }

  async end(): Promise<void> {
    await this.sender.stop();
    await Promise.all(this.devices.map((device) => device.go()));
  }

  /** Once, in order, whole, and nothing else. */
  judge(what: string): void {
    const { faults, ...counts } = judgeWire(this.notes.histories);
    const seconds = ((performance.now() - this.#began) / 1_000).toFixed(0);
    process.stdout.write(
      `${what}: ${JSON.stringify(counts)}, ${this.sender.uploads.length} uploads, ${this.halfDone} of them half done at a kill, ${seconds} s\n`,
    );
    expect(this.sender.refused).toEqual([]);
    expect(faults.slice(0, 20)).toEqual([]);
    expect(counts.accepted).toBe(counts.submitted);
    for (const { person, taken } of this.devices) {
      const first = new Map<string, string>();
      for (const { id, mark } of taken) if (!first.has(id)) first.set(id, mark);
      const wanted = this.sender.uploads.map(({ groupEnvelope, ciphertext }) => [
        toHex(envelopeIdFor(groupEnvelope, person.address)),
        markOf(ciphertext),
      ]);
      expect([...first]).toEqual(wanted);
    }
    expect(this.halfDone).toBeGreaterThanOrEqual(KILLS);
    expect(counts.resubmitted).toBeGreaterThan(0);
    expect(counts.redelivered).toBeGreaterThan(0);
  }
}

const keys = new Keys(256);

function someone(name: string, isFit: (shard: number) => boolean = () => true): Person {
  for (;;) {
    const person = Person.called(name);
    if (isFit(keys.shardOf(person.address))) return person;
  }
}

async function peopleOn(relay: RelayProcess): Promise<{ present: Person[]; absent: Person[] }> {
  const present = Array.from({ length: PRESENT }, () => someone("present"));
  const absent = Array.from({ length: ABSENT }, (_, i) => someone("absent", (shard) => shard === i % SHARDS));
  for (const person of [...present, ...absent]) await person.register(relay);
  return { present, absent };
}

it(
  `two relays on one Redis, killed ${KILLS} times in the middle of a group's mail, lose nothing and leave no payload behind`,
  async () => {
    const chance = Chance.forThisRun("a group on Redis");
    await using fleet = await Fleet.start({ nodes: 2, chance });
    const relays: Relays = {
      get running() {
        return fleet.nodes.filter(({ running }) => running);
      },
      count: 2,
      kill: (i) => fleet.killNode(i),
      start: (i) => fleet.startNode(i),
    };
    const people = await peopleOn(fleet.node(0));
    const group = new Group(relays, chance, people);
    await group.through(KILLS);

    const shards = new Set(group.devices.map(({ person }) => keys.shardOf(person.address)));
    const values = await valuesOf(fleet.redis);
    for (const { ciphertext } of group.sender.uploads) {
      const copies = values.filter((value) => value.includes(ciphertext)).length;
      expect(copies).toBeGreaterThanOrEqual(SHARDS);
      expect(copies).toBeLessThanOrEqual(shards.size);
    }
    await group.everybody();
    await eventually(PATIENCE_MS, "an empty store", async () => {
      const redis = new Redis(fleet.redis.url);
      const left = [...(await keysOf(redis, "m")), ...(await keysOf(redis, "P"))];
      redis.disconnect();
      return left.length === 0 ? true : undefined;
    });
    group.judge("two relays on Redis");
    expect(await fleet.total("lethe_unresolved_total")).toBe(0);
    await group.end();
  },
  LONGEST_MS,
);

it(
  `a relay with its own disk, killed ${KILLS} times in the middle of a group's mail, loses nothing and leaves no payload behind`,
  async () => {
    const chance = Chance.forThisRun("a group on one disk");
    await using folder = await aFolder();
    const port = await aQuietPort(chance);
    const start = (): Promise<RelayProcess> => RelayProcess.start({ data: folder.path, port, log: "warn" });
    let relay = await start();
    const relays: Relays = {
      get running() {
        return relay.running ? [relay] : [];
      },
      count: 1,
      kill: () => relay.kill(),
      async start() {
        relay = await start();
      },
    };
    const group = new Group(relays, chance, await peopleOn(relay));
    await group.through(KILLS);

    const { uploads } = group.sender;
    const found = async (): Promise<number> => {
      const files = await contentsOf(folder.path);
      return uploads.filter(({ ciphertext }) => files.some(({ bytes }) => bytes.includes(ciphertext))).length;
    };
    expect(await found()).toBe(uploads.length); // else the search shows nothing
    await group.everybody();
    await eventually(PATIENCE_MS, "empty mailboxes", async () =>
      (await relay.metric("lethe_mailbox_envelopes")) === 0 ? true : undefined,
    );
    group.judge("a relay with its own disk");
    expect(await relay.metric("lethe_unresolved_total")).toBe(0);
    await group.end();
    await relay.stop(); // an end in peace forgets at once; forgets.test.ts holds the bound
    expect(await found()).toBe(0);
  },
  LONGEST_MS,
);
