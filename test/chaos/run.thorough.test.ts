// A short chaos run over every kind of fault on the embedded store, with a fixed seed. Its control is in control.long.test.ts.
import { expect, it } from "vitest";
import { options, ran, SMALL } from "./a-run.ts";
import { pictures } from "./report/pictures.ts";

it("keeps every promise through 30 seconds of all kinds of fault", async () => {
  const chosen = options("--minutes", "0.5", "--seed", "20261126", ...SMALL);
  await ran(chosen, (finished) => {
    const { verdict } = finished;
    expect(verdict.breaches).toEqual([]);
    expect(verdict.counts.strikes).toBeGreaterThan(0);
    expect(verdict.counts.handed).toBe(verdict.counts.queued);
    for (const svg of Object.values(pictures(finished, chosen)))
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });
}, 290_000);
