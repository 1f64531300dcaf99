// The promises of media, on the real routes, collection and client code, over thousands of schedules with everything that can go
// wrong.
import { describe, expect, it } from "vitest";
import { keepMedia } from "./artifact.ts";
import { MEDIA_EVENTS } from "./events.ts";
import { runManyMedia } from "./runner.ts";

/** The first seed: another one each day, `SEED=1` gives the same again. */
const SEED = Number(process.env["SEED"] ?? Math.floor(Date.now() / 86_400_000) * 10_000);
const RUNS = Number(process.env["RUNS"] ?? 2_000);
const SIZE = { nodes: 3, clients: 4 };
const options = { off: undefined };

describe("files between four accounts, at three nodes", () => {
  it(`keep every promise in ${RUNS} schedules from seed ${SEED}, and nothing interesting is left out`, async () => {
    const tally = await runManyMedia({ seed: SEED, runs: RUNS, size: SIZE, options, maxFailures: 3 });
    const kept: string[] = [];
    for (const failure of tally.failures) {
      const again = `npm run simulate -- --media --runs 1 --seed ${failure.seed}`;
      const { svg, deeds } = await keepMedia(failure, SIZE, { options, again });
      kept.push([`seed ${failure.seed}: ${failure.detail}`, again, `drawn: ${svg}`, ...deeds].join("\n"));
    }
    expect(kept).toEqual([]);
    const never = MEDIA_EVENTS.filter((event) => tally.cover.of(event) === 0 && !RARE.includes(event));
    expect(never, `what never happened from seed ${SEED}`).toEqual([]);
  });

  it("are the same, step for step, for the same seed", async () => {
    const run = async (): Promise<unknown> =>
      (await runManyMedia({ seed: SEED, runs: 40, size: SIZE, options, maxFailures: 1 })).toParts();
    expect(await run()).toEqual(await run());
  });
});

/** Too rare to be asked of a few thousand schedules; the long run prints them. */
const RARE: readonly string[] = [
  "begun again after its end",
  "orphan",
  "part of a blob that had ended",
  "kept for a device without the message",
];
