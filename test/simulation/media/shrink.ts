// Makes a failing plan of media smaller while it still breaks the same promise: fewer deeds (Zeller and Hildebrandt's ddmin, by
// complements only). Always true: what it returns fails in the same way as what it was given.
import type { Failure } from "../runner.ts";
import type { MediaPlan, TimedDeed } from "./plan.ts";
import { type MediaOptions, runMediaPlan } from "./runner.ts";

const MAX_TRIES = 400;

export interface ShrunkMedia {
  readonly plan: MediaPlan;
  readonly tries: number;
}

export async function shrinkMedia(
  plan: MediaPlan,
  promise: Failure["promise"],
  options: MediaOptions,
): Promise<ShrunkMedia> {
  let { deeds } = plan;
  let tries = 0;
  const fails = async (fewer: readonly TimedDeed[]): Promise<boolean> => {
    tries++;
    return (await runMediaPlan({ ...plan, deeds: fewer }, options)).failure?.promise === promise;
  };
  let size = Math.ceil(deeds.length / 2);
  while (deeds.length > 0 && tries < MAX_TRIES) {
    const smaller = await withoutOneChunk(deeds, size, fails);
    if (smaller !== undefined) deeds = smaller;
    else if (size === 1) break;
    else size = Math.ceil(size / 2);
  }
  return { plan: { ...plan, deeds }, tries };
}

async function withoutOneChunk(
  deeds: readonly TimedDeed[],
  size: number,
  fails: (fewer: readonly TimedDeed[]) => Promise<boolean>,
): Promise<readonly TimedDeed[] | undefined> {
  for (let at = 0; at < deeds.length; at += size) {
    const left = [...deeds.slice(0, at), ...deeds.slice(at + size)];
    if (await fails(left)) return left;
  }
  return undefined;
}
