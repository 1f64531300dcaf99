// Nothing of files is kept that everybody has: what stands in the relay's media folder at the end, one path for each part, parts
// included that were never written to their ends.
import { basename, dirname } from "node:path";

const blobOf = (path: string): string => basename(dirname(path));

/** What may not be there. @param mayStay blobs that may; undefined: one more whose name nobody knows */
export function tooMuch(
  left: readonly string[],
  mayStay: readonly (string | undefined)[],
): readonly string[] {
  const others = left.filter((path) => !mayStay.includes(blobOf(path)));
  const unnamed = mayStay.filter((blob) => blob === undefined).length;
  return new Set(others.map(blobOf)).size > unnamed ? others : [];
}
