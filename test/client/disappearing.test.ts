// Messages that are to disappear: real client cores on the real cryptography, and a clock that the test has in its hand.
import type { Time } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { bodyOf, MAX_DISAPPEARS_MS, readBody } from "../../client-lib/content/content.ts";
import type { Disappeared, Entry, MessageId } from "../../client-lib/delivery/events.ts";
import {
  MAX_CLOCK_AHEAD_MS,
  MAX_DISAPPEARED_IDS,
  MAX_DISAPPEARING,
} from "../../client-lib/delivery/limits.ts";
import { Disappearing } from "../../client-lib/delivery/disappearing.ts";
import { Inbox } from "../../client-lib/delivery/inbox.ts";
import { Turn } from "../../client-lib/delivery/turn.ts";
import { ready } from "../../crypto/index.ts";
import { AttackWorld, type Side } from "../crypto/attack-world.ts";

beforeAll(ready);

const HOUR = 3_600_000;
let count = 0;

function aPair(): { world: AttackWorld; anna: Side; ben: Side } {
  const world = new AttackWorld("anna", "ben");
  world.befriend("anna", "ben");
  return { world, anna: world.side("anna"), ben: world.side("ben") };
}

function setTimer(world: AttackWorld, by: Side, to: Side, ms: number, setAt: number = world.now): void {
  const message = `timer ${(count += 1)}`.padEnd(16, ".") as MessageId;
  const body = bodyOf({ is: "timer", ms, setAt });
  world.step(by, { event: "send", message, to: to.account, body });
  world.pass(2_000);
}

const goneAt = (side: Side): Disappeared[] =>
  side.entries.map(({ content }) => content).filter((content) => content.kind === "disappear");
const timerAt = (side: Side, other: Side): number => side.core.view.timer({ conversation: other.account }).ms;
const staysOf = ({ content }: Entry): number => ("body" in content ? readBody(content.body).disappearsMs : 0);

function read(world: AttackWorld, by: Side, from: Side, message: MessageId): void {
  world.step(by, { event: "read", from: from.account, messages: [message] });
  world.pass(1_000);
}

describe("a message that is to disappear", () => {
  it("carries the timer, and is gone at its sender's from sending, at its reader's from reading", () => {
    const { world, anna, ben } = aPair();
    setTimer(world, anna, ben, HOUR);
    const message = world.say("ben", "anna", "only for an hour");
    expect(staysOf(anna.entries.at(-1) as Entry)).toBe(HOUR);
    world.pass(HOUR);
    expect(goneAt(ben)).toMatchObject([
      { conversation: anna.account, author: ben.account, messages: [message] },
    ]);
    expect(goneAt(anna)).toEqual([]);
    read(world, anna, ben, message);
    world.pass(HOUR - 2_000);
    expect(goneAt(anna)).toEqual([]);
    world.pass(2_000);
    expect(goneAt(anna)).toMatchObject([
      { conversation: ben.account, author: ben.account, messages: [message] },
    ]);
  });

  it("waits at its sender's until the relay has it", () => {
    const { world, anna, ben } = aPair();
    setTimer(world, anna, ben, HOUR);
    world.step(anna, { event: "stop" });
    world.say("anna", "ben", "written on a train");
    world.pass(2 * HOUR);
    expect(goneAt(anna)).toEqual([]);
    world.step(anna, { event: "start" });
    world.pass(HOUR - 1_000);
    expect([ben.texts.at(-1), goneAt(anna)]).toEqual(["written on a train", []]);
    world.pass(2_000);
    expect(goneAt(anna)).toMatchObject([{ conversation: ben.account, author: anna.account }]);
  });

  it("is told as gone after a restart, and again until that was handled", () => {
    const { world, anna, ben } = aPair();
    setTimer(world, anna, ben, HOUR);
    const message = world.say("ben", "anna", "soon gone");
    read(world, anna, ben, message);
    world.settles = false;
    world.now = (world.now + 2 * HOUR) as Time; // nobody was there meanwhile
    for (let restart = 1; restart <= 2; restart++) {
      world.start(anna);
      world.run();
      expect(goneAt(anna).map(({ messages }) => messages)).toEqual(Array(restart).fill([message]));
    }
    world.settles = true;
    world.start(anna);
    world.run();
    const before = goneAt(anna).length;
    world.start(anna);
    world.pass(HOUR);
    expect(goneAt(anna)).toHaveLength(before);
  });

  it("is told in the end, at whichever edge of its way the process dies", () => {
    let edge = 0;
    for (let died = true; died; edge++) {
      const { world, anna, ben } = aPair();
      setTimer(world, anna, ben, 5_000);
      const message = world.say("ben", "anna", "soon gone");
      world.dying = { who: "anna", edge: edge + 1 };
      read(world, anna, ben, message);
      read(world, anna, ben, message); // a person looks again where the first look was lost
      world.pass(10_000);
      died = world.edges > edge;
      expect([edge, goneAt(anna).at(-1)?.messages]).toEqual([edge, [message]]);
      expect(anna.tables.get("disappear")?.size).toBe(0);
    }
    expect(edge).toBeGreaterThan(5);
  });

  it("runs on every device once it was read on one, and on all of the sender's from sending", () => {
    const { world, anna, ben } = aPair();
    const [tablet, laptop] = [world.link("anna", "tablet"), world.link("ben", "laptop")];
    world.pass(10_000);
    setTimer(world, ben, anna, HOUR);
    world.pass(10_000);
    expect([anna, tablet].map((side) => timerAt(side, ben))).toEqual([HOUR, HOUR]);
    expect([ben, laptop].map((side) => timerAt(side, anna))).toEqual([HOUR, HOUR]);
    const message = world.say("laptop", "anna", "from the laptop");
    world.pass(10_000);
    read(world, tablet, ben, message);
    world.pass(HOUR + 10_000);
    for (const side of [anna, tablet]) expect(goneAt(side)).toMatchObject([{ messages: [message] }]);
    for (const side of [ben, laptop])
      expect(goneAt(side)).toMatchObject([{ conversation: anna.account, author: ben.account }]);
  });
});

describe("a conversation's timer", () => {
  it("is the one that was set last, whoever set it, and off by one as well", () => {
    const { world, anna, ben } = aPair();
    const now = world.now;
    setTimer(world, anna, ben, HOUR, now + 10);
    setTimer(world, ben, anna, 2 * HOUR, now + 5); // overtaken
    expect([timerAt(anna, ben), timerAt(ben, anna)]).toEqual([HOUR, HOUR]);
    setTimer(world, ben, anna, 0, now + 11);
    expect([timerAt(anna, ben), timerAt(ben, anna)]).toEqual([0, 0]);
    world.say("anna", "ben", "stays");
    expect(staysOf(ben.entries.at(-1) as Entry)).toBe(0);
  });

  it("is one at the end where both have set it at once", () => {
    const { world, anna, ben } = aPair();
    const setAt = world.now + 5;
    const [ms, other] = [HOUR, 2 * HOUR];
    for (const [by, to, of] of [
      [anna, ben, ms],
      [ben, anna, other],
    ] as const) {
      const message = `both ${(count += 1)}`.padEnd(16, ".") as MessageId;
      world.step(by, {
        event: "send",
        message,
        to: to.account,
        body: bodyOf({ is: "timer", ms: of, setAt }),
      });
    }
    world.pass(2_000);
    expect(timerAt(anna, ben)).toBe(anna.account > ben.account ? ms : other);
    expect(timerAt(ben, anna)).toBe(timerAt(anna, ben));
  });

  it("is not taken from a clock that is far ahead, nor told to the application where it changes nothing", () => {
    const { world, anna, ben } = aPair();
    const handed = ben.entries.length;
    setTimer(world, anna, ben, HOUR, world.now + MAX_CLOCK_AHEAD_MS + HOUR);
    expect([timerAt(ben, anna), ben.entries.length]).toEqual([0, handed]);
    setTimer(world, anna, ben, HOUR, world.now + MAX_CLOCK_AHEAD_MS - HOUR);
    expect([timerAt(ben, anna), ben.entries.length]).toEqual([HOUR, handed + 1]);
  });

  it("is told to a device that is new, and kept over a restart", () => {
    const { world, anna, ben } = aPair();
    setTimer(world, ben, anna, HOUR);
    const tablet = world.link("anna", "tablet");
    world.pass(10_000);
    expect(timerAt(tablet, ben)).toBe(HOUR);
    world.start(ben);
    expect(timerAt(ben, anna)).toBe(HOUR);
    world.say("tablet", "ben", "soon gone");
    expect(staysOf(ben.entries.at(-1) as Entry)).toBe(HOUR);
  });
});

describe("what is to disappear", () => {
  const self = `${"s".repeat(16)}\0\u0001` as Side["address"];
  const from = `${"b".repeat(16)}\0\u0001` as Side["address"];
  const body = Uint8Array.from([...bodyOf({ is: "text", text: "x" }, { disappearsMs: HOUR })]);
  const idOf = (i: number): MessageId => String(i).padStart(16, "0") as MessageId;

  function filled(many: number): { kept: Disappearing; turn: Turn } {
    const kept = new Disappearing(self, {});
    const turn = new Turn(1_000 as Time);
    for (let i = 0; i < many; i++)
      kept.comes(turn, {
        ...{ entry: i, from, message: idOf(i), sentAt: turn.now, late: false },
        content: { kind: "message", body },
      });
    return { kept, turn };
  }

  it("has a cap, over which the oldest of the conversation is gone at once", () => {
    const { kept, turn } = filled(MAX_DISAPPEARING);
    const inbox = new Inbox({});
    kept.tick(turn, inbox);
    expect(turn.after).toEqual([]);
    kept.comes(turn, {
      ...{ entry: 0, from, message: idOf(MAX_DISAPPEARING), sentAt: turn.now, late: false },
      content: { kind: "message", body },
    });
    kept.tick(turn, inbox);
    expect(turn.after).toMatchObject([{ next: "hand", entry: { content: { messages: [idOf(0)] } } }]);
  });

  it("is over at once only where there is most of it: who sends many shortens nobody else's", () => {
    const { kept, turn } = filled(MAX_DISAPPEARING);
    const friend = `${"c".repeat(16)}\0\u0001` as Side["address"];
    for (const message of [idOf(1), idOf(2)])
      kept.comes(turn, {
        ...{ entry: 0, from: friend, message, sentAt: turn.now, late: false },
        content: { kind: "message", body },
      });
    kept.tick(turn, new Inbox({}));
    expect(turn.after).toMatchObject([
      { entry: { content: { conversation: from.slice(0, 16), messages: [idOf(0), idOf(1)] } } },
    ]);
    expect(turn.after).toHaveLength(1);
  });

  it("is told in lists of at most so many", () => {
    const { kept } = filled(MAX_DISAPPEARED_IDS + 1);
    const turn = new Turn((1_000 + HOUR) as Time);
    const all = Array.from({ length: MAX_DISAPPEARED_IDS + 1 }, (_, i) => idOf(i));
    kept.read(new Turn(1_000 as Time), from.slice(0, 16) as Side["account"], all);
    const inbox = new Inbox({});
    kept.tick(turn, inbox);
    kept.tick(turn, inbox);
    const told = turn.after.flatMap((after) => (after.next === "hand" ? [after.entry.content] : []));
    expect(told.map((content) => (content.kind === "disappear" ? content.messages.length : 0))).toEqual([
      MAX_DISAPPEARED_IDS,
      1,
    ]);
  });

  it("is no content where it stays too long", () => {
    expect(() => bodyOf({ is: "text", text: "x" }, { disappearsMs: MAX_DISAPPEARS_MS + 1 })).toThrow(
      expect.objectContaining({ code: "content-invalid" }),
    );
  });
});
