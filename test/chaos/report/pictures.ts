// The pictures of a run, by file name.
import type { Options } from "../options.ts";
import type { Finished } from "../run.ts";

export function pictures(_finished: Finished, _options: Options): Readonly<Record<string, string>> {
  return {};
}
