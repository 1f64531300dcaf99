// The names under which blobs and their parts are kept. Always true: a name is made of an id's hexadecimal digits and of a checked
// number, never of what somebody sent; what is not such a name is nothing of ours.
import { fromHex, ID_BYTES, MAX_MEDIA_BYTES, MEDIA_PART_BYTES, toHex } from "@lethe/protocol";
import type { MediaId } from "../media.ts";

const PARTS_OF_THE_LARGEST = Math.ceil(MAX_MEDIA_BYTES / MEDIA_PART_BYTES);
const BLOB = /^[0-9a-f]{32}$/;
const PART = /^(?:0|[1-9][0-9]{0,4})$/;

/** 32 hexadecimal digits. @throws RangeError */
export function blobName(media: MediaId): string {
  const name = toHex(media);
  if (!BLOB.test(name)) throw new RangeError("a media id has 16 bytes");
  return name;
}

export function blobOf(name: string): MediaId | undefined {
  return BLOB.test(name) ? fromHex<MediaId>(name, ID_BYTES) : undefined;
}

/** A part's number in decimal digits. @throws RangeError */
export function partName(part: number): string {
  if (!Number.isInteger(part) || part < 0 || part >= PARTS_OF_THE_LARGEST)
    throw new RangeError(`parts have the numbers 0 to ${PARTS_OF_THE_LARGEST - 1}`);
  return String(part);
}

export function partOf(name: string): number | undefined {
  return PART.test(name) ? Number(name) : undefined;
}

/** @throws RangeError */
export function checkLength(length: number): void {
  if (!Number.isInteger(length) || length < 1 || length > MEDIA_PART_BYTES)
    throw new RangeError(`a part has 1 to ${MEDIA_PART_BYTES} bytes`);
}

/** Bytes `from` to `to`, exclusive; at least one. @throws RangeError */
export function checkRange(from: number, to: number): void {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || from >= to)
    throw new RangeError("a range has at least one byte");
}
