// The judge of the crowd is judged first: a history without faults is clean, and each fault that is planted is found.
import { describe, expect, it } from "vitest";
import { type FaultKind, judge } from "../support/crowd/judge.ts";
import type { Line } from "../support/crowd/history.ts";

const ACCOUNTS = { anna: "aa", ben: "bb" } as const;
type Name = keyof typeof ACCOUNTS;
const idOf = (from: Name, seq: number): string => `${from}-${seq}`;

const started = (name: Name): Line => ({ is: "started", account: ACCOUNTS[name] });
const other = (name: Name): Name => (name === "anna" ? "ben" : "anna");
const sends = (from: Name, seq: number): Line[] => [
  { is: "sending", to: other(from), seq, hash: idOf(from, seq) },
  { is: "queued", to: other(from), seq, id: idOf(from, seq) },
  { is: "sent", id: idOf(from, seq) },
];
const gets = (at: Name, seq: number, change: Partial<Line> = {}): Line =>
  ({
    is: "handed",
    from: other(at),
    to: at,
    seq,
    id: idOf(other(at), seq),
    account: ACCOUNTS[other(at)],
    late: false,
    hash: idOf(other(at), seq),
    ...change,
  }) as Line;

/** Anna sends ben 0 to 3, ben sends anna 0 and 1, all of it arrives; ben's process is started twice. */
function clean(): Record<Name, Line[]> {
  return {
    anna: [
      started("anna"),
      ...[0, 1, 2, 3].flatMap((seq) => sends("anna", seq)),
      gets("anna", 0),
      gets("anna", 1),
    ],
    ben: [
      started("ben"),
      ...[0, 1].flatMap((seq) => sends("ben", seq)),
      gets("ben", 0),
      gets("ben", 1),
      started("ben"),
      gets("ben", 2),
      gets("ben", 3),
    ],
  };
}

const verdictOf = (histories: Record<Name, Line[]>) => judge(new Map(Object.entries(histories)));
const kinds = (histories: Record<Name, Line[]>): FaultKind[] => [
  ...new Set(verdictOf(histories).faults.map((fault) => fault.kind)),
];

describe("the judge", () => {
  it("finds nothing where there is nothing, and counts", () => {
    expect(verdictOf(clean())).toEqual({
      faults: [],
      sending: 6,
      queued: 6,
      sent: 6,
      handed: 6,
      repeated: 0,
      missing: 0,
    });
  });

  it("permits a hand-over to be repeated after a start, and counts it", () => {
    const histories = clean();
    histories.ben.splice(-2, 0, gets("ben", 1));
    expect(verdictOf(histories)).toMatchObject({ faults: [], handed: 6, repeated: 1 });
  });

  it("permits what was being sent when the process died to arrive or not", () => {
    const histories = clean();
    histories.anna.push({ is: "sending", to: "ben", seq: 4, hash: "anna-4" }, started("anna"));
    expect(kinds(histories)).toEqual([]);
    histories.ben.push(gets("ben", 4));
    expect(kinds(histories)).toEqual([]);
  });

  const last = (lines: Line[]): number => lines.length - 1;
  it.each<[string, FaultKind[], (histories: Record<Name, Line[]>) => void]>([
    ["lost: the last of a conversation", ["lost"], ({ ben }) => ben.splice(last(ben), 1)],
    ["lost: one within a conversation", ["lost"], ({ ben }) => ben.splice(ben.length - 2, 1)],
    [
      "lost: queued, never accepted, never there",
      ["lost"],
      ({ anna }) => anna.push(...sends("anna", 4).slice(0, 2)),
    ],
    [
      "lost: accepted although the process died before it could note that it had queued it",
      ["lost"],
      ({ anna }) =>
        anna.push({ is: "sending", to: "ben", seq: 4, hash: "anna-4" }, { is: "sent", id: "anna-4" }),
    ],
    ["duplicated within one start", ["duplicated"], ({ ben }) => ben.push(gets("ben", 3))],
    [
      "duplicated under another id",
      ["duplicated"],
      ({ ben }) => ben.push(started("ben"), gets("ben", 3, { id: "anna-3-again" })),
    ],
    ["reordered", ["reordered"], ({ ben }) => ben.push(...ben.splice(ben.length - 2, 1))],
    ["phantom: never sent", ["phantom"], ({ ben }) => ben.push(gets("ben", 9))],
    [
      "phantom: for somebody else",
      ["phantom"],
      ({ anna }) => anna.push(gets("ben", 9), { is: "sending", to: "ben", seq: 9, hash: "anna-9" }),
    ],
    [
      "phantom: under an id that was not its own",
      ["phantom", "lost"],
      ({ ben }) => ben.splice(last(ben), 1, gets("ben", 3, { id: "other" })),
    ],
    [
      "phantom: with another text",
      ["phantom"],
      ({ ben }) => ben.splice(last(ben), 1, gets("ben", 3, { hash: "other" })),
    ],
    ["forged", ["forged"], ({ ben }) => ben.splice(last(ben), 1, gets("ben", 3, { account: "cc" }))],
    [
      "refused and delivered all the same",
      ["refused-and-delivered"],
      ({ anna, ben }) => {
        anna.push(
          { is: "sending", to: "ben", seq: 4, hash: "anna-4" },
          { is: "not-queued", to: "ben", seq: 4, code: "outbox-full" },
        );
        ben.push(gets("ben", 4));
      },
    ],
    [
      "a receipt for what did not arrive",
      ["receipt-without-delivery"],
      ({ anna }) => anna.push({ is: "delivered", id: "anna-7" }),
    ],
    ["late", ["late"], ({ ben }) => ben.splice(last(ben), 1, gets("ben", 3, { late: true }))],
    ["trouble", ["trouble"], ({ ben }) => ben.push({ is: "trouble", what: "gap" })],
  ])("finds what is planted: %s", (_what, expected, plant) => {
    const histories = clean();
    plant(histories);
    expect(kinds(histories)).toEqual(expected);
  });
});
