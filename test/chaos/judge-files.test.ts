// The judge of files is judged first: whole histories pass, to somebody, to a group and after a start, and each fault that is
// planted is found.
import { describe, expect, it } from "vitest";
import { judgeFiles } from "../support/crowd/file-judge.ts";
import type { Line, Stamped } from "../support/crowd/history.ts";
import { tooMuch } from "./judge/left.ts";
import { timelineOf } from "./judge/timeline.ts";
import { judgeRun } from "./judge/verdict.ts";

type Name = "anna" | "ben" | "cora";
type History = Record<Name, Stamped[]>;
const at = (mono: number, line: Line): Stamped => ({ ...line, mono, wall: mono });

const TO_BEN = "anna-0-7.bin";
const TO_ALL = "anna-1-9.bin";
const BLOBS: Readonly<Record<string, string>> = { [TO_BEN]: "0c0d", [TO_ALL]: "0a0b" };

/** Anna sends one file to ben, and one to her group of three. */
function clean(): History {
  const change = { tag: "group-0", change: "create", users: ["ben", "cora"], number: 0 } as const;
  const group = { tag: "group-0", number: 0, members: ["aa", "bb", "cc"] };
  const had = (mono: number, file: string): Stamped[] => [
    at(mono, { is: "file-shown", file, id: `m-${file}`, ref: "", blob: BLOBS[file] ?? "" }),
    at(mono + 1, { is: "file-fetching", file, from: 0 }),
    at(mono + 2, { is: "file-saved", file, hash: `h-${file}` }),
  ];
  return {
    anna: [
      at(0, { is: "started", account: "aa" }),
      at(10, { is: "group-changing", ...change }),
      at(11, { is: "group-changed", ...change }),
      at(100, { is: "file-sending", file: TO_BEN, hash: `h-${TO_BEN}`, to: { user: "ben" } }),
      at(110, { is: "file-sending", file: TO_ALL, hash: `h-${TO_ALL}`, to: group }),
      at(120, { is: "sent", id: `m-${TO_BEN}` }),
      at(121, { is: "file-sent", file: TO_BEN }),
      at(130, { is: "file-sent", file: TO_ALL }),
      at(400, { is: "delivered", id: `m-${TO_BEN}` }),
      at(401, { is: "group-delivered", id: `m-${TO_ALL}`, user: "ben" }),
    ],
    ben: [at(0, { is: "started", account: "bb" }), ...had(200, TO_BEN), ...had(210, TO_ALL)],
    cora: [at(0, { is: "started", account: "cc" }), ...had(300, TO_ALL)],
  };
}

const mapOf = (history: History): Map<string, Stamped[]> => new Map(Object.entries(history));

function without(lines: Stamped[], is: Line["is"], file: string): void {
  lines.splice(
    lines.findIndex((line) => line.is === is && "file" in line && line.file === file),
    1,
  );
}

/** Cora is taken out, and has not fetched what was sent before. */
function takeOut({ anna, cora }: History): void {
  without(cora, "file-saved", TO_ALL);
  const change = { tag: "group-0", change: "remove", users: ["cora"], number: 0 } as const;
  anna.push(at(150, { is: "group-changing", ...change }), at(151, { is: "group-changed", ...change }));
}

/** Anna's process was started again while the file was under way. */
function startAnew({ anna }: History): void {
  without(anna, "file-sent", TO_BEN);
  anna.push(at(500, { is: "started", account: "aa" }));
}

const NEMESES = { strikes: [], began: 0, calm: 900, over: 1_000 };
function breachesOf(history: History, left: readonly string[] = []): string[] {
  const demands = { strikes: 0, sent: 0, redelivered: 0, groups: 0, files: 0, kinds: [] };
  const ending = { complete: true, settledMs: 1, held: 0, left, kept: [], marks: 1, ends: [], crashes: 0 };
  const { breaches } = judgeRun(mapOf(history), NEMESES, { demands, ending }).verdict;
  return breaches.map(({ kind }) => kind);
}

describe("the judge of files", () => {
  it("passes what came whole, and counts", () => {
    expect(breachesOf(clean())).toEqual([]);
    expect(judgeFiles(mapOf(clean()))).toEqual({
      faults: [],
      ...{ files: 2, sent: 2, notSent: 0, outOfSight: 0, resumedUploads: 0, resumedDownloads: 0 },
      ...{ saved: 3, savedBytes: 25, owed: 3, missing: 0, mayStay: [] },
    });
  });

  it.each<[string, string, (history: History) => void]>([
    ["a file that was not had", "lost", ({ ben }) => without(ben, "file-saved", TO_BEN)],
    ["a file that one of a group has not had", "lost", ({ cora }) => without(cora, "file-saved", TO_ALL)],
    ["a file of which no end was told", "lost", ({ anna }) => without(anna, "file-sent", TO_BEN)],
    [
      "other bytes",
      "phantom",
      ({ ben }) => {
        without(ben, "file-saved", TO_BEN);
        ben.push(at(202, { is: "file-saved", file: TO_BEN, hash: "another" }));
      },
    ],
    [
      "a file that was for somebody else",
      "phantom",
      ({ cora }) => cora.push(at(600, { is: "file-saved", file: TO_BEN, hash: `h-${TO_BEN}` })),
    ],
    [
      "a file that nobody sent",
      "phantom",
      ({ cora }) =>
        cora.push(at(600, { is: "file-shown", file: "ben-0-1.bin", id: "m", ref: "", blob: "0a0b" })),
    ],
    [
      "a second message within one start",
      "duplicated",
      ({ ben }) =>
        ben.push(at(600, { is: "file-shown", file: TO_BEN, id: `m-${TO_BEN}`, ref: "", blob: "0a0b" })),
    ],
    [
      "a second message under another id",
      "duplicated",
      ({ ben }) =>
        ben.push(
          at(600, { is: "started", account: "bb" }),
          at(601, { is: "file-shown", file: TO_BEN, id: "another", ref: "", blob: "0a0b" }),
        ),
    ],
    [
      "a refusal",
      "trouble",
      ({ anna }) =>
        anna.push(
          at(600, { is: "file-sending", file: "anna-2-1.bin", hash: "h", to: { user: "ben" } }),
          at(601, { is: "file-not-sent", file: "anna-2-1.bin", code: "media-quota" }),
        ),
    ],
    [
      "a file that came to one of a group when its sender had been started again",
      "lost",
      (history) => {
        without(history.anna, "file-sent", TO_ALL);
        history.anna.push(
          at(500, { is: "started", account: "aa" }),
          at(501, { is: "file-out-of-sight", file: TO_ALL }),
        );
        without(history.cora, "file-saved", TO_ALL);
      },
    ],
  ])("finds what is planted: %s", (_what, kind, plant) => {
    const history = clean();
    plant(history);
    expect(breachesOf(history)).toEqual([kind]);
  });

  it("finds it when what the application was told is not sent has come", () => {
    const history = clean();
    without(history.anna, "file-sent", TO_BEN);
    history.anna.push(at(600, { is: "file-not-sent", file: TO_BEN, code: "media-quota" }));
    expect(breachesOf(history)).toEqual(["refused-and-delivered", "trouble"]);
  });

  it("permits a message to come again after a start, under its id", () => {
    const history = clean();
    history.ben.push(
      at(600, { is: "started", account: "bb" }),
      at(601, { is: "file-shown", file: TO_BEN, id: `m-${TO_BEN}`, ref: "", blob: "0a0b" }),
    );
    expect(breachesOf(history)).toEqual([]);
  });

  it("permits it that an upload is gone after a start and nobody has the file", () => {
    const history = clean();
    startAnew(history);
    history.anna.push(at(501, { is: "file-out-of-sight", file: TO_BEN }));
    history.anna = history.anna.filter(({ is }) => is !== "sent" && is !== "delivered");
    history.ben = history.ben.filter((line) => !("file" in line && line.file === TO_BEN));
    expect(breachesOf(history)).toEqual([]);
  });

  it("owes nothing to those who were taken out, whose files may stay", () => {
    const history = clean();
    takeOut(history);
    expect(judgeFiles(mapOf(history))).toMatchObject({ faults: [], owed: 2, missing: 0, mayStay: ["0a0b"] });
    expect(breachesOf(history, ["media/0a/0a0b/0", "media/0a/0a0b/1.12ab.new"])).toEqual([]);
    expect(breachesOf(history, ["media/0a/0a0b/0", "media/0c/0c0d/0"])).toEqual(["files-left"]);
    expect(breachesOf(history, ["media/0c/0c0d/0.12ab.new"])).toEqual(["files-left"]);
  });

  it("lets a file stay that came to nobody, and no second one", () => {
    const history = clean();
    takeOut(history);
    for (const name of ["ben", "cora"] as const)
      history[name] = history[name].filter((line) => !("file" in line && line.file === TO_ALL));
    expect(judgeFiles(mapOf(history)).mayStay).toEqual([undefined]);
    expect(tooMuch(["media/0e/0e0f/0", "media/0e/0e0f/1"], [undefined])).toEqual([]);
    expect(tooMuch(["media/0e/0e0f/0", "media/0c/0c0d/0"], [undefined])).toHaveLength(2);
  });

  it("tells the life of a file as a timeline", () => {
    const told = timelineOf({ file: TO_BEN }, mapOf(clean()), NEMESES).join("\n");
    expect(told).toMatch(/anna +file-sending[^]*anna +file-sent[^]*ben +file-saved[^]*anna +delivered/);
    expect(told).not.toContain(TO_ALL);
  });
});
