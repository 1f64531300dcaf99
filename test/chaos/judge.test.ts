// The judge of the chaos runs is judged first: a whole history passes, each fault that is planted is found and told as a
// timeline, and a run that was too quiet is unknown.
import { describe, expect, it } from "vitest";
import type { Line, Stamped } from "../support/crowd/history.ts";
import { Marks } from "./judge/kept.ts";
import { type Demands, type Ending, judgeRun, type Verdict } from "./judge/verdict.ts";
import type { Nemeses, Strike } from "./nemesis-log.ts";

const ENDING: Ending = {
  complete: true,
  settledMs: 900,
  held: 0,
  left: [],
  kept: [],
  marks: 4,
  ends: [],
  crashes: 0,
};
const DEMANDS: Demands = {
  strikes: 2,
  sent: 2,
  redelivered: 1,
  groups: 0,
  files: 0,
  kinds: ["relay-kill", "link-cut"],
};

const strike = (kind: string, begun: number, healed: number, alone = true): Strike => ({
  kind,
  group: kind.startsWith("relay") ? "relay" : "link",
  says: "one",
  begun,
  healed,
  alone,
});
const NEMESES: Nemeses = {
  strikes: [strike("relay-kill", 1_000, 2_000), strike("link-cut", 8_000, 9_000)],
  began: 0,
  calm: 10_000,
  over: 11_000,
};

type History = Record<"anna" | "ben", Stamped[]>;
const at = (mono: number, line: Line): Stamped => ({ ...line, mono, wall: mono });

/** Anna sends ben two messages; the first is pushed again on his next connection. Envelopes have ids of their own. */
function clean(): History {
  const sends = (seq: number, mono: number): Stamped[] => [
    at(mono, { is: "sending", to: "ben", seq, hash: `h${seq}` }),
    at(mono + 1, { is: "queued", to: "ben", seq, id: `m${seq}` }),
    at(mono + 2, { is: "submitted", id: `e${seq}`, account: "bb", mark: `0${seq}` }),
    at(mono + 3, { is: "accepted", ids: [`e${seq}`] }),
    at(mono + 4, { is: "sent", id: `m${seq}` }),
  ];
  const handed = (seq: number, mono: number): Stamped =>
    at(mono, {
      is: "handed",
      from: "anna",
      to: "ben",
      seq,
      id: `m${seq}`,
      account: "aa",
      late: false,
      hash: `h${seq}`,
    });
  return {
    anna: [at(0, { is: "started", account: "aa" }), ...sends(0, 1_500), ...sends(1, 5_000)],
    ben: [
      at(0, { is: "started", account: "bb" }),
      at(1_600, { is: "received", id: "e0", connection: 1 }),
      at(2_400, { is: "received", id: "e0", connection: 2 }),
      handed(0, 2_500),
      at(2_501, { is: "acknowledged", ids: ["e0"], connection: 2 }),
      at(5_100, { is: "received", id: "e1", connection: 2 }),
      handed(1, 5_101),
      at(5_102, { is: "acknowledged", ids: ["e1"], connection: 2 }),
    ],
  };
}

function verdictOf(histories: History, ending = ENDING, demands = DEMANDS): Verdict {
  return judgeRun(new Map(Object.entries(histories)), NEMESES, { demands, ending }).verdict;
}

const without = (lines: Stamped[], is: Line["is"], nth = -1): void => {
  const found = lines.map((line, i) => (line.is === is ? i : -1)).filter((i) => i >= 0);
  lines.splice(found.at(nth) as number, 1);
};

describe("the judge of a run", () => {
  it("passes a run in which nothing broke, and counts", () => {
    const verdict = verdictOf(clean());
    expect(verdict).toMatchObject({ verdict: "pass", breaches: [], lacking: [] });
    expect(verdict.counts).toMatchObject({
      queued: 2,
      sent: 2,
      handed: 2,
      envelopes: 2,
      received: 2,
      redelivered: 1,
    });
  });

  it("measures recovery from the healing to the last hand-over of what had waited", () => {
    const { recovery, recoveryAlone, latency } = verdictOf(clean());
    expect(recovery["relay-kill"]).toMatchObject({ count: 1, max: 500 });
    expect(recoveryAlone["link-cut"]).toMatchObject({ count: 1, max: 0 });
    expect([latency.during.max, latency.before.max, latency.after.count]).toEqual([1_000, 101, 0]);
  });

  it.each<[string, string, (history: History) => void]>([
    [
      "an accepted envelope that never came",
      "lost",
      ({ ben }) => {
        without(ben, "received");
        without(ben, "acknowledged");
      },
    ],
    [
      "an accepted receipt that never came",
      "lost",
      ({ anna }) => {
        anna.push(
          at(6_000, { is: "submitted", id: "e9", account: "bb", mark: "09" }),
          at(6_001, { is: "accepted", ids: ["e9"] }),
        );
      },
    ],
    ["a message that was not handed over", "lost", ({ ben }) => without(ben, "handed")],
    [
      "a second push on one connection",
      "pushed-twice",
      ({ ben }) => {
        ben.splice(3, 0, at(2_450, { is: "received", id: "e0", connection: 2 }));
      },
    ],
    [
      "an envelope that nobody sent",
      "phantom",
      ({ ben }) => {
        ben.push(at(6_000, { is: "received", id: "e7", connection: 2 }));
      },
    ],
    [
      "an envelope that was for somebody else",
      "phantom",
      ({ anna }) => {
        anna.push(at(6_000, { is: "received", id: "e1", connection: 1 }));
      },
    ],
    [
      "a retry with other bytes",
      "resealed",
      ({ anna }) => {
        anna.push(at(6_000, { is: "submitted", id: "e1", account: "bb", mark: "ff" }));
      },
    ],
    [
      "a second hand-over",
      "duplicated",
      ({ ben }) => ben.push(...ben.filter(({ is }) => is === "handed").slice(-1)),
    ],
    ["trouble of the library", "trouble", ({ ben }) => ben.push(at(6_000, { is: "trouble", what: "gap" }))],
  ])("finds what is planted: %s", (_what, kind, plant) => {
    const history = clean();
    plant(history);
    const { verdict, breaches } = verdictOf(history);
    expect([verdict, breaches.map((breach) => breach.kind)]).toEqual(["fail", [kind]]);
    expect(breaches[0]?.timeline.join("\n")).toMatch(/ (anna|ben) /);
  });

  it("permits a push to be repeated after its acknowledgement, and on a later connection", () => {
    const history = clean();
    history.ben.push(
      at(6_000, { is: "received", id: "e1", connection: 2 }),
      at(7_000, { is: "received", id: "e1", connection: 3 }),
    );
    expect(verdictOf(history).verdict).toBe("pass");
  });

  it("tells the nemeses that were at work in the timeline", () => {
    const history = clean();
    without(history.ben, "handed", 0);
    expect(verdictOf(history).breaches[0]?.timeline.join("\n")).toMatch(/nemesis +relay-kill: one/);
  });

  it.each<[string, Partial<Ending>]>([
    ["not-settled", { complete: false }],
    ["not-empty", { held: 3 }],
    ["files-left", { left: ["media/0a/0a0b/0"] }],
    ["files-left", { left: ["media/0a/0a0b/0.1234.new"] }],
    ["kept", { kept: ["segment-1"] }],
    ["ended-by-itself", { ends: ["relay-1 ended with 1"] }],
  ])("fails for what the end showed: %s", (kind, change) => {
    const { verdict, breaches } = verdictOf(clean(), { ...ENDING, ...change });
    expect([verdict, breaches.map((breach) => breach.kind)]).toEqual(["fail", [kind]]);
  });

  it.each<[string, Partial<Demands>]>([
    ["strikes: 2 of 9", { strikes: 9 }],
    ["sent: 2 of 9", { sent: 9 }],
    ["files: 0 of 9", { files: 9 }],
    ["redelivered: 1 of 9", { redelivered: 9 }],
    ["storm did not strike", { kinds: ["relay-kill", "storm"] }],
  ])("is unknown where the run was not violent enough: %s", (lacking, change) => {
    expect(verdictOf(clean(), ENDING, { ...DEMANDS, ...change })).toMatchObject({
      verdict: "unknown",
      lacking: [lacking],
    });
  });
});

describe("the search for marks", () => {
  const mark = "00112233445566778899aabbccddeeff";
  const marks = new Marks([mark, "ff".repeat(16)]);

  it("finds a mark wherever in the bytes it begins, and nothing else", () => {
    for (const before of [0, 1, 7, 4_096]) {
      const bytes = Buffer.concat([Buffer.alloc(before, 0), Buffer.from(mark, "hex"), Buffer.alloc(3)]);
      expect(marks.in(bytes)).toEqual([mark]);
    }
    const almost = Buffer.from(mark, "hex");
    almost[15] = 0;
    expect(marks.in(almost)).toEqual([]);
    expect(marks.in(Buffer.from(mark, "hex").subarray(0, 15))).toEqual([]);
  });
});
