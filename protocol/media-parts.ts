// Parts of a blob by number and length. Always true: every part but a blob's last is MEDIA_PART_BYTES long; a blob that has
// all its parts at these lengths has all its bytes.
import { MEDIA_PART_BYTES } from "./limits.ts";

/** Parts of a blob of so many bytes. */
export function mediaParts(blobBytes: number): number {
  return Math.ceil(blobBytes / MEDIA_PART_BYTES);
}

/** Length of a part, bytes; undefined where a blob of so many bytes has no such part. */
export function mediaPartLength(blobBytes: number, part: number): number | undefined {
  const from = part * MEDIA_PART_BYTES;
  return from < blobBytes ? Math.min(MEDIA_PART_BYTES, blobBytes - from) : undefined;
}
