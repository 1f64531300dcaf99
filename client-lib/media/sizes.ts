// Where a file's bytes lie in its parts.
import { MEDIA_PART_BYTES } from "@lethe/protocol";

/** Of the padded file in a part, bytes: 32 chunks of 64 KiB, without the 17 bytes that each has more when sealed. */
const PART_PLAIN_BYTES = MEDIA_PART_BYTES - 32 * 17;
/** The file's length, which stands before it. */
const PREFIX_BYTES = 8;

/** Bytes of a file that are in the parts before this one. */
export function dataBefore(size: number, part: number): number {
  return Math.min(size, Math.max(0, part * PART_PLAIN_BYTES - PREFIX_BYTES));
}
