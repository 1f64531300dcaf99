// The message of an error: Node's half, where it is a sentence. A bundle for browsers has `wording-browser.ts` in its place
// (package.json, `browser`), so that a page loads no sentence that it does not show.
import { sentenceOf } from "../sentences.ts";

export function wordingOf(code: string, detail: string | undefined): string {
  const says = sentenceOf(code);
  return detail === undefined ? says : `${says} (${detail})`;
}
