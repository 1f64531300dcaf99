// The message of an error: a browser's half, in the place of `wording.ts`. The code alone; `sentenceOf` says it in a sentence.

export function wordingOf(code: string, detail: string | undefined): string {
  return detail === undefined ? code : `${code} (${detail})`;
}
