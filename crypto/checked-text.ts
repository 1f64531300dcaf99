// Bytes as a text that people pass on, by camera or clipboard: base64url of the bytes and a short check. Always true: one
// value has one text, and what is not the text of some bytes is undefined. The check is against slips, not against people.
import { base64url, fromBase64url, joined, toBytes } from "@lethe/protocol";
import { blake2b, equal } from "./primitives.ts";

const CHECK_BYTES = 4;
/** RFC 4648 section 5, without padding. */
const BASE64URL = /^[A-Za-z0-9_-]+$/;

export function checkedText(bytes: Uint8Array, label: Uint8Array): string {
  const checked = joined(bytes, checkOf(bytes, label));
  const shown = base64url(checked);
  checked.fill(0);
  return shown;
}

/** The bytes, to be wiped where they are secret; undefined for what is no such text, or is over `longest` characters. */
export function readCheckedText(shown: string, label: Uint8Array, longest: number): Uint8Array | undefined {
  if (shown.length > longest || !BASE64URL.test(shown)) return undefined;
  const decoded = fromBase64url(shown);
  if (decoded === undefined) return undefined;
  const checked = toBytes(decoded);
  const bytes = checked.slice(0, -CHECK_BYTES);
  const isWhole =
    bytes.length > 0 &&
    base64url(checked) === shown &&
    equal(checked.subarray(-CHECK_BYTES), checkOf(bytes, label));
  checked.fill(0);
  if (isWhole) return bytes;
  bytes.fill(0);
  return undefined;
}

function checkOf(bytes: Uint8Array, label: Uint8Array): Uint8Array {
  return blake2b(32, label, bytes).subarray(0, CHECK_BYTES);
}
