// The judge of groups is judged first: a history without faults is clean, each fault that is planted is found, and what a
// member may miss who was out meanwhile is no fault.
import { describe, expect, it } from "vitest";
import { judgeGroups } from "../support/crowd/group-judge.ts";
import type { GroupChange, Line, Stamped } from "../support/crowd/history.ts";
import type { FaultKind } from "../support/crowd/judge.ts";

const NAMES = ["anna", "ben", "carla"] as const;
type Name = (typeof NAMES)[number];
type History = Record<Name, Stamped[]>;

const TAG = "group-0";
const at = (mono: number, line: Line): Stamped => ({ ...line, mono, wall: mono });

function changes(mono: number, change: Partial<GroupChange> & Pick<GroupChange, "change">): Stamped[] {
  const whole = { tag: TAG, users: [], number: 0, ...change };
  return [at(mono, { is: "group-changing", ...whole }), at(mono + 1, { is: "group-changed", ...whole })];
}

/** From somebody who knows of these members, and of the changes up to that number. */
function says(
  from: Name,
  seq: number,
  mono: number,
  { members = NAMES as readonly Name[], number = 0 } = {},
) {
  const id = `${from}-${seq}`;
  return [
    at(mono, {
      is: "group-sending",
      tag: TAG,
      seq,
      hash: id,
      number,
      members: members.map((name) => `${name}!`),
    }),
    at(mono + 1, { is: "group-queued", tag: TAG, seq, id }),
    at(mono + 2, { is: "group-sent", id }),
  ];
}

function gets(from: Name, seq: number, mono: number, change: Partial<Line> = {}): Stamped {
  const id = `${from}-${seq}`;
  const line = { is: "group-handed", from, tag: TAG, seq, id, hash: id, account: `${from}!`, late: false };
  return at(mono, { ...line, ...change } as Line);
}

/**
 * Anna makes the group and says two things; carla is out from 200 to 300, when ben says the first of his two; all know of that
 * from the number 1 on.
 */
function clean(): History {
  const started = (name: Name): Stamped => at(0, { is: "started", account: `${name}!` });
  return {
    anna: [
      started("anna"),
      ...changes(10, { change: "create", users: ["ben", "carla"] }),
      ...says("anna", 0, 100),
      at(120, { is: "group-delivered", id: "anna-0", user: "ben" }),
      at(121, { is: "group-delivered", id: "anna-0", user: "~carla!" }),
      ...changes(200, { change: "remove", users: ["carla"] }),
      ...says("anna", 1, 210, { members: ["anna", "ben"] }),
      gets("ben", 0, 230),
      ...changes(300, { change: "add", users: ["carla"] }),
      ...changes(302, { change: "rename", number: 1 }),
      gets("ben", 1, 420),
    ],
    ben: [
      started("ben"),
      gets("anna", 0, 110),
      gets("anna", 1, 215),
      ...says("ben", 0, 220, { members: ["anna", "ben"] }),
      ...says("ben", 1, 400, { number: 1 }),
    ],
    carla: [started("carla"), gets("anna", 0, 110), gets("ben", 1, 430)],
  };
}

const verdictOf = (history: History) => judgeGroups(new Map(Object.entries(history)));
const kindsIn = (history: History): FaultKind[] => [
  ...new Set(verdictOf(history).faults.map(({ kind }) => kind)),
];
const without = (lines: Stamped[], fits: (line: Stamped) => boolean): void => {
  lines.splice(lines.findIndex(fits), 1);
};

describe("the judge of groups", () => {
  it("finds nothing where there is nothing, and counts", () => {
    expect(verdictOf(clean())).toEqual({
      faults: [],
      groups: 1,
      changes: 3,
      sending: 4,
      queued: 4,
      sent: 4,
      handed: 6,
      repeated: 0,
      owed: 5,
      missing: 0,
    });
  });

  it.each<[string, FaultKind[], (history: History) => void]>([
    [
      "one message that a member's device dropped",
      ["receipt-without-delivery", "lost"],
      ({ ben }) => without(ben, (line) => line.is === "group-handed" && line.id === "anna-0"),
    ],
    [
      "one message to a member who is in again, and the sender knew",
      ["lost"],
      ({ carla }) => without(carla, (line) => line.is === "group-handed" && line.id === "ben-1"),
    ],
    [
      "one that was taken, and never accepted",
      ["lost"],
      ({ ben }) => ben.push(...says("ben", 2, 500, { number: 1 }).slice(0, 2)),
    ],
    ["twice within one start", ["duplicated"], ({ ben }) => ben.push(gets("anna", 1, 500))],
    [
      "twice under two ids",
      ["duplicated"],
      ({ ben }) => ben.push(at(490, { is: "started", account: "ben!" }), gets("anna", 1, 500, { id: "x" })),
    ],
    [
      "out of order",
      ["reordered"],
      ({ ben }) => ben.splice(1, 2, gets("anna", 1, 215), gets("anna", 0, 216)),
    ],
    ["to somebody who was removed before", ["not-a-member"], ({ carla }) => carla.push(gets("anna", 1, 250))],
    ["never sent", ["phantom"], ({ ben }) => ben.push(gets("carla", 7, 500))],
    ["with another text", ["phantom"], ({ ben }) => ben.splice(2, 1, gets("anna", 1, 215, { hash: "x" }))],
    [
      "from another account",
      ["forged"],
      ({ ben }) => ben.splice(2, 1, gets("anna", 1, 215, { account: "x!" })),
    ],
    [
      "late, without having been out",
      ["late"],
      ({ ben }) => ben.splice(2, 1, gets("anna", 1, 215, { late: true })),
    ],
    [
      "a gap at somebody who was never out",
      ["gap"],
      ({ ben }) => ben.push(at(500, { is: "group-gap", tag: TAG, from: "anna", missing: 2 })),
    ],
    [
      "a refusal for somebody who was never out",
      ["trouble"],
      ({ ben }) => ben.push(at(500, { is: "group-refused", tag: TAG, id: "ben-1", code: "expired" })),
    ],
    [
      "what cannot be opened",
      ["trouble"],
      ({ ben }) => ben.push(at(500, { is: "quarantined", code: "aead-fail" })),
    ],
  ])("finds what is planted: %s", (_what, kinds, plant) => {
    const history = clean();
    plant(history);
    expect(kindsIn(history)).toEqual(kinds);
  });

  it.each<[string, (history: History) => void]>([
    [
      "a repeat after a start",
      ({ ben }) => ben.push(at(490, { is: "started", account: "ben!" }), gets("anna", 1, 500)),
    ],
    [
      "a gap at somebody who was out",
      ({ carla }) => carla.push(at(440, { is: "group-gap", tag: TAG, from: "anna", missing: 1 })),
    ],
    [
      "a message to a member who was removed after it",
      ({ anna, carla }) => {
        anna.push(...changes(600, { change: "remove", users: ["carla"] }));
        without(carla, (line) => line.is === "group-handed" && line.id === "ben-1");
      },
    ],
    [
      "a message whose sender did not know yet that somebody is in again",
      ({ ben, carla }) => {
        ben.splice(-3, 3, ...says("ben", 1, 400, { number: 0 }));
        without(carla, (line) => line.is === "group-handed" && line.id === "ben-1");
      },
    ],
    [
      "a refusal for somebody who was taken out",
      ({ carla }) =>
        carla.push(
          ...says("carla", 0, 198).slice(0, 2),
          at(205, { is: "group-refused", tag: TAG, id: "carla-0", code: "not-a-member" }),
        ),
    ],
    [
      "what a process began and had not given away when it was killed",
      ({ ben }) => ben.push(...says("ben", 2, 500, { number: 1 }).slice(0, 1)),
    ],
  ])("permits %s", (_what, happen) => {
    const history = clean();
    happen(history);
    expect(kindsIn(history)).toEqual([]);
  });
});
