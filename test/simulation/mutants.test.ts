// The checks are checked: with any one rule left out, a promise is broken within 20,000 schedules, by nothing else.
import { describe, expect, it } from "vitest";
import { RULE_NAMES } from "./rules.ts";
import { missedAfter } from "./runner.ts";

const SIZE = { nodes: 3, clients: 4 };

/** Where a fault has to fall between two particular steps, the search begins close to a seed where it does. */
const BEGIN: Readonly<Record<string, number>> = {
  "store.epoch": 400,
  "store.removeById": 5_500,
  "node.look": 2_500,
};

describe("a rule that is left out is missed", () => {
  for (const rule of RULE_NAMES)
    it(rule, () => {
      const missed = missedAfter(rule, SIZE, { seed: BEGIN[rule] ?? 1, runs: 20_000 });
      expect(missed?.failure.promise, "no promise was broken").toBeDefined();
      process.stdout.write(`${rule}: ${missed?.runs} schedules, ${missed?.failure.detail.split("\n")[0]}\n`);
    });
});
