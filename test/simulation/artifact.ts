// What a failing run leaves behind: its plan made smaller, drawn, in `test/.artifacts`. Always true: the file says how to
// see the same thing again.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { draw } from "./diagram.ts";
import { NODES, PEOPLE } from "./people.ts";
import { planOf, type Size } from "./plan.ts";
import { type Failure, type Options, runPlan } from "./runner.ts";
import { shrink } from "./shrink.ts";
import { Trace } from "./trace.ts";

export const ARTIFACTS = join(import.meta.dirname, "..", ".artifacts");

export interface Artifact {
  readonly svg: string;
  /** What is left of the plan, one line a deed. */
  readonly deeds: readonly string[];
  readonly tries: number;
}

/** Shrinks a failure, draws it, and says where. `again` is the command that shows the failure again. */
export function keep(
  failure: Failure,
  size: Size,
  { options, again }: { options: Options; again: string },
): Artifact {
  const { plan, tries } = shrink(planOf(failure.seed, size), failure.promise, options);
  const trace = new Trace();
  const seen = runPlan(plan, { ...options, trace }).failure ?? failure;
  const svg = join(ARTIFACTS, `simulation-${failure.seed}.svg`);
  mkdirSync(ARTIFACTS, { recursive: true });
  const lines = [...PEOPLE, "store", ...NODES];
  writeFileSync(svg, draw({ title: seen.detail.split("\n")[0] ?? "", subtitle: again, trace, lines }));
  return { svg, deeds: plan.deeds.map(deedInWords), tries };
}

export function deedInWords({ at, do: what, ...rest }: { readonly at: number; readonly do: string }): string {
  return `${at.toFixed(0)} ms: ${what} ${words(rest)}`;
}

function words(fields: Record<string, unknown>): string {
  return Object.entries(fields)
    .filter(([name, value]) => value !== undefined && name !== "number")
    .map(([name, value]) => `${name} ${typeof value === "number" ? Math.round(value) : String(value)}`)
    .join(", ");
}
