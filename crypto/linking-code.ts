// The code that a new device shows and the account's primary device scans: where to answer, to which key, and the secret
// that makes the answer believed. Always true: one code has one text; what is malformed, of another version or for
// another relay is refused by a code of its own, and nothing that is a link is a linking code.
import {
  binary,
  type Codec,
  decodeAll,
  fromBytes,
  ID_BYTES,
  MAX_RELAY_NAME_BYTES,
  struct,
  text,
} from "@lethe/protocol";
import { LABELS } from "./labels.ts";
import { encode, formatByte, secret, total, x25519Key } from "./layout.ts";
import { MAX_LINKING_TEXT } from "./limits.ts";
import { blake2b, equal } from "./primitives.ts";
import type { Secret } from "./secret.ts";

declare const brand: unique symbol;
/** 16 random bytes that name the place at the relay where the two devices leave messages for one another. */
export type LinkingMailbox = string & { readonly [brand]: "LinkingMailbox" };

export const linkingMailbox: Codec<LinkingMailbox> = binary(ID_BYTES, "linking mailbox");

export interface LinkingCode {
  readonly mailbox: LinkingMailbox;
  /** NK: the new device's X25519 key for this linking, 32 bytes. */
  readonly key: Uint8Array;
  /** S, 32 bytes: seen by the camera, and never by the relay. */
  readonly secret: Secret;
  /** Name of the relay, as pinned. */
  readonly relay: string;
}

const VERSION = 1;
const CHECK_BYTES = 4;
const body = struct({
  format: formatByte(VERSION),
  mailbox: linkingMailbox,
  key: x25519Key,
  secret: secret(32),
  relay: text(MAX_RELAY_NAME_BYTES),
});

/** The code's bytes. They hold S: to be wiped. */
export function encodeLinkingCode(code: LinkingCode): Uint8Array {
  return encode(body, { format: undefined, ...code }, 512);
}

/** The code as text, for a QR code and for pasting: base64url of its bytes and a check. It holds S. */
export function linkingText(code: LinkingCode): string {
  const bytes = encodeLinkingCode(code);
  const checked = new Uint8Array(bytes.length + CHECK_BYTES);
  checked.set(bytes);
  checked.set(checkOf(bytes), bytes.length);
  const shown = toBase64url(checked);
  bytes.fill(0);
  checked.fill(0);
  return shown;
}

/** `other-version`: of a later, or an older, version of this protocol. `other-relay`: the device is at another one. */
export type CodeRefusal = "malformed" | "other-version" | "other-relay";
export type ReadCode =
  | { readonly code: "ok"; readonly linking: LinkingCode }
  | { readonly code: CodeRefusal };

/** What a scanned or pasted text says, without anything around it. `relay`: the name of our own. */
export function readLinkingText(shown: string, relay: string): ReadCode {
  const checked = fromBase64url(shown);
  if (checked === undefined) return { code: "malformed" };
  const read = readChecked(checked);
  checked.fill(0);
  if (typeof read === "string") return { code: read };
  if (read.relay === relay) return { code: "ok", linking: read };
  read.secret.wipe();
  return { code: "other-relay" };
}

/** The check first, then the version: what is of another one is not read further. */
function readChecked(checked: Uint8Array): LinkingCode | "malformed" | "other-version" {
  if (checked.length <= CHECK_BYTES) return "malformed";
  const bytes = checked.subarray(0, -CHECK_BYTES);
  if (!equal(checked.subarray(-CHECK_BYTES), checkOf(bytes))) return "malformed";
  if (bytes[0] !== VERSION) return "other-version";
  const read = total(() => decodeAll(body, bytes));
  if (read === undefined) return "malformed";
  const { format: _, ...linking } = read;
  return linking;
}

/** Against slips of a camera or a clipboard, not against people. */
function checkOf(bytes: Uint8Array): Uint8Array {
  return blake2b(32, LABELS.linkingCheck, bytes).subarray(0, CHECK_BYTES);
}

/** RFC 4648 section 5, without padding. */
function toBase64url(bytes: Uint8Array): string {
  return btoa(fromBytes(bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const BASE64URL = /^[A-Za-z0-9_-]+$/;

/** Undefined for what is not the one base64url text of some bytes, or is too long. */
function fromBase64url(shown: string): Uint8Array | undefined {
  if (shown.length > MAX_LINKING_TEXT || shown.length % 4 === 1 || !BASE64URL.test(shown)) return undefined;
  const decoded = atob(shown.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(decoded, (character) => character.charCodeAt(0));
  return toBase64url(bytes) === shown ? bytes : undefined;
}
