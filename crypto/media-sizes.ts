// How long a file is, sealed: its length rounded up by Padmé, in chunks, in parts. Always true: what is sealed tells of a
// file's length its bucket alone, and every border of a part is a border of a chunk.
import { MAX_MEDIA_BYTES, MEDIA_PART_BYTES, mediaPartLength } from "@lethe/protocol";
import { CHUNK_BYTES, CHUNK_OVERHEAD_BYTES, SEALED_CHUNK_BYTES } from "./secretstream.ts";

/** A file's length stands before it, u64: what follows it up to the bucket is padding. */
export const PREFIX_BYTES = 8;
const SMALLEST = 4_096;
/** Plaintext of a part, bytes; only a blob's last part has less. */
const PART_PLAIN_BYTES = (MEDIA_PART_BYTES / SEALED_CHUNK_BYTES) * CHUNK_BYTES;

/**
 * Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", PETS 2019,
 * section 4): the mantissa keeps as many bits as the exponent has, so that at most 12 % are added.
 */
function padme(length: number): number {
  const exponent = Math.floor(Math.log2(length));
  const step = 2 ** (exponent - (Math.floor(Math.log2(exponent)) + 1));
  return Math.ceil(length / step) * step;
}

/** Bytes that a file of `size` bytes has with its length in front and its padding behind. At least 4,096. */
export function paddedSize(size: number): number {
  return padme(Math.max(SMALLEST, PREFIX_BYTES + size));
}

/** Bytes of the blob of a file of `size` bytes. */
export function sealedSize(size: number): number {
  const padded = paddedSize(size);
  return padded + CHUNK_OVERHEAD_BYTES * Math.ceil(padded / CHUNK_BYTES);
}

/** Whether a file can have this size: its blob is not over `MAX_MEDIA_BYTES`. */
export function isMediaSize(size: number): boolean {
  return Number.isSafeInteger(size) && size >= 0 && sealedSize(size) <= MAX_MEDIA_BYTES;
}

/** Bytes of one part of a blob of `sealed` bytes; 0 where it has no such part. */
export function mediaPartBytes(sealed: number, part: number): number {
  return mediaPartLength(sealed, part) ?? 0;
}

/** Bytes of a file of `size` bytes that are in the parts before this one. */
export function dataBefore(size: number, part: number): number {
  return Math.min(size, Math.max(0, part * PART_PLAIN_BYTES - PREFIX_BYTES));
}

/** What a part holds of a file of `size` bytes, in bytes. Behind the data follow zeros. */
export interface PartLayout {
  /** The file's length: in the first part. */
  readonly prefix: number;
  readonly data: number;
  readonly plain: number;
}

export function partLayout(size: number, part: number): PartLayout {
  const from = part * PART_PLAIN_BYTES;
  const plain = Math.max(0, Math.min(PART_PLAIN_BYTES, paddedSize(size) - from));
  const data = dataBefore(size, part + 1) - dataBefore(size, part);
  return { prefix: part === 0 ? PREFIX_BYTES : 0, data, plain };
}
