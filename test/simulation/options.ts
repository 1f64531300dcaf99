// The options of a run from what a person or another process asked for.
import type { Size } from "./plan.ts";
import { realCast } from "./real-cast.ts";
import { rulesFor } from "./rules.ts";
import type { Options } from "./runner.ts";

export interface Asked {
  readonly ruleOff: string | undefined;
  /** The real cipher in every so manieth schedule; 0: in none. */
  readonly realEvery: number;
  readonly size: Size;
}

export async function optionsFor({ ruleOff, realEvery, size }: Asked): Promise<Options> {
  const rules = rulesFor(ruleOff);
  if (realEvery === 0) return { rules };
  return { rules, real: { every: realEvery, cast: await realCast(size.clients) } };
}
