// What a failing schedule of media leaves behind, as `../artifact.ts` does for messages: its plan made smaller, and drawn.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Artifact, ARTIFACTS, deedInWords } from "../artifact.ts";
import { draw } from "../diagram.ts";
import type { Failure } from "../runner.ts";
import { Trace } from "../trace.ts";
import { mediaPlanOf, type MediaSize } from "./plan.ts";
import { type MediaOptions, runMediaPlan } from "./runner.ts";
import { shrinkMedia } from "./shrink.ts";

/** Shrinks a failure, draws it, and says where. `again` is the command that shows the failure again. */
export async function keepMedia(
  failure: Failure,
  size: MediaSize,
  { options, again }: { readonly options: MediaOptions; readonly again: string },
): Promise<Artifact> {
  const { plan, tries } = await shrinkMedia(mediaPlanOf(failure.seed, size), failure.promise, options);
  const trace = new Trace();
  const seen = (await runMediaPlan(plan, { ...options, trace })).failure ?? failure;
  const svg = join(ARTIFACTS, `simulation-media-${failure.seed}.svg`);
  mkdirSync(ARTIFACTS, { recursive: true });
  const lines = [...new Set(trace.notes.map(({ on }) => on))].toSorted();
  writeFileSync(svg, draw({ title: seen.detail.split("\n")[0] ?? "", subtitle: again, trace, lines }));
  return { svg, deeds: plan.deeds.map(deedInWords), tries };
}
