// The code that a new device shows and the account's primary device scans: where to answer, to which key, and the secret
// that makes the answer believed. Always true: one code has one text; what is malformed, of another version or for
// another relay is refused by a code of its own, and nothing that is a link is a linking code.
import { binary, type Codec, decodeAll, ID_BYTES, MAX_RELAY_NAME_BYTES, struct, text } from "@lethe/protocol";
import { checkedText, readCheckedText } from "./checked-text.ts";
import { LABELS } from "./labels.ts";
import { encode, formatByte, secret, total, x25519Key } from "./layout.ts";
import { MAX_LINKING_TEXT } from "./limits.ts";
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
  const shown = checkedText(bytes, LABELS.linkingCheck);
  bytes.fill(0);
  return shown;
}

/** `other-version`: of a later, or an older, version of this protocol. `other-relay`: the device is at another one. */
export type CodeRefusal = "malformed" | "other-version" | "other-relay";
export type ReadCode =
  | { readonly code: "ok"; readonly linking: LinkingCode }
  | { readonly code: CodeRefusal };

/** What a scanned or pasted text says, without anything around it. `relay`: the name of our own. */
export function readLinkingText(shown: string, relay: string): ReadCode {
  const bytes = readCheckedText(shown, LABELS.linkingCheck, MAX_LINKING_TEXT);
  if (bytes === undefined) return { code: "malformed" };
  const read = readBytes(bytes);
  bytes.fill(0);
  if (typeof read === "string") return { code: read };
  if (read.relay === relay) return { code: "ok", linking: read };
  read.secret.wipe();
  return { code: "other-relay" };
}

/** The version first: what is of another one is not read further. */
function readBytes(bytes: Uint8Array): LinkingCode | "malformed" | "other-version" {
  if (bytes[0] !== VERSION) return "other-version";
  const read = total(() => decodeAll(body, bytes));
  if (read === undefined) return "malformed";
  const { format: _, ...linking } = read;
  return linking;
}
