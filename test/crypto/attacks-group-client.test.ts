// Groups under attack, in real client cores on the real cryptography: what a relay, a member and somebody who was one can do.
import {
  type AccountId,
  type DeviceNumber,
  type EnvelopeId,
  PROBLEMS,
  type Time,
  toBytes,
} from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { bodyOf } from "../../client-lib/content/content.ts";
import type { MessageId } from "../../client-lib/delivery/events.ts";
import type { KnownGroup } from "../../client-lib/groups/group-store.ts";
import { MAX_GROUPS, MAX_UNKNOWN_WAITING } from "../../client-lib/groups/limits.ts";
import type { Change } from "../../client-lib/groups/rows.ts";
import { encodeTelling } from "../../client-lib/groups/told.ts";
import {
  accessKey,
  changeGroup,
  type ChangedGroup,
  createGroup,
  envelopeIdFor,
  type GroupId,
  memberOf,
  type PinnedAccount,
  ready,
  tellState,
} from "../../crypto/index.ts";
import { AttackWorld, type Seen, type Side } from "./attack-world.ts";
import { LIST_LIFETIME_MS } from "../../crypto/limits.ts";
import { linkDevice } from "./linking-support.ts";
import { seededRandom } from "./support.ts";

await ready();

const NO_CHANGE: Omit<Change, "kind"> = { accounts: [], name: "", writers: "members" };

/** A world in which a group is. The first named has made it. */
class GroupWorld extends AttackWorld {
  group: GroupId | "" = "";
  #asks = 0;

  found(name: string, ...members: string[]): this {
    const [first = "", ...rest] = members;
    for (const other of rest) this.befriend(first, other);
    const accounts = rest.map((other) => this.side(other).account);
    this.change(first, { kind: "add", accounts, name });
    this.group = [...this.side(first).core.view.groups()][0]?.id as GroupId;
    return this;
  }

  /** Without a group there is to be one. */
  change(who: string, change: Partial<Change> & Pick<Change, "kind">): string {
    const side = this.side(who);
    this.#asks += 1;
    const ask = this.#asks;
    const group = this.group === "" ? undefined : this.group;
    this.step(side, { event: "group-change", ask, group, change: { ...NO_CHANGE, ...change } });
    this.pass(3_000);
    return side.tellsOf("group-done").find((told) => told.ask === ask)?.code ?? "no answer";
  }

  tell(from: string, text: string, group = this.group as GroupId): MessageId {
    const message = text.padEnd(16, "\0").slice(0, 16) as MessageId;
    const body = bodyOf({ is: "text", text });
    this.step(this.side(from), { event: "group-send", message, group, body });
    this.pass(3_000);
    return message;
  }

  known(who: string): KnownGroup {
    return this.side(who).core.view.group(this.group as GroupId) as KnownGroup;
  }

  hash(who: string): string {
    return Buffer.from(this.known(who).view.state.hash).toString("hex");
  }

  /** The ciphertexts that somebody has uploaded for a group, one each. */
  uploads(from: string) {
    return this.frames.flatMap(({ from: who, frame }) =>
      who === from && frame.frame === "submit-group" ? [frame] : [],
    );
  }
}

const texts = (side: Side): string[] =>
  side.texts.filter((text) => !text.startsWith("hello") && !text.startsWith("so,"));

describe("groups in the client", () => {
  it("control: everybody reads everybody, in order, once", () => {
    const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
    world.tell("anna", "one");
    world.tell("ben", "two");
    world.tell("carla", "three");
    world.tell("anna", "four");
    for (const name of ["ben", "carla"])
      expect(texts(world.side(name)).sort()).toEqual(
        ["one", "two", "three", "four"]
          .filter((text) => !(name === "ben" ? ["two"] : ["three"]).includes(text))
          .sort(),
      );
    expect(texts(world.side("anna"))).toEqual(["two", "three"]);
    for (const side of world.sides.values()) expect(side.mailbox).toEqual([]);
    for (const side of world.sides.values()) expect(side.codes).toEqual([]);
  });

  it("attack 34: a state that a member who is no admin has signed changes nothing", () => {
    const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
    const before = world.hash("carla");
    const ben = world.side("ben");
    const { state, sealKey } = world.known("ben").view;
    // Ben's library refuses; Ben makes the state past it, from an admin's words about himself.
    const refused = changeGroup({
      identity: ben.keys.identity,
      state,
      change: { kind: "rename", name: "mine" },
      random: seededRandom(1),
    });
    expect(refused.code).toBe("not-admin");
    const forged = {
      ...state,
      members: state.members.map((each) =>
        each.account === ben.account ? { ...each, role: "admin" as const } : each,
      ),
    };
    const made = changeGroup({
      identity: ben.keys.identity,
      state: forged,
      change: { kind: "rename", name: "mine" },
      random: seededRandom(2),
    });
    if (made.code !== "ok" || sealKey === undefined) throw new Error("no state");
    const told = tellState(made.state, made.sealKey, world.side("carla").account);
    const telling = encodeTelling({
      kind: "state",
      accessKey: accessKey(ben.keys.identity),
      name: "ben",
      told,
    });
    world.befriend("ben", "carla");
    sendControl(world, "ben", "carla", telling);
    expect(world.hash("carla")).toBe(before);
    expect(world.known("carla").view.state.name).toBe("trip");
  });

  it("attack 35: who was removed reads nothing further of anybody, also of a member who was away", () => {
    const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
    world.tell("carla", "before");
    const carla = world.side("carla");
    carla.away = true;
    expect(world.change("anna", { kind: "remove", accounts: [world.side("ben").account] })).toBe("ok");
    world.tell("anna", "without ben");
    expect(world.known("ben").standing).toBe("left");
    world.comeBack(carla);
    world.tell("carla", "carla is back");
    expect(texts(carla)).toEqual(["without ben"]);
    expect(texts(world.side("anna"))).toEqual(["before", "carla is back"]);
    const ben = world.side("ben");
    for (const { recipients } of [...world.uploads("anna").slice(-1), ...world.uploads("carla").slice(-1)])
      expect(recipients.map(({ account }) => account)).not.toContain(ben.account);
    // The relay gives Ben a copy of everything all the same, and his store still holds what it held before.
    const had = texts(ben);
    for (const { ciphertext, id } of world.seen.filter(({ to }) => to === "carla" || to === "anna"))
      world.inject(ben, id, ciphertext);
    expect(texts(ben)).toEqual(had);
  });

  it("attack 36: who comes later reads nothing from before", () => {
    const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben");
    world.tell("anna", "secret");
    world.befriend("anna", "carla");
    expect(world.change("anna", { kind: "add", accounts: [world.side("carla").account] })).toBe("ok");
    world.tell("anna", "welcome");
    for (const { ciphertext, id } of world.seen.filter(({ to }) => to === "ben"))
      world.inject(world.side("carla"), id, ciphertext);
    expect(texts(world.side("carla"))).toEqual(["welcome"]);
  });

  it("attack 38: a group's envelope that comes as a pairwise one, or the reverse, is quarantined", () => {
    const world = new GroupWorld("anna", "ben").found("trip", "anna", "ben");
    let swapped = 0;
    world.tell("anna", "one");
    const group = world.seen.findLast(({ to, ciphertext }) => to === "ben" && ciphertext[0] === 0x81);
    const pairwise = world.seen.findLast(({ to, ciphertext }) => to === "ben" && ciphertext[0] !== 0x81);
    const ben = world.side("ben");
    const before = texts(ben);
    for (const [mail, kind] of [
      [group, "pairwise"],
      [pairwise, "group"],
    ] as const) {
      if (mail === undefined) throw new Error("nothing was sent");
      world.inject(ben, `${kind}`.padEnd(16, "-") as never, mail.ciphertext, kind);
      swapped += 1;
    }
    expect(swapped).toBe(2);
    expect(texts(ben)).toEqual(before);
    expect(ben.codes).toHaveLength(2);
  });

  it("attack 39: two admins change the group at once; all come to hold both changes", () => {
    const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
    expect(world.change("anna", { kind: "promote", accounts: [world.side("ben").account] })).toBe("ok");
    const [anna, ben] = [world.side("anna"), world.side("ben")];
    const ask = (side: Side, ask: number, change: Partial<Change> & Pick<Change, "kind">): void =>
      world.step(side, {
        event: "group-change",
        ask,
        group: world.group as GroupId,
        change: { ...NO_CHANGE, ...change },
      });
    ask(anna, 101, { kind: "rename", name: "journey" });
    ask(ben, 102, { kind: "writers", writers: "admins" });
    world.pass(5_000);
    expect(new Set(["anna", "ben", "carla"].map((name) => world.hash(name))).size).toBe(1);
    expect(world.known("carla").view.state).toMatchObject({ name: "journey", writers: "admins", epoch: 4 });
  });

  it("attack 41: a receipt counts once, of a member alone, and for what it was given", () => {
    const world = new GroupWorld("anna", "ben", "carla", "mallory").found("trip", "anna", "ben", "carla");
    world.befriend("anna", "mallory");
    const message = world.tell("anna", "one");
    world.pass(10_000);
    const progress = () => world.side("anna").core.view.groupSent(message);
    expect(progress()).toMatchObject({ of: 2, read: [] });
    expect(progress()?.delivered).toHaveLength(2);
    // Somebody who is no member says that it has read it; and a member says it again and again.
    for (const who of ["mallory", "ben", "ben"]) {
      world.step(world.side(who), { event: "read", from: world.side("anna").account, messages: [message] });
      world.pass(10_000);
    }
    expect(progress()?.read).toEqual([world.side("ben").account]);
    // What came before comes again: every envelope to Anna.
    const replayed = world.seen.filter(({ to }) => to === "anna");
    for (const [i, { ciphertext }] of replayed.entries())
      world.inject(world.side("anna"), `again${i}`.padEnd(16, "-") as never, ciphertext, "pairwise");
    expect(progress()?.read).toEqual([world.side("ben").account]);
    expect(progress()?.delivered).toHaveLength(2);
    // A message id that Anna never sent to the group is nobody's to confirm.
    const unknown = "never sent......" as MessageId;
    world.step(world.side("ben"), {
      event: "read",
      from: world.side("anna").account,
      messages: [unknown],
      group: world.group as GroupId,
    });
    world.pass(10_000);
    expect(world.side("anna").core.view.groupSent(unknown)).toBeUndefined();
  });

  it("attack 42: the relay sees no name, no role, no sender, no group and no content of it", () => {
    const world = new GroupWorld("anna", "ben", "carla");
    const name = "the quiet conspiracy";
    world.found(name, "anna", "ben", "carla");
    world.change("anna", { kind: "promote", accounts: [world.side("ben").account] });
    world.tell("ben", "meet at the bridge at nine");
    world.pass(20_000);
    const seen = Buffer.concat(world.frames.flatMap(({ frame }) => partsOf(frame)));
    for (const text of [name, "meet at the bridge at nine", "admin"]) expect(seen.includes(text)).toBe(false);
    const { state } = world.known("anna").view;
    for (const bytes of [toBytes(world.group), state.hash, state.bytes.subarray(-64), state.nonce])
      expect(seen.includes(Buffer.from(bytes))).toBe(false);
    const uploads = world.uploads("ben");
    expect(uploads.length).toBeGreaterThan(0);
    for (const { recipients } of uploads)
      expect(recipients.map(({ account }) => account).sort()).toEqual(
        [...world.sides.values()].map(({ account }) => account).sort(),
      );
    for (const { from, on, frame } of world.frames)
      if (frame.frame === "submit-group") expect(`${from} ${on}`).toBe(`${from} anonymous`);
    expect(memberOf(state, world.side("ben").account)?.role).toBe("admin");
  });

  it("a state that a device nobody has listed has signed: its maker's list is asked for now and then, not time and again", () => {
    const world = new GroupWorld("anna", "mallory");
    world.befriend("anna", "mallory");
    const mallory = world.side("mallory");
    const { linked } = linkDevice(mallory.keys.identity, 2 as DeviceNumber, seededRandom(3), world.now);
    const made = createGroup({
      identity: linked,
      name: "trap",
      writers: "members",
      accounts: [mallory.cipher.groupKeys().account(world.side("anna").account) as PinnedAccount],
      random: seededRandom(4),
    });
    let asked = 0;
    world.lies = (frame, to) => {
      if (to.name === "anna" && frame.frame === "has-devices" && ++asked > 20) throw new Error("without end");
      return frame;
    };
    sendControl(world, "mallory", "anna", stateTelling(mallory, made, world.side("anna").account));
    expect(asked).toBe(1);
    world.pass(3_600_000);
    expect(asked).toBeLessThan(10);
    expect([...world.side("anna").core.view.groups()]).toEqual([]);
  });

  it("a member who gives a group of its own the seal key of this one takes no message away", () => {
    const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
    const [ben, carla] = [world.side("ben"), world.side("carla")];
    world.befriend("ben", "carla");
    world.tell("anna", "one");
    const seal = world.known("ben").view.sealKey?.reveal() as Uint8Array;
    const chance = seededRandom(5);
    const made = createGroup({
      identity: ben.keys.identity,
      name: "shadow",
      writers: "members",
      accounts: [ben.cipher.groupKeys().account(carla.account) as PinnedAccount],
      random: { bytes: (n) => (n === seal.length ? seal.slice() : chance.bytes(n)) },
    });
    sendControl(world, "ben", "carla", stateTelling(ben, made, carla.account));
    expect([...carla.core.view.groups()].map(({ view }) => view.state.name)).toEqual(["trip", "shadow"]);
    world.tell("anna", "two");
    expect(texts(carla)).toEqual(["one", "two"]);
    world.start(carla);
    world.tell("anna", "three");
    expect(texts(carla)).toEqual(["one", "two", "three"]);
    expect(carla.codes).toEqual([]);
  });

  it("what a stranger has filled the waiting room with keeps no message out that is there before its state", () => {
    const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
    const carla = world.side("carla");
    for (let i = 0; i < MAX_UNKNOWN_WAITING + 5; i++) {
      const garbage = seededRandom(1_000 + i).bytes(400);
      garbage[0] = 0x81;
      world.inject(carla, `garbage ${i}`.padEnd(16, "-") as never, garbage);
    }
    expect(carla.codes).toHaveLength(5);
    const held: Seen[] = [];
    world.hostile = (mail) => {
      if (mail.to !== "carla" || mail.ciphertext[0] === 0x81) return mail.ciphertext;
      held.push(mail);
      return undefined;
    };
    expect(world.change("anna", { kind: "remove", accounts: [world.side("ben").account] })).toBe("ok");
    world.tell("anna", "early");
    expect(texts(carla)).toEqual([]);
    for (const { id, ciphertext } of held) world.inject(carla, id, ciphertext, "pairwise");
    expect(texts(carla)).toEqual(["early"]);
  });

  it("what is written while the relay is not there waits for members whose keys are not known", () => {
    const world = new GroupWorld("ben", "anna", "carla").found("trip", "ben", "anna", "carla");
    const [anna, carla] = [world.side("anna"), world.side("carla")];
    world.step(anna, { event: "stop" });
    world.tell("anna", "one");
    world.pass(120_000);
    world.step(anna, { event: "start" });
    world.pass(10_000);
    expect(texts(carla)).toEqual(["one"]);
  });

  it("with an own list that is too old to send by, nothing is sent, and no chain made time and again", () => {
    const world = new GroupWorld("anna", "ben").found("trip", "anna", "ben");
    world.tell("anna", "one");
    const anna = world.side("anna");
    world.now = (world.now + LIST_LIFETIME_MS) as Time;
    let commits = 0;
    const write = anna.write.bind(anna);
    anna.write = (writes) => {
      if (++commits > 200) throw new Error("without end");
      write(writes);
    };
    const before = world.uploads("anna").length;
    world.tell("anna", "two");
    world.pass(120_000);
    expect(world.uploads("anna")).toHaveLength(before);
    expect(commits).toBeGreaterThan(0);
  });

  it("a message that everybody else refuses was not sent, though one's own copy was taken", () => {
    const world = new GroupWorld("anna", "ben").found("trip", "anna", "ben");
    world.tell("anna", "one");
    world.side("ben").accessHash = new Uint8Array(32);
    const message = world.tell("anna", "two");
    world.pass(120_000);
    const anna = world.side("anna");
    expect(anna.tellsOf("group-sent").filter((told) => told.message === message)).toEqual([]);
    expect(anna.tellsOf("group-refused")).toMatchObject([{ message, code: "not-permitted" }]);
  });

  it("groups that were left take no room from others", () => {
    const world = new GroupWorld("anna", "mallory");
    world.befriend("anna", "mallory");
    const [anna, mallory] = [world.side("anna"), world.side("mallory")];
    const chance = seededRandom(6);
    const account = mallory.cipher.groupKeys().account(anna.account) as PinnedAccount;
    for (let i = 0; i < MAX_GROUPS; i++) {
      const said = { name: `${i}`, writers: "members", accounts: [account], random: chance } as const;
      const made = createGroup({ identity: mallory.keys.identity, ...said });
      if (made.code !== "ok") throw new Error(made.code);
      sendControl(world, "mallory", "anna", stateTelling(mallory, made, anna.account), `${i}`);
      world.group = made.state.group;
      expect(world.change("anna", { kind: "leave" })).toBe("ok");
    }
    expect([...anna.core.view.groups()]).toHaveLength(MAX_GROUPS);
    world.group = "";
    expect(world.change("anna", { kind: "add", accounts: [mallory.account], name: "ours" })).toBe("ok");
    expect([...anna.core.view.groups()]).toHaveLength(MAX_GROUPS);
    expect(anna.tables.get("group")?.size).toBe(MAX_GROUPS);
  });

  it("a member whose mailbox is full for a while: that it was sent is told all the same, receipts of others before it", () => {
    const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
    world.tell("anna", "one");
    const to = world.side("carla").address;
    let full = true;
    world.lies = (frame, side) => {
      const isHers = (id: EnvelopeId): boolean =>
        world.uploads("anna").some(({ groupEnvelope }) => envelopeIdFor(groupEnvelope, to) === id);
      if (!full || side.name !== "anna" || frame.frame !== "accepted" || !frame.ids.some(isHers))
        return frame;
      return { frame: "refused", code: PROBLEMS["mailbox-full"].number, retryAfter: 0, ids: frame.ids };
    };
    const message = world.tell("anna", "two");
    expect(world.side("anna").core.view.groupSent(message)?.delivered).toContain(world.side("ben").account);
    const sent = () =>
      world
        .side("anna")
        .tellsOf("group-sent")
        .filter((told) => told.message === message);
    expect(sent()).toEqual([]);
    full = false;
    world.pass(120_000);
    expect(sent()).toHaveLength(1);
  });

  it("a sender that dies at any edge of its way sends once, in order, the same bytes", () => {
    const clean = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
    clean.dying = { who: "anna", edge: 0 };
    clean.edges = 0;
    clean.tell("anna", "one");
    clean.tell("anna", "two");
    const { edges } = clean;
    expect(edges).toBeGreaterThan(10);
    for (let edge = 1; edge <= edges; edge++) {
      const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
      world.dying = { who: "anna", edge };
      world.edges = 0;
      world.tell("anna", "one");
      world.pass(60_000);
      // What it had not taken before it died, its application gives it again, under the same id.
      world.tell("anna", "one");
      world.tell("anna", "two");
      world.pass(60_000);
      world.tell("anna", "two");
      world.pass(60_000);
      for (const name of ["ben", "carla"])
        expect(texts(world.side(name)), `edge ${edge}, ${name}`).toEqual(["one", "two"]);
      const byId = new Map<string, string>();
      for (const { groupEnvelope, ciphertext } of world.uploads("anna")) {
        const bytes = Buffer.from(ciphertext).toString("hex");
        expect(byId.get(groupEnvelope) ?? bytes, `edge ${edge}`).toBe(bytes);
        byId.set(groupEnvelope, bytes);
      }
    }
  });

  it("a recipient that dies at any edge of its way hears everything once, in order", () => {
    const clean = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
    clean.dying = { who: "ben", edge: 0 };
    clean.edges = 0;
    for (const text of ["one", "two"]) clean.tell("anna", text);
    const { edges } = clean;
    expect(edges).toBeGreaterThan(10);
    for (let edge = 1; edge <= edges; edge++) {
      const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
      world.dying = { who: "ben", edge };
      world.edges = 0;
      for (const text of ["one", "two"]) world.tell("anna", text);
      world.pass(60_000);
      // Handed over again is what was not settled: once by its own id.
      const entries = world.side("ben").entries.filter(({ content }) => content.kind === "group");
      const heard = [...new Map(entries.map((entry) => [entry.message, entry])).keys()];
      expect(heard, `edge ${edge}`).toEqual(["one", "two"].map((text) => text.padEnd(16, "\0")));
    }
  });
});

function stateTelling(by: Side, made: ChangedGroup, to: AccountId): Uint8Array {
  if (made.code !== "ok" || made.sealKey === undefined) throw new Error("no state");
  const told = tellState(made.state, made.sealKey, to);
  return encodeTelling({ kind: "state", accessKey: accessKey(by.keys.identity), name: by.user, told });
}

/** A control message past the library's own deciding. */
function sendControl(world: AttackWorld, from: string, to: string, told: Uint8Array, name = ""): void {
  const side = world.side(from);
  const id = `forged ${name}`.padEnd(16, ".") as never;
  const sealed = side.cipher.sealControl({
    to: world.deviceOf(to),
    id,
    control: { kind: "group", told },
    now: world.now,
  });
  if (sealed.ciphertext === undefined) throw new Error(sealed.code);
  side.write(sealed.writes);
  world.inject(world.side(to), id, sealed.ciphertext, "pairwise");
}

function partsOf(value: unknown): Buffer[] {
  if (value instanceof Uint8Array) return [Buffer.from(value)];
  if (typeof value === "string") return [Buffer.from(value, "latin1")];
  if (Array.isArray(value)) return value.flatMap(partsOf);
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(partsOf) : [];
}
