// Nothing of files is kept that everybody has: what stands in the relay's media folder at the end, one path for each part.
import { basename, dirname } from "node:path";

/** The files, by their ids, of which there is a part. */
function blobsIn(left: readonly string[]): ReadonlySet<string> {
  return new Set(left.filter((path) => !isUnfinished(path)).map((path) => basename(dirname(path))));
}

/** A part that was never written to its end. */
function isUnfinished(path: string): boolean {
  return path.endsWith(".new");
}

/** What may not be there. */
export function tooMuch(left: readonly string[], mayStay: number): readonly string[] {
  const unfinished = left.filter(isUnfinished);
  return blobsIn(left).size > mayStay ? left : unfinished;
}
