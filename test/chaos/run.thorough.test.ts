// A short chaos run over every kind of fault on the embedded store, with a fixed seed. Controls: one hand-over of a group, and one
// saved file, is taken out of what the run has left, and the judge misses it; control.long.test.ts has a relay that breaks its word.
import { join } from "node:path";
import { expect, it } from "vitest";
import { judgeFiles } from "../support/crowd/file-judge.ts";
import { judgeGroups } from "../support/crowd/group-judge.ts";
import { type Histories, readHistories, type Stamped } from "../support/crowd/history.ts";
import { options, ran, SMALL } from "./a-run.ts";
import { pictures } from "./report/pictures.ts";

it("keeps every promise through 30 seconds of all kinds of fault", async () => {
  const chosen = options("--minutes", "0.5", "--seed", "20261126", ...SMALL);
  await ran(chosen, async (finished) => {
    const { verdict } = finished;
    expect(verdict.breaches).toEqual([]);
    expect(verdict.counts.strikes).toBeGreaterThan(0);
    expect(verdict.counts.handed).toBe(verdict.counts.queued);
    expect(verdict.counts.inGroups.owed).toBeGreaterThan(0);
    const names = Array.from({ length: chosen.people }, (_, i) => `person-${i}`);
    const histories = await readHistories(join(finished.folder, "people"), names);
    expect(judgeGroups(histories).faults).toEqual([]);
    expect(verdict.counts.files.sent).toBeGreaterThan(0);
    expect(verdict.counts.files.saved).toBeGreaterThanOrEqual(verdict.counts.files.owed);
    expect(judgeFiles(histories).faults).toEqual([]);
    expect(lessOne(histories, "group-handed").some((less) => judgeGroups(less).missing === 1)).toBe(true);
    expect(lessOne(histories, "file-saved").some((less) => judgeFiles(less).missing === 1)).toBe(true);
    for (const svg of Object.values(pictures(finished, chosen)))
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });
}, 290_000);

/** The histories without one line of this kind, each in its turn. */
function* lessOne(
  histories: Histories<Stamped>,
  kind: "group-handed" | "file-saved",
): Generator<Histories<Stamped>> {
  for (const [name, lines] of histories)
    for (const line of lines)
      if (line.is === kind) yield new Map([...histories, [name, lines.filter((each) => each !== line)]]);
}
