// What it takes to fetch a file, as bytes that an application keeps. Always true: it holds the file's key, so whoever has it can
// read the file for as long as the relay has it, and needs a release token of a device to get it.
import { decodeAll, encode, fixed, MAX_MEDIA_BYTES, oneOf, struct, text, u32, u64 } from "@lethe/protocol";
import { ClientError } from "../errors.ts";
import type { MediaFields } from "../said.ts";
import { MAX_CAPTION_BYTES, MAX_NAME_BYTES, MAX_TYPE_BYTES } from "./limits.ts";

export type MediaRef = Omit<MediaFields, "thumbnail">;

const refCodec = struct({
  format: oneOf({ one: 1 }),
  id: fixed(16),
  key: fixed(32),
  digest: fixed(32),
  size: u64,
  type: text(MAX_TYPE_BYTES),
  name: text(MAX_NAME_BYTES),
  caption: text(MAX_CAPTION_BYTES),
  width: u32,
  height: u32,
});

export function encodeRef(ref: MediaRef): Uint8Array {
  return encode(refCodec, { format: "one", ...ref });
}

/** @throws ClientError media-ref-malformed */
export function decodeRef(ref: Uint8Array): MediaRef {
  try {
    const { format: _, ...rest } = decodeAll(refCodec, ref.slice());
    if (rest.size <= MAX_MEDIA_BYTES) return rest;
  } catch {
    // as below
  }
  throw new ClientError("media-ref-malformed");
}
