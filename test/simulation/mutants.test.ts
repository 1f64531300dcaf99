// The checks are checked: with any one rule left out, a promise is broken within 20,000 schedules, by nothing else.
import { describe, expect, it } from "vitest";
import { RULE_NAMES } from "./rules.ts";
import { missedAfter } from "./runner.ts";

const SIZE = { nodes: 3, clients: 4 };

/** Another one each day, as for the simulation itself; `SEED=1` gives the same again. */
const SEED = Number(process.env["SEED"] ?? Math.floor(Date.now() / 86_400_000) * 10_000);

describe(`a rule that is left out is missed, from seed ${SEED}`, () => {
  for (const rule of RULE_NAMES)
    it(rule, () => {
      const missed = missedAfter(rule, SIZE, { seed: SEED, runs: 20_000 });
      expect(missed?.failure.promise, "no promise was broken").toBeDefined();
      process.stdout.write(`${rule}: ${missed?.runs} schedules, ${missed?.failure.detail.split("\n")[0]}\n`);
    });
});
