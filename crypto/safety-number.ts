// Safety numbers: what two people compare, by voice or by camera, to know that they hold each other's account keys. The
// numeric form follows Signal's published algorithm (version 0), so its vector applies as it is. Always true: both sides
// see the same digits, and they change exactly when one of the two accounts is another. Pure; about 5 ms a side.
import { type AccountId, decodeAll, struct, toBytes } from "@lethe/protocol";
import { ed25519Key, encode, formatByte, octets, total } from "./layout.ts";
import { equal, sha512 } from "./primitives.ts";

/** An account as a safety number covers it: its devices may change, its key and id never do. */
export interface NumberedAccount {
  readonly account: AccountId;
  /** AK, 32 bytes. */
  readonly accountKey: Uint8Array;
}

export interface SafetyNumber {
  /** 60 digits, the same on both sides; shown in groups of five. */
  readonly digits: string;
  /** What one's own screen shows as a QR code: 65 bytes. The peer scans it, and gives it to `compareSafetyCode`. */
  readonly code: Uint8Array;
}

export type SafetyComparison = "same" | "different" | "malformed";

/** Version of the numeric form, u16. */
const VERSION = Uint8Array.of(0x00, 0x00);
/** Slows down the search for a key with a given number: about 2^12 hashes a try. */
const ITERATIONS = 5_200;
const DIGITS = 30;
/** Five bytes give five digits. */
const GROUP = 5;
const CODE_FINGERPRINT_BYTES = 32;

/** SHA-512 iterated 5,200 times: H(version | key | id | key), then H(hash | key). 64 bytes. */
export function fingerprintOf(key: Uint8Array, stableId: Uint8Array): Uint8Array {
  let hash = sha512(VERSION, key, stableId, key);
  for (let i = 1; i < ITERATIONS; i++) hash = sha512(hash, key);
  return hash;
}

/** 30 digits of a fingerprint: six times five bytes, big endian, modulo 100,000. */
export function fingerprintDigits(fingerprint: Uint8Array): string {
  let digits = "";
  for (let at = 0; at < DIGITS; at += GROUP) {
    let value = 0;
    for (const byte of fingerprint.subarray(at, at + GROUP)) value = value * 256 + byte;
    digits += String(value % 100_000).padStart(GROUP, "0");
  }
  return digits;
}

/** Both halves, the smaller one first, so that both sides see the same. */
export function sortedDigits(one: Uint8Array, other: Uint8Array): string {
  const [a, b] = [fingerprintDigits(one), fingerprintDigits(other)];
  return a < b ? a + b : b + a;
}

const code = struct({
  format: formatByte(1),
  local: octets(CODE_FINGERPRINT_BYTES),
  remote: octets(CODE_FINGERPRINT_BYTES),
});
export const SAFETY_CODE_BYTES = 1 + 2 * CODE_FINGERPRINT_BYTES;

function fingerprintOfAccount({ account, accountKey }: NumberedAccount): Uint8Array {
  return fingerprintOf(encode(ed25519Key, accountKey), toBytes(account));
}

/** The safety number between one's own account and a peer's. About 10 ms. */
export function safetyNumber(own: NumberedAccount, peer: NumberedAccount): SafetyNumber {
  const [local, remote] = [fingerprintOfAccount(own), fingerprintOfAccount(peer)];
  const [front, back] = [local.slice(0, CODE_FINGERPRINT_BYTES), remote.slice(0, CODE_FINGERPRINT_BYTES)];
  return {
    digits: sortedDigits(local, remote),
    code: encode(code, { format: undefined, local: front, remote: back }),
  };
}

/**
 * One's own code against the one scanned from the peer's screen, where the two halves stand the other way round. In
 * constant time. `malformed`: not such a code, or of another version.
 */
export function compareSafetyCode(own: Uint8Array, scanned: Uint8Array): SafetyComparison {
  const ours = total(() => decodeAll(code, own));
  const theirs = total(() => decodeAll(code, scanned));
  if (ours === undefined || theirs === undefined) return "malformed";
  const [here, there] = [equal(ours.local, theirs.remote), equal(ours.remote, theirs.local)];
  return here && there ? "same" : "different";
}
