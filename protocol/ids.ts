// Ids and addresses. An id is held as a string with one character a byte (latin1), so that it can be a key and be
// compared with ===; it is never printed. Branded, so that an envelope id is never taken for an account id.
import { binary, type Codec, MalformedError, Reader, Writer } from "./codec.ts";

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** 16 random bytes that name an account for its life. */
export type AccountId = Brand<string, "AccountId">;
/** 16 random bytes chosen by the sender for each recipient device; see clause D-ID. */
export type EnvelopeId = Brand<string, "EnvelopeId">;
/** 16 random bytes chosen by the sender for a group's shared ciphertext. */
export type GroupEnvelopeId = Brand<string, "GroupEnvelopeId">;
/** Account id and device number (u16): 18 bytes, the address of one mailbox. */
export type DeviceAddress = Brand<string, "DeviceAddress">;
/** 1 to 65,535, never used again within an account. The first device is 1. */
export type DeviceNumber = Brand<number, "DeviceNumber">;
/** A place in one mailbox, counted up by the store and never used again. */
export type Position = Brand<number, "Position">;
/** Milliseconds since 1970-01-01T00:00Z. */
export type Time = Brand<number, "Time">;

export const ID_BYTES = 16;
export const ADDRESS_BYTES = 18;

export const accountId: Codec<AccountId> = binary(ID_BYTES, "account id");
export const envelopeId: Codec<EnvelopeId> = binary(ID_BYTES, "envelope id");
export const groupEnvelopeId: Codec<GroupEnvelopeId> = binary(ID_BYTES, "group envelope id");
export const deviceAddress: Codec<DeviceAddress> = binary(ADDRESS_BYTES, "device address");

export const deviceNumber: Codec<DeviceNumber> = {
  layout: "u16 ≥ 1",
  read(r) {
    const number = r.u16();
    if (number === 0) throw new MalformedError("device number 0");
    return number as DeviceNumber;
  },
  write(w, v) {
    if (v < 1) throw new RangeError("device numbers start at 1");
    w.u16(v);
  },
};

export const time: Codec<Time> = {
  layout: "u64 ms",
  read: (r) => r.u64() as Time,
  write: (w, v) => w.u64(v),
};

/** The address of device `device` of `account`. */
export function addressOf(account: AccountId, device: DeviceNumber): DeviceAddress {
  return (account + String.fromCharCode(device >> 8, device & 0xff)) as DeviceAddress;
}

export function accountOf(address: DeviceAddress): AccountId {
  return address.slice(0, ID_BYTES) as AccountId;
}

export function deviceOf(address: DeviceAddress): DeviceNumber {
  return (address.charCodeAt(16) * 256 + address.charCodeAt(17)) as DeviceNumber;
}

/** The bytes of an id or address. */
export function toBytes(id: string): Uint8Array {
  const writer = new Writer(id.length);
  writer.binary(id);
  return writer.take();
}

/** An id or address from its bytes. The caller names the type; the length is the codec's to check. */
export function fromBytes<T extends string>(bytes: Uint8Array): T {
  return new Reader(bytes).binary(bytes.length) as T;
}

const HEX = /^(?:[0-9a-f]{2})*$/;

/** Lower-case hexadecimal, as ids stand in HTTP paths and JSON. */
export function toHex(id: string): string {
  let out = "";
  for (let i = 0; i < id.length; i++) out += id.charCodeAt(i).toString(16).padStart(2, "0");
  return out;
}

/** @throws MalformedError unless `hex` is exactly `length` bytes in lower-case hexadecimal. */
export function fromHex<T extends string>(hex: string, length: number): T {
  if (hex.length !== length * 2 || !HEX.test(hex)) throw new MalformedError("not a hexadecimal id");
  let out = "";
  for (let i = 0; i < hex.length; i += 2)
    out += String.fromCharCode(Number.parseInt(hex.slice(i, i + 2), 16));
  return out as T;
}

/** Number of mailbox shards; recorded in the store and checked when it is opened (clause S-SHARD). */
export const SHARDS = 256;

/**
 * The shard of an account, and so of each of its mailboxes: FNV-1a (32 bits) over the 16 bytes of the account id, with
 * which an address begins, modulo `shards`.
 */
export function shardOf(of: AccountId | DeviceAddress, shards: number = SHARDS): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < ID_BYTES; i++) hash = Math.imul(hash ^ of.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}

/** A user's name on a relay: 3 to 32 of a-z, 0-9, dot, underscore, hyphen. */
export type UserName = Brand<string, "UserName">;
const USER_NAME = /^[a-z0-9._-]{3,32}$/;

export function isUserName(name: string): name is UserName {
  return USER_NAME.test(name);
}
