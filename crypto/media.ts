// What a file is sealed with, and what stands for the right to have it: its key, release tokens, their marks, and the digest of
// its blob. Always true: key and id are drawn anew for every upload, so two uploads of one file have nothing in common.
import {
  type Codec,
  type DeviceAddress,
  decodeAll,
  joined,
  struct,
  toBytes,
  u32,
  u64,
} from "@lethe/protocol";
import { LABELS } from "./labels.ts";
import { encode, formatByte, octets } from "./layout.ts";
import { paddedSize } from "./media-sizes.ts";
import { blake2b, hkdfSha512 } from "./primitives.ts";
import type { Random } from "./random.ts";
import { Secret } from "./secret.ts";
import { STREAM_HEADER_BYTES, STREAM_STATE_BYTES, streamState } from "./secretstream.ts";

/** What opens one blob. Whoever passes a file on uploads it anew, under another. */
export interface MediaKey {
  /** 16 bytes: the blob's name at the relay. */
  readonly id: Uint8Array;
  /** 32 bytes. */
  readonly key: Secret;
}

export const MEDIA_ID_BYTES = 16;
export const MEDIA_KEY_BYTES = 32;
export const MEDIA_DIGEST_BYTES = 32;
const TOKEN_BYTES = 32;
const MARK_BYTES = 16;

export function makeMediaKey(random: Random): MediaKey {
  return { id: random.bytes(MEDIA_ID_BYTES), key: new Secret(random.bytes(MEDIA_KEY_BYTES)) };
}

/** From where sealing or opening goes on: the border before a part. 89 bytes, secret: what it holds opens the parts that follow. */
export interface MediaPosition {
  /** Counted from 0. */
  readonly part: number;
  /** Of the secretstream, 52 bytes; zeros at the end. */
  readonly state: Uint8Array;
  /** Of the parts before, 32 bytes. */
  readonly digest: Uint8Array;
}

const position: Codec<MediaPosition & { format: undefined }> = struct({
  format: formatByte(1),
  part: u32,
  state: octets(STREAM_STATE_BYTES),
  digest: octets(MEDIA_DIGEST_BYTES),
});

export function encodeMediaPosition(at: MediaPosition): Uint8Array {
  return encode(position, { format: undefined, ...at });
}

/** @throws MalformedError */
export function decodeMediaPosition(bytes: Uint8Array): MediaPosition {
  const { part, state, digest } = decodeAll(position, bytes);
  return { part, state, digest };
}

/** Where a blob begins. No header is stored: a key is for one stream, so what it derives is as good as what it would draw. */
export function mediaStart({ id, key }: MediaKey): MediaPosition {
  const [salt, ikm, info] = [new Uint8Array(0), [key.reveal()], [LABELS.mediaHeader, id]];
  const header = hkdfSha512({ salt, ikm, info, length: STREAM_HEADER_BYTES });
  return { part: 0, state: streamState(key.reveal(), header), digest: new Uint8Array(MEDIA_DIGEST_BYTES) };
}

/** What the first chunk of a blob is bound to. */
export function mediaAd({ id }: MediaKey, size: number): Uint8Array {
  return joined(LABELS.media, id, encode(u64, paddedSize(size)));
}

/**
 * The digest of a blob up to and with `part`: SHA-256(digest before | SHA-256(part)), 32 zeros before the first. By Web
 * Cryptography, which works beside the thread: in a browser that takes a secure context.
 */
export async function mediaDigest(
  before: Uint8Array | Promise<Uint8Array>,
  part: Uint8Array,
): Promise<Uint8Array> {
  const hash = sha256(part);
  return sha256(joined(await before, await hash));
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

/** By what a device says that it has a blob: 32 bytes, which only those can derive who have the key. */
export function releaseToken({ id, key }: MediaKey, address: DeviceAddress): Uint8Array {
  const info = [LABELS.release, id, toBytes(address)];
  return hkdfSha512({ salt: new Uint8Array(0), ikm: [key.reveal()], info, length: TOKEN_BYTES });
}

/** What the relay keeps of a release token or an upload key: the first 16 bytes of its BLAKE2b-256. */
export function capabilityMark(capability: Uint8Array): Uint8Array {
  return blake2b(32, capability).slice(0, MARK_BYTES);
}
