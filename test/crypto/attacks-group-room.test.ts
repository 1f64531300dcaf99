// Groups in real client cores against members and strangers who take room, questions or messages from others, and against
// their own moments without a relay, a list or an answer.
import {
  type AccountId,
  type DeviceNumber,
  type EnvelopeId,
  type GroupEnvelopeId,
  MAX_GROUP_RECIPIENTS,
  PROBLEMS,
  type Time,
} from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import type { MessageId, StreamId } from "../../client-lib/delivery/events.ts";
import { Turn } from "../../client-lib/delivery/turn.ts";
import { GroupOutbox } from "../../client-lib/groups/group-outbox.ts";
import { MAX_GROUP_OUT_ENVELOPES, MAX_GROUPS, MAX_UNKNOWN_WAITING } from "../../client-lib/groups/limits.ts";
import { encodeTelling } from "../../client-lib/groups/told.ts";
import {
  accessKey,
  createGroup,
  envelopeIdFor,
  type GroupId,
  type PinnedAccount,
  ready,
  type Secret,
  tellState,
} from "../../crypto/index.ts";
import { LIST_LIFETIME_MS } from "../../crypto/limits.ts";
import { GroupWorld, sendControl, stateTelling, texts } from "./attack-group-world.ts";
import type { Seen } from "./attack-world.ts";
import { linkDevice } from "./linking-support.ts";
import { seededRandom, START } from "./support.ts";

await ready();

describe("groups that somebody wears out", () => {
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

  it("receipts for a group's message take no room from those that come before their message", () => {
    const world = new GroupWorld("anna", "ben").found("trip", "anna", "ben");
    world.link("anna", "anna's laptop");
    world.pass(10_000);
    const message = world.tell("anna", "one");
    world.pass(10_000);
    const anna = world.side("anna");
    expect(anna.core.view.groupSent(message)?.delivered).toEqual([world.side("ben").account]);
    expect(anna.tables.get("early")?.size ?? 0).toBe(0);
  });

  it("a state that a member has passed on without its seal key makes nothing that is written refused", () => {
    const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
    world.befriend("ben", "carla");
    world.tell("carla", "one");
    const carla = world.side("carla");
    const held: Seen[] = [];
    world.hostile = (mail) => {
      if (mail.from !== "anna" || mail.to !== "carla") return mail.ciphertext;
      held.push(mail);
      return undefined;
    };
    expect(world.change("anna", { kind: "rename", name: "journey" })).toBe("ok");
    const { state, sealKey } = world.known("ben").view;
    const ben = world.side("ben");
    const told = tellState(state, sealKey as Secret, "somebody else..." as AccountId);
    const about = { accessKey: accessKey(ben.keys.identity), name: "ben" };
    sendControl(world, "ben", "carla", encodeTelling({ kind: "state", ...about, told }));
    expect(world.known("carla").view.state.name).toBe("journey");
    world.tell("carla", "two");
    expect(carla.tellsOf("group-refused")).toEqual([]);
    world.hostile = (mail) => mail.ciphertext;
    for (const { id, ciphertext } of held) world.inject(carla, id, ciphertext, "pairwise");
    expect(texts(ben)).toEqual(["one", "two"]);
  });

  it("uploads to the largest group, while the relay is not there, are taken only as far as memory bears", () => {
    const nothing = (): undefined => undefined;
    const chance = { bytes: (n: number) => new Uint8Array(n), fraction: () => 0 };
    const self = "anna............" as AccountId;
    const parts = { self, chance, ended: nothing, relist: nothing, keyOf: nothing };
    const outbox = new GroupOutbox(parts, {});
    const recipients = Array.from({ length: MAX_GROUP_RECIPIENTS }, (_, i) => ({
      account: `${i}`.padStart(16, ".") as AccountId,
      accessKey: new Uint8Array(16),
      listVersion: 1,
      devices: [1, 2].map((device) => device as DeviceNumber),
    }));
    let taken = 0;
    for (; outbox.hasRoom && taken < 500; taken++)
      outbox.add(new Turn(START), {
        format: "one",
        message: "message........." as MessageId,
        group: "group..........." as GroupId,
        sentAt: START,
        expiry: START,
        body: new Uint8Array(),
        stream: "stream.." as StreamId,
        sequence: taken,
        groupEnvelope: `${taken}`.padStart(16, ".") as GroupEnvelopeId,
        ciphertext: new Uint8Array(),
        recipients,
      });
    expect(taken).toBe(Math.ceil(MAX_GROUP_OUT_ENVELOPES / (2 * MAX_GROUP_RECIPIENTS)));
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

  it("a member who has missed several states for good is told them once more, and goes on", () => {
    const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
    expect(world.change("anna", { kind: "rename", name: "first" })).toBe("ok");
    world.tell("anna", "one");
    const carla = world.side("carla");
    // The relay says that it has them, and loses all that Anna tells Carla alone.
    world.hostile = (mail) =>
      mail.from === "anna" && mail.to === "carla" && mail.ciphertext[0] !== 0x81
        ? undefined
        : mail.ciphertext;
    for (const name of ["second", "third", "fourth"])
      expect(world.change("anna", { kind: "rename", name })).toBe("ok");
    world.hostile = (mail) => mail.ciphertext;
    expect(world.known("carla").view.state.name).toBe("first");
    world.change("anna", { kind: "rename", name: "fifth" });
    world.tell("ben", "two");
    expect(world.known("carla").view.state.name).toBe("first");
    world.pass(60_000);
    expect(world.known("carla").view.state.name).toBe("fifth");
    expect(world.hash("carla")).toBe(world.hash("anna"));
    world.tell("anna", "three");
    world.pass(20_000);
    expect(texts(carla).toSorted()).toEqual(["one", "three", "two"]);
    expect(carla.tables.get("group-waiting")?.size ?? 0).toBe(0);
  });

  it("a new device's first message that comes before its list is known waits for it", () => {
    const world = new GroupWorld("anna", "ben").found("trip", "anna", "ben");
    world.tell("anna", "one");
    world.link("anna", "anna's laptop");
    world.pass(20_000);
    const held: Seen[] = [];
    world.hostile = (mail) => {
      if (mail.from !== "anna's laptop" || mail.to !== "ben" || mail.ciphertext[0] === 0x81)
        return mail.ciphertext;
      held.push(mail);
      return undefined;
    };
    world.tell("anna's laptop", "two");
    expect(held.length).toBeGreaterThan(0);
    expect(texts(world.side("ben"))).toEqual(["one"]);
    world.hostile = (mail) => mail.ciphertext;
    for (const { id, ciphertext } of held) world.inject(world.side("ben"), id, ciphertext, "pairwise");
    world.pass(60_000);
    expect(texts(world.side("ben"))).toEqual(["one", "two"]);
    expect(world.side("ben").codes).toEqual([]);
  });
});
