// How soon each rule that is left out is missed, as the table in README.md: the check of the checks, from any seed.
import type { Size } from "./plan.ts";
import { RULE_NAMES } from "./rules.ts";
import { type Missed, missedAfter } from "./runner.ts";

export interface Search {
  readonly seed: number;
  /** Schedules for each rule at most. */
  readonly runs: number;
  readonly size: Size;
}

/** Measures rule after rule, and prints each row when it is known. False: one was not missed. */
export function printRuleTable({ seed, runs, size }: Search, out: { write(text: string): void }): boolean {
  out.write(`| left out | missed after, schedules from seed ${seed} | by |\n| --- | --- | --- |\n`);
  let all = true;
  for (const rule of RULE_NAMES) {
    const missed = missedAfter(rule, size, { seed, runs });
    all &&= missed !== undefined;
    out.write(`| \`${rule}\` | ${rowOf(missed, runs)} |\n`);
  }
  return all;
}

function rowOf(missed: Missed | undefined, runs: number): string {
  if (missed === undefined) return `not in ${runs.toLocaleString("en")} | `;
  return `${missed.runs.toLocaleString("en")} | ${missed.failure.promise}`;
}
