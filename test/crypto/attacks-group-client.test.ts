// Groups under attack, in real client cores on the real cryptography: what a relay, a member and somebody who was one can do.
import { toBytes } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import type { MessageId } from "../../client-lib/delivery/events.ts";
import type { Change } from "../../client-lib/groups/rows.ts";
import { changeGroup, type GroupId, memberOf, ready } from "../../crypto/index.ts";
import { GroupWorld, NO_CHANGE, sendControl, stateTelling, texts } from "./attack-group-world.ts";
import type { Side } from "./attack-world.ts";
import { seededRandom } from "./support.ts";

await ready();

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
    const { state } = world.known("ben").view;
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
    world.befriend("ben", "carla");
    sendControl(world, "ben", "carla", stateTelling(ben, made, world.side("carla").account));
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

  it("a receipt that comes before the relay's last word does not keep it from being heard", () => {
    const world = new GroupWorld("anna", "ben", "carla").found("trip", "anna", "ben", "carla");
    const anna = world.side("anna");
    let lost = 0;
    world.lies = (frame, to) => {
      if (to !== anna || frame.frame !== "accepted" || world.uploads("anna").length === 0 || lost > 0)
        return frame;
      lost += 1;
      return { frame: "pong", token: 0 };
    };
    const message = world.tell("anna", "one");
    world.pass(5_000);
    expect(lost).toBe(1);
    expect(world.side("anna").core.view.groupSent(message)?.delivered.length).toBeGreaterThan(0);
    expect(anna.tellsOf("group-sent")).toEqual([]);
    world.pass(60_000);
    expect(anna.tellsOf("group-sent").map((told) => told.message)).toEqual([message]);
    expect(texts(world.side("ben"))).toEqual(["one"]);
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

function partsOf(value: unknown): Buffer[] {
  if (value instanceof Uint8Array) return [Buffer.from(value)];
  if (typeof value === "string") return [Buffer.from(value, "latin1")];
  if (Array.isArray(value)) return value.flatMap(partsOf);
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(partsOf) : [];
}
