// Runs schedules: one, or many one after another, and says what came of them. Always true: what a run reports is data,
// so that it can cross from a worker process to the one that prints.
import { Coverage, EVENTS } from "./coverage.ts";
import { BrokenPromise, type PromiseName } from "./ledger.ts";
import type { Cast } from "./people.ts";
import type { MediaPromise } from "./media/judge.ts";
import { forBulk, type Plan, planOf, type Size } from "./plan.ts";
import { ALL_RULES, type Rules, rulesFor } from "./rules.ts";
import type { Trace } from "./trace.ts";
import { World } from "./world.ts";

export interface Failure {
  readonly seed: number;
  readonly promise: PromiseName | MediaPromise;
  readonly detail: string;
}

export interface Outcome {
  readonly failure: Failure | undefined;
  readonly steps: number;
  readonly cover: Iterable<readonly [string, number]>;
  /** Pushed again on one connection after it had been acknowledged there. */
  readonly repeats: number;
  readonly restedAfter: number;
}

export interface Options {
  readonly rules: Rules;
  readonly trace?: Trace | undefined;
  /** The real cipher instead of one that hides nothing, in every so manieth schedule. */
  readonly real?: { readonly every: number; readonly cast: (seed: number) => Cast } | undefined;
}

export function runPlan(plan: Plan, { rules, trace, real }: Options): Outcome {
  const cast = real !== undefined && plan.seed % real.every === 0 ? real.cast(plan.seed) : undefined;
  const bulky = cast === undefined ? plan : { ...plan, weather: forBulk(plan.weather, cast.bulk) };
  const world = new World({ plan: bulky, rules, trace, cast });
  let failure: Failure | undefined;
  try {
    world.run();
  } catch (error) {
    failure = failureOf(plan.seed, error);
  }
  const { steps, cover, restedAfter } = world;
  return { failure, steps, cover, restedAfter, repeats: world.ledger.repeats };
}

function failureOf(seed: number, error: unknown): Failure {
  if (error instanceof BrokenPromise) return { seed, promise: error.promise, detail: error.message };
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { seed, promise: "the machines do not throw", detail };
}

/** What many schedules came to. */
export class Tally {
  runs = 0;
  steps = 0;
  repeats = 0;
  restedAfter = 0;
  readonly cover: Coverage<string>;
  readonly failures: Failure[] = [];

  /** @param events what is counted. */
  constructor(events: readonly string[] = EVENTS) {
    this.cover = new Coverage(events);
  }

  take(outcome: Outcome): void {
    this.runs++;
    this.steps += outcome.steps;
    this.repeats += outcome.repeats;
    this.restedAfter += outcome.restedAfter;
    this.cover.add(outcome.cover);
    if (outcome.failure !== undefined) this.failures.push(outcome.failure);
  }

  toParts(): TallyParts {
    const { runs, steps, repeats, restedAfter, failures } = this;
    return { runs, steps, repeats, restedAfter, failures, cover: [...this.cover] };
  }

  add(parts: TallyParts): void {
    this.runs += parts.runs;
    this.steps += parts.steps;
    this.repeats += parts.repeats;
    this.restedAfter += parts.restedAfter;
    this.cover.add(parts.cover);
    this.failures.push(...parts.failures);
  }
}

export interface TallyParts {
  readonly runs: number;
  readonly steps: number;
  readonly repeats: number;
  readonly restedAfter: number;
  readonly failures: readonly Failure[];
  readonly cover: readonly (readonly [string, number])[];
}

export interface Range {
  readonly seed: number;
  readonly runs: number;
  readonly size: Size;
  readonly options: Options;
  /** Ends after this many failures. */
  readonly maxFailures: number;
  readonly onRun?: (tally: Tally) => void;
}

/** Runs the seeds `seed` to `seed + runs - 1`. */
export function runMany({ seed, runs, size, options, maxFailures, onRun }: Range): Tally {
  const tally = new Tally();
  for (let next = seed; next < seed + runs && tally.failures.length < maxFailures; next++) {
    tally.take(runPlan(planOf(next, size), options));
    onRun?.(tally);
  }
  return tally;
}

/** How many schedules it takes until a rule that is left out is missed, undefined if none of them does. */
export function missedAfter(
  ruleOff: string,
  size: Size,
  { seed, runs }: { seed: number; runs: number },
): Missed | undefined {
  const options = { rules: rulesFor(ruleOff) };
  for (let next = seed; next < seed + runs; next++) {
    const { failure } = runPlan(planOf(next, size), options);
    if (failure !== undefined && isOwn(failure, size)) return { runs: next - seed + 1, failure };
  }
  return undefined;
}

/** With all rules the same schedule keeps every promise: what failed is missing the rule, nothing else. */
function isOwn({ seed }: Failure, size: Size): boolean {
  return runPlan(planOf(seed, size), { rules: ALL_RULES }).failure === undefined;
}

export interface Missed {
  readonly runs: number;
  readonly failure: Failure;
}
