// Runs schedules of media, one after another, as `../runner.ts` runs those of delivery.
import { ready } from "@lethe/crypto";
import { type Failure, type Missed, type Outcome, Tally } from "../runner.ts";
import type { Trace } from "../trace.ts";
import { MEDIA_EVENTS } from "./events.ts";
import { type MediaPlan, mediaPlanOf, type MediaSize } from "./plan.ts";
import { inOneThread } from "./platform.ts";
import { type MediaRule, mediaRule } from "./rules.ts";
import { MediaWorld } from "./world.ts";

export interface MediaOptions {
  /** A rule that is left out. */
  readonly off: MediaRule | undefined;
  readonly trace?: Trace;
}

export async function runMediaPlan(plan: MediaPlan, options: MediaOptions): Promise<Outcome> {
  await ready();
  const world = new MediaWorld({ plan, ...options });
  await inOneThread(() => world.run());
  const { steps, cover, restedAfter, judge } = world;
  const failure: Failure | undefined =
    judge.broken === undefined ? undefined : { seed: plan.seed, ...judge.broken };
  return { failure, steps, cover, restedAfter, repeats: 0 };
}

export interface MediaRange {
  readonly seed: number;
  readonly runs: number;
  readonly size: MediaSize;
  readonly options: MediaOptions;
  readonly maxFailures: number;
  readonly onRun?: (tally: Tally) => void;
}

/** Runs the seeds `seed` to `seed + runs - 1`. */
export async function runManyMedia({
  seed,
  runs,
  size,
  options,
  maxFailures,
  onRun,
}: MediaRange): Promise<Tally> {
  const tally = new Tally(MEDIA_EVENTS);
  for (let next = seed; next < seed + runs && tally.failures.length < maxFailures; next++) {
    tally.take(await runMediaPlan(mediaPlanOf(next, size), options));
    onRun?.(tally);
  }
  return tally;
}

/** How many schedules it takes until a rule that is left out is missed, undefined if none of them does. */
export async function mediaMissedAfter(
  rule: string,
  size: MediaSize,
  { seed, runs }: { readonly seed: number; readonly runs: number },
): Promise<Missed | undefined> {
  const off = mediaRule(rule);
  for (let next = seed; next < seed + runs; next++) {
    const plan = mediaPlanOf(next, size);
    const { failure } = await runMediaPlan(plan, { off });
    if (failure === undefined) continue;
    // With all rules the same schedule keeps every promise: what failed is missing the rule, nothing else.
    if ((await runMediaPlan(plan, { off: undefined })).failure === undefined)
      return { runs: next - seed + 1, failure };
  }
  return undefined;
}
