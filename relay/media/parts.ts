// Which parts of a blob are there. Always true: one that is longer or shorter than it is to be counts as missing.
import { mediaPartLength } from "@lethe/protocol";

/** Numbers of the parts that are there as a whole, rising. */
export function partsThere(blobBytes: number, lengths: ReadonlyMap<number, number>): number[] {
  return [...lengths]
    .filter(([part, length]) => length === mediaPartLength(blobBytes, part))
    .map(([part]) => part)
    .toSorted((a, b) => a - b);
}
