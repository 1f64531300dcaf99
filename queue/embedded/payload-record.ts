// A payload, which many envelopes share, and a reference to it, as records of a segment. Their headers are those of
// record.ts; a payload's position is its serial, taken from the same counter, by which references name it.
//
//   payload     payload id 32 | ciphertext
//   reference   as an envelope up to its ciphertext: 48 | serial u64 | length of the payload's ciphertext u32
import type { DeviceAddress, Position } from "@lethe/protocol";
import type { PayloadId } from "../mailbox.ts";
import {
  type EntryFields,
  HEADER_BYTES,
  IDENTITY_BYTES,
  LAYOUT_BYTE,
  PAYLOAD_HEAD_BYTES,
  readU64,
  REFERENCE_BODY_BYTES,
  recordBytes,
  seal,
  writeBinary,
  writeIdentity,
  writeU32,
  writeU64,
} from "./record.ts";

export const REFERENCE_BYTES = recordBytes(REFERENCE_BODY_BYTES);

export interface ReferenceFields extends EntryFields {
  readonly address: DeviceAddress;
  readonly serial: Position;
  /** Of the payload's ciphertext. */
  readonly bytes: number;
}

export interface PayloadFields {
  readonly serial: Position;
  readonly payload: PayloadId;
  readonly ciphertext: Uint8Array;
}

/** Length in the file of a payload with a ciphertext of `ciphertextBytes`. */
export function payloadBytes(ciphertextBytes: number): number {
  return recordBytes(PAYLOAD_HEAD_BYTES + ciphertextBytes);
}

/** Encodes a live record at `at` and returns its length. There must be room. */
export function writePayload(into: Buffer, at: number, record: PayloadFields, seed: number): number {
  writeBinary(into, at + HEADER_BYTES, record.payload);
  into.set(record.ciphertext, at + HEADER_BYTES + PAYLOAD_HEAD_BYTES);
  const bodyBytes = PAYLOAD_HEAD_BYTES + record.ciphertext.length;
  return seal(into, at, { layout: LAYOUT_BYTE.payload, position: record.serial, bodyBytes }, seed);
}

/** Encodes a live record at `at` and returns its length. There must be room. */
export function writeReference(into: Buffer, at: number, record: ReferenceFields, seed: number): number {
  writeIdentity(into, at, record);
  writeU64(into, at + HEADER_BYTES + IDENTITY_BYTES, record.serial);
  writeU32(into, at + HEADER_BYTES + IDENTITY_BYTES + 8, record.bytes);
  const { position } = record;
  return seal(into, at, { layout: LAYOUT_BYTE.reference, position, bodyBytes: REFERENCE_BODY_BYTES }, seed);
}

export function payloadIdAt(bytes: Buffer, at: number): PayloadId {
  return bytes.toString("latin1", at + HEADER_BYTES, at + HEADER_BYTES + PAYLOAD_HEAD_BYTES) as PayloadId;
}

/** The serial of the payload that a reference names, and the length of its ciphertext. */
export function referredAt(bytes: Buffer, at: number): { readonly serial: Position; readonly bytes: number } {
  const tail = at + HEADER_BYTES + IDENTITY_BYTES;
  return { serial: readU64(bytes, tail), bytes: bytes.readUInt32BE(tail + 8) };
}
