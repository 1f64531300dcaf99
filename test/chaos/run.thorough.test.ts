// A short chaos run over every kind of fault on the embedded store, with a fixed seed; and the control that shows that the
// judge of real runs sees a relay that breaks its word.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aFolder } from "../support/folder.ts";
import { type Options, optionsOf } from "./options.ts";
import { pictures } from "./report/pictures.ts";
import { words } from "./report/words.ts";
import { type Finished, run, type Telling } from "./run.ts";

const silent: Telling = { begun() {}, struck() {}, healed() {}, at() {} };

const options = (...args: string[]): Options => optionsOf(args, 1) as Options;
const SMALL = ["--people", "8", "--processes", "2", "--rate", "10"];

async function ran(chosen: Options, look: (finished: Finished) => void): Promise<void> {
  await using folder = await aFolder();
  const finished = await run(chosen, folder.path, silent);
  process.stdout.write(`${words(finished.verdict, chosen, finished.lacks)}\n`);
  look(finished);
  expect(existsSync(join(folder.path, "nemeses.jsonl"))).toBe(true);
  expect(existsSync(join(folder.path, "people", "person-0.jsonl"))).toBe(true);
}

it("keeps every promise through 40 seconds of all kinds of fault", async () => {
  const chosen = options("--minutes", "0.7", "--seed", "20261126", ...SMALL);
  await ran(chosen, (finished) => {
    const { verdict } = finished;
    expect(verdict.breaches).toEqual([]);
    expect(verdict.counts.strikes).toBeGreaterThan(0);
    expect(verdict.counts.handed).toBe(verdict.counts.queued);
    for (const svg of Object.values(pictures(finished, chosen)))
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });
}, 290_000);

it("sees it when a relay keeps what was delivered", async () => {
  const chosen = options(
    ...[
      "--minutes",
      "0.4",
      "--seed",
      "3",
      "--rule-off",
      "removeOnAck",
      "--faults",
      "client-kill,client-pause",
    ],
    ...SMALL,
  );
  await ran(chosen, ({ verdict }) => {
    expect(verdict.verdict).toBe("fail");
    expect(verdict.breaches.map(({ kind }) => kind)).toContain("not-empty");
  });
}, 290_000);
