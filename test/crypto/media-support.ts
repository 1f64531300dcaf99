// Files for the tests of media: sealed whole, and opened part by part from any position.
import { type DeviceAddress, fromBytes } from "@lethe/protocol";
import {
  type MediaFault,
  type MediaKey,
  MediaOpener,
  type MediaPosition,
  MediaSealer,
  type MediaShape,
  makeMediaKey,
  type Random,
} from "../../crypto/index.ts";
import { CHUNK_BYTES, SEALED_CHUNK_BYTES } from "../../crypto/secretstream.ts";
import type { TwinKey } from "./twin/media.ts";

export const PART_CHUNKS = 32;
/** Plaintext of a part. */
export const PART_PLAIN = PART_CHUNKS * CHUNK_BYTES;

/** Bytes that differ at every chunk, made fast. */
export function fileOf(size: number, seed = 1): Uint8Array {
  const out = new Uint8Array(size);
  const words = new Uint32Array(out.buffer, 0, size >> 2);
  for (let i = 0, x = seed; i < words.length; i++)
    words[i] = x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0;
  for (let i = words.length * 4; i < size; i++) out[i] = seed + i;
  return out;
}

export interface SealedFile {
  readonly key: MediaKey;
  readonly data: Uint8Array;
  readonly shape: MediaShape;
  readonly parts: readonly Uint8Array[];
  /** Before each part, and the end. */
  readonly positions: readonly MediaPosition[];
}

export async function sealFile(
  data: Uint8Array,
  random: Random,
  key = makeMediaKey(random),
): Promise<SealedFile> {
  const sealer = new MediaSealer(key, data.length);
  const parts: Uint8Array[] = [];
  const positions = [await sealer.position()];
  for (let at = 0; !sealer.done; ) {
    const next = data.subarray(at, at + sealer.wants);
    parts.push(sealer.seal(next));
    positions.push(await sealer.position());
    at += next.length;
  }
  const digest = positions.at(-1)?.digest ?? new Uint8Array(0);
  return { key, data, shape: { size: data.length, digest }, parts, positions };
}

export interface OpenedFile {
  /** What was handed out. */
  readonly data: Buffer;
  readonly fault: MediaFault | undefined;
  readonly done: boolean;
}

/** What an opener hands out of parts, up to the first fault. */
export async function openParts(opener: MediaOpener, parts: readonly Uint8Array[]): Promise<OpenedFile> {
  const pieces: Uint8Array[] = [];
  for (const part of parts) {
    const opened = await opener.open(part);
    if (typeof opened === "string") return { data: Buffer.concat(pieces), fault: opened, done: opener.done };
    pieces.push(opened);
  }
  return { data: Buffer.concat(pieces), fault: undefined, done: opener.done };
}

export function openFile(
  { key, shape }: Pick<SealedFile, "key" | "shape">,
  parts: readonly Uint8Array[],
): Promise<OpenedFile> {
  return openParts(new MediaOpener(key, shape), parts);
}

/** The chunks of parts, one after another. */
export function chunksIn(parts: readonly Uint8Array[]): Uint8Array[] {
  const blob = Buffer.concat(parts);
  return Array.from({ length: Math.ceil(blob.length / SEALED_CHUNK_BYTES) }, (_, i) =>
    Uint8Array.from(blob.subarray(i * SEALED_CHUNK_BYTES, (i + 1) * SEALED_CHUNK_BYTES)),
  );
}

/** The key as the second implementation takes it. */
export const twinKey = ({ id, key }: MediaKey): TwinKey => ({ id, key: key.reveal() });

export const addressOf = (random: Random) => fromBytes<DeviceAddress>(random.bytes(18));
