// One record in a segment: a header and a body, each with its own checksum, padded to 8 bytes. The layout says what the
// body is: an envelope with its ciphertext, as here, or one of the two of payload-record.ts.
//
//   header   state u8 | layout u8 | magic u16 | body length u32 | position u64 | body checksum u32 | header checksum u32
//   body     address 18 | id 16 | kind u8 | 0 u8 | expiry u48 ms | appended u48 ms | ciphertext
//
// Always true: the state byte is outside both checksums, so a tombstone is a write of one byte; the body can be zeroed
// behind it, and nothing is left but a length and a position. Checksums start from the segment's secret seed, so bytes
// that somebody sends are never taken for a record. Big endian.
import { crc32 } from "node:zlib";
import { type DeviceAddress, type EnvelopeId, type Position, sixteen, type Time } from "@lethe/protocol";
import type { EnvelopeKind } from "../mailbox.ts";

export const HEADER_BYTES = 24;
export const IDENTITY_BYTES = 48;
/** A reference's whole body, and what stands before a payload's ciphertext (see payload-record.ts). */
export const REFERENCE_BODY_BYTES = IDENTITY_BYTES + 12;
export const PAYLOAD_HEAD_BYTES = 32;
const ALIGNMENT = 8;

/** All eight bits differ: no flip of fewer than eight turns mail into a tombstone. */
const LIVE = 0x5a;
const DEAD = 0xa5;
const MAGIC = 0x4c65;
const KINDS: readonly EnvelopeKind[] = ["pairwise", "group"];

export type Layout = "envelope" | "reference" | "payload";
/** By the layout byte: what the body is, and how long it is at least. Bytes of other layouts are no record. */
const LAYOUTS: readonly (Layout | undefined)[] = [undefined, "envelope", "reference", "payload"];
const LEAST_BODY: readonly number[] = [
  Number.POSITIVE_INFINITY,
  IDENTITY_BYTES,
  REFERENCE_BODY_BYTES,
  PAYLOAD_HEAD_BYTES,
];
export const LAYOUT_BYTE = { envelope: 1, reference: 2, payload: 3 } as const;

/** No body is longer: it bounds what a search for the next record believes. */
export const MAX_BODY_BYTES = 16 * 1_048_576;

export interface EntryFields {
  readonly position: Position;
  readonly id: EnvelopeId;
  readonly kind: EnvelopeKind;
  readonly expiry: Time;
  readonly appended: Time;
}

/** What a header says. */
export interface HeadFields {
  readonly layout: (typeof LAYOUT_BYTE)[Layout];
  readonly position: Position;
  readonly bodyBytes: number;
}

export interface RecordFields extends EntryFields {
  readonly address: DeviceAddress;
  readonly ciphertext: Uint8Array;
}

function aligned(bytes: number): number {
  return (bytes + ALIGNMENT - 1) & -ALIGNMENT;
}

/** Length in the file of a record with a body of `bodyBytes`. */
export function recordBytes(bodyBytes: number): number {
  return aligned(HEADER_BYTES + bodyBytes);
}

/** Length in the file of a record with a ciphertext of `ciphertextBytes`. */
export function envelopeBytes(ciphertextBytes: number): number {
  return aligned(HEADER_BYTES + IDENTITY_BYTES + ciphertextBytes);
}

/** Encodes a live record at `at` and returns its length. There must be room. */
export function writeRecord(into: Buffer, at: number, record: RecordFields, seed: number): number {
  writeIdentity(into, at, record);
  into.set(record.ciphertext, at + HEADER_BYTES + IDENTITY_BYTES);
  const bodyBytes = IDENTITY_BYTES + record.ciphertext.length;
  return seal(into, at, { layout: LAYOUT_BYTE.envelope, position: record.position, bodyBytes }, seed);
}

/** Whose envelope it is and which: what an envelope's and a reference's body begin with. */
export function writeIdentity(
  into: Buffer,
  at: number,
  record: EntryFields & { readonly address: DeviceAddress },
): void {
  const body = at + HEADER_BYTES;
  writeBinary(into, body, record.address);
  writeBinary(into, body + 18, record.id);
  into[body + 34] = record.kind === "group" ? 1 : 0;
  into[body + 35] = 0;
  writeU48(into, body + 36, record.expiry);
  writeU48(into, body + 42, record.appended);
}

/** Writes the header of a live record, and zeros behind its body; returns the record's length. */
export function seal(into: Buffer, at: number, head: HeadFields, seed: number): number {
  const body = at + HEADER_BYTES;
  const end = body + head.bodyBytes;
  into[at] = LIVE;
  into[at + 1] = head.layout;
  writeU16(into, at + 2, MAGIC);
  writeU32(into, at + 4, head.bodyBytes);
  writeU64(into, at + 8, head.position);
  writeU32(into, at + 16, bodyChecksum(into, body, end, seed));
  writeU32(into, at + 20, headerChecksum(into, at, seed));
  const length = aligned(end - at);
  for (let i = end; i < at + length; i++) into[i] = 0;
  return length;
}

export function writeBinary(into: Buffer, at: number, id: string): void {
  for (let i = 0; i < id.length; i++) into[at + i] = id.charCodeAt(i);
}

/** The year 10889: a later expiry is this one. */
const MAX_U48 = 2 ** 48 - 1;

function writeU48(into: Buffer, at: number, value: number): void {
  const held = Math.min(value, MAX_U48);
  writeU16(into, at, Math.floor(held / 0x1_0000_0000));
  writeU32(into, at + 2, held % 0x1_0000_0000);
}

// Byte by byte: what Buffer's own methods check on each call was checked once for the record.
function writeU16(into: Buffer, at: number, value: number): void {
  into[at] = value >>> 8;
  into[at + 1] = value;
}

export function writeU64(into: Buffer, at: number, value: number): void {
  writeU32(into, at, Math.floor(value / 0x1_0000_0000));
  writeU32(into, at + 4, value % 0x1_0000_0000);
}

export function writeU32(into: Buffer, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}

/** CRC-32 by table, as zlib's: for 19 bytes a call out of JavaScript costs four times as much. */
function headerChecksum(bytes: Buffer, at: number, seed: number): number {
  let crc = ~seed;
  for (let i = at + 1; i < at + 20; i++)
    crc = (CRC[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

function bodyChecksum(bytes: Buffer, body: number, end: number, seed: number): number {
  return crc32(new Uint8Array(bytes.buffer, bytes.byteOffset + body, end - body), seed);
}

const CRC = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** Body length of the record at `at`, or -1 where no sound header stands or the record would pass `end`. */
export function bodyLengthAt(bytes: Buffer, at: number, end: number, seed: number): number {
  if (at + HEADER_BYTES > end || bytes.readUInt16BE(at + 2) !== MAGIC) return -1;
  const length = bytes.readUInt32BE(at + 4);
  const least = LEAST_BODY[bytes[at + 1] as number] ?? Number.POSITIVE_INFINITY;
  if (length < least || length > MAX_BODY_BYTES || at + recordBytes(length) > end) return -1;
  return bytes.readUInt32BE(at + 20) === headerChecksum(bytes, at, seed) ? length : -1;
}

/** Whether the body of a record with a sound header is what was written. */
export function isBodySound(bytes: Buffer, at: number, bodyLength: number, seed: number): boolean {
  const body = at + HEADER_BYTES;
  return bytes.readUInt32BE(at + 16) === bodyChecksum(bytes, body, body + bodyLength, seed);
}

/** What the body of a record with a sound header is. */
export function layoutAt(bytes: Buffer, at: number): Layout {
  return LAYOUTS[bytes[at + 1] as number] ?? "envelope";
}

/** "unclear" is neither byte: the body decides, since losing mail is worse than delivering twice. */
export function stateAt(bytes: Buffer, at: number): "live" | "dead" | "unclear" {
  const state = bytes[at];
  if (state === LIVE) return "live";
  return state === DEAD ? "dead" : "unclear";
}

export function markDead(bytes: Buffer, at: number): void {
  bytes[at] = DEAD;
}

export function zeroBody(bytes: Buffer, at: number, bodyLength: number): void {
  bytes.fill(0, at + HEADER_BYTES, at + HEADER_BYTES + bodyLength);
}

export function isBodyZero(bytes: Buffer, at: number, bodyLength: number): boolean {
  for (let i = at + HEADER_BYTES, end = i + bodyLength; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}

export function positionAt(bytes: Buffer, at: number): Position {
  return readU64(bytes, at + 8);
}

export function readU64(bytes: Buffer, at: number): Position {
  return (bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4)) as Position;
}

export function addressAt(b: Buffer, at: number): DeviceAddress {
  const o = at + HEADER_BYTES;
  return String.fromCharCode(
    b[o] as number,
    b[o + 1] as number,
    b[o + 2] as number,
    b[o + 3] as number,
    b[o + 4] as number,
    b[o + 5] as number,
    b[o + 6] as number,
    b[o + 7] as number,
    b[o + 8] as number,
    b[o + 9] as number,
    b[o + 10] as number,
    b[o + 11] as number,
    b[o + 12] as number,
    b[o + 13] as number,
    b[o + 14] as number,
    b[o + 15] as number,
    b[o + 16] as number,
    b[o + 17] as number,
  ) as DeviceAddress;
}

/** Spelled out, as the address is: half the cost of `toString("latin1")` for so few bytes. */
export function idAt(b: Buffer, at: number): EnvelopeId {
  return sixteen(b, at + HEADER_BYTES + 18) as EnvelopeId;
}

export function kindAt(bytes: Buffer, at: number): EnvelopeKind {
  return KINDS[bytes[at + HEADER_BYTES + 34] ?? 0] ?? "pairwise";
}

export function expiryAt(bytes: Buffer, at: number): Time {
  return readU48(bytes, at + HEADER_BYTES + 36);
}

export function appendedAt(bytes: Buffer, at: number): Time {
  return readU48(bytes, at + HEADER_BYTES + 42);
}

function readU48(bytes: Buffer, at: number): Time {
  return (bytes.readUInt16BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 2)) as Time;
}

/** The next place at or after `from` where a sound header stands, or -1. */
export function findRecord(bytes: Buffer, from: number, end: number, seed: number): number {
  for (let at = aligned(from); at + HEADER_BYTES <= end; at += ALIGNMENT) {
    if (bodyLengthAt(bytes, at, end, seed) >= 0) return at;
  }
  return -1;
}
