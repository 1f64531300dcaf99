// Padding to buckets (ISO/IEC 7816-4: 0x80, then zeros), so that a ciphertext's length tells only a bucket: 256, 512,
// 1,024, 2,048 bytes, then multiples of 2 KiB up to 64 KiB. Canonical: only the smallest bucket is accepted.
import { MAX_PADDED_BYTES } from "./limits.ts";

const SMALLEST = 256;
const STEP = 2_048;
const MARK = 0x80;

/** First messages carry more beside a short text: their smallest bucket holds it all, so that they have one length. */
export const SMALLEST_FIRST = 512;

/** The bucket for `length` bytes of content and the mark; undefined where there is none so large. */
export function bucketFor(length: number, smallest = SMALLEST): number | undefined {
  const need = length + 1;
  if (need > MAX_PADDED_BYTES) return undefined;
  for (let bucket = smallest; bucket < STEP; bucket *= 2) if (need <= bucket) return bucket;
  return Math.ceil(need / STEP) * STEP;
}

/** The content padded. @throws RangeError where no bucket is large enough. */
export function pad(content: Uint8Array, smallest = SMALLEST): Uint8Array {
  const bucket = bucketFor(content.length, smallest);
  if (bucket === undefined) throw new RangeError(); // over the largest padding bucket
  return fill(new Uint8Array(bucket), [content]);
}

function fill(out: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  out[at] = MARK;
  return out;
}

/** The content as a view; undefined where the padding is not exactly what `pad` makes. */
export function unpad(padded: Uint8Array, smallest = SMALLEST): Uint8Array | undefined {
  const content = strip(padded);
  return content !== undefined && bucketFor(content.length, smallest) === padded.length ? content : undefined;
}

/** Pads to the next multiple of `step` instead of a bucket. */
export function padTo(step: number, content: Uint8Array): Uint8Array {
  return fill(new Uint8Array(Math.ceil((content.length + 1) / step) * step), [content]);
}

/** The content of `padTo`; undefined where the padding is not exactly what it makes. */
export function unpadFrom(step: number, padded: Uint8Array): Uint8Array | undefined {
  const content = strip(padded);
  if (content === undefined) return undefined;
  return padded.length === Math.ceil((content.length + 1) / step) * step ? content : undefined;
}

function strip(padded: Uint8Array): Uint8Array | undefined {
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end--;
  return end >= 0 && padded[end] === MARK ? padded.subarray(0, end) : undefined;
}
