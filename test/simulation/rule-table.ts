// How soon each rule that is left out is missed, as the table in README.md: the check of the checks, from any seed.
import type { Missed } from "./runner.ts";

export interface Search {
  readonly seed: number;
  /** Schedules for each rule at most. */
  readonly runs: number;
}

/** @returns undefined: no schedule has missed it */
type MissedAfter = (rule: string) => Missed | undefined | Promise<Missed | undefined>;

/** Measures rule after rule, and prints each row when it is known. False: one was not missed. */
export async function printRuleTable(
  rules: readonly string[],
  { seed, runs }: Search,
  missedAfter: MissedAfter,
  out: { write(text: string): void },
): Promise<boolean> {
  out.write(`| left out | missed after, schedules from seed ${seed} | by |\n| --- | --- | --- |\n`);
  let all = true;
  for (const rule of rules) {
    const missed = await missedAfter(rule);
    all &&= missed !== undefined;
    out.write(`| \`${rule}\` | ${rowOf(missed, runs)} |\n`);
  }
  return all;
}

function rowOf(missed: Missed | undefined, runs: number): string {
  if (missed === undefined) return `not in ${runs.toLocaleString("en")} | `;
  return `${missed.runs.toLocaleString("en")} | ${missed.failure.promise}`;
}
