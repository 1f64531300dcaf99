// The checks of media are checked: with any one rule left out, a promise is broken within 10,000 schedules, by nothing else.
import { describe, expect, it } from "vitest";
import { MEDIA_RULES } from "./rules.ts";
import { mediaMissedAfter } from "./runner.ts";

const SIZE = { nodes: 3, clients: 4 };

/** Another one each day, as for the simulation itself; `SEED=1` gives the same again. */
const SEED = Number(process.env["SEED"] ?? Math.floor(Date.now() / 86_400_000) * 10_000);

describe(`a rule of media that is left out is missed, from seed ${SEED}`, () => {
  for (const rule of MEDIA_RULES)
    it(rule, async () => {
      const missed = await mediaMissedAfter(rule, SIZE, { seed: SEED, runs: 10_000 });
      expect(missed?.failure.promise, "no promise was broken").toBeDefined();
      process.stdout.write(`${rule}: ${missed?.runs} schedules, ${missed?.failure.detail.split("\n")[0]}\n`);
    });
});
