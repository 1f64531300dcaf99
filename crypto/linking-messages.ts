// The three messages of a linking and what they are bound by: an offer of the primary device (HPKE in psk mode), the new
// device's answer and the grant, under keys that both export. Always true: each is authenticated together with the code
// and all messages before it; the digits that people compare depend on nothing that either side can still choose.
import {
  accountId,
  type AccountId,
  decodeAll,
  type DeviceNumber,
  deviceNumber,
  isUserName,
  joined,
  MAX_CERTIFICATE_BYTES,
  MAX_DEVICE_LIST_BYTES,
  MalformedError,
  MAX_RELAY_NAME_BYTES,
  MAX_USER_NAME_BYTES,
  struct,
  text,
  type UserName,
} from "@lethe/protocol";
import { ENC_BYTES, HpkeContext, type HpkeExporter } from "./hpke.ts";
import { PROFILE_KEY_BYTES } from "./identity.ts";
import { LABELS } from "./labels.ts";
import {
  bareX25519Key,
  blob,
  ed25519Key,
  encode,
  formatByte,
  octets,
  secret,
  total,
  x25519Key,
} from "./layout.ts";
import { type LinkingCode, linkingMailbox } from "./linking-code.ts";
import { LINKING_LIFETIME_MS, MAX_LINKING_MESSAGE_BYTES } from "./limits.ts";
import { AEAD_TAG_BYTES, blake2b, sha512, SIGNATURE_BYTES, xchachaOpen, xchachaSeal } from "./primitives.ts";
import type { Random } from "./random.ts";
import { sealingRecord } from "./sealing-key.ts";

const NONCE_BYTES = 24;
const KIND = { offer: 0x01, join: 0x02, grant: 0x03 } as const;

/** What the primary device says of the account, before anybody has agreed to anything. */
export interface OfferedAccount {
  readonly account: AccountId;
  /** AK, 32 bytes. */
  readonly accountKey: Uint8Array;
  /** What the new device is to be. */
  readonly device: DeviceNumber;
  readonly name: UserName;
}

const offerBody = struct({
  account: accountId,
  device: deviceNumber,
  accountKey: ed25519Key,
  name: text(MAX_USER_NAME_BYTES),
  relay: text(MAX_RELAY_NAME_BYTES),
});

export type OfferBody = OfferedAccount & { readonly relay: string };

export function encodeOffer(offer: OfferBody): Uint8Array {
  return encode(offerBody, offer, 512);
}

/** @throws MalformedError */
export function decodeOffer(bytes: Uint8Array): OfferBody {
  const { name, ...said } = decodeAll(offerBody, bytes);
  if (!isUserName(name)) throw new MalformedError(); // no name of a user
  return { ...said, name };
}

/** What the new device's signature covers, besides the transcript. */
export const joinFront = struct({
  opening: octets(32),
  signingKey: ed25519Key,
  dhKey: x25519Key,
  sealing: sealingRecord,
  possession: octets(SIGNATURE_BYTES),
});
export const joinBody = struct({ ...joinFront.fields, signature: octets(SIGNATURE_BYTES) });

export const grantBody = struct({
  certificate: blob(MAX_CERTIFICATE_BYTES),
  deviceList: blob(MAX_DEVICE_LIST_BYTES),
  profileKey: secret(PROFILE_KEY_BYTES),
});

const offerMessage = struct({ kind: formatByte(KIND.offer), enc: bareX25519Key });
const OFFER_HEAD_BYTES = 1 + ENC_BYTES;

export function offerBytes(enc: Uint8Array, sealed: Uint8Array): Uint8Array {
  return joined(encode(offerMessage, { kind: undefined, enc }), sealed);
}

/** An offer's HPKE encapsulated key and ciphertext; undefined where it is malformed. */
export function readOffer(bytes: Uint8Array): { enc: Uint8Array; ciphertext: Uint8Array } | undefined {
  if (bytes.length < OFFER_HEAD_BYTES + AEAD_TAG_BYTES || bytes.length > MAX_LINKING_MESSAGE_BYTES)
    return undefined;
  const head = total(() => decodeAll(offerMessage, bytes.subarray(0, OFFER_HEAD_BYTES)));
  return head === undefined ? undefined : { enc: head.enc, ciphertext: bytes.subarray(OFFER_HEAD_BYTES) };
}

/** HPKE's context of one linking: the key schedule needs S, under the name of the mailbox. */
export function linkingContext({ secret: psk, mailbox }: LinkingCode): HpkeContext {
  return new HpkeContext(LABELS.linking, { key: psk.reveal(), id: encode(linkingMailbox, mailbox) });
}

/** S = BLAKE2b-256(label | r): the new device is bound to r before it has seen an offer, and nobody knows r from S. */
export function secretOf(opening: Uint8Array): Uint8Array {
  return blake2b(32, LABELS.linkingSecret, opening);
}

/** SHA-512 over what came before (the code's bytes, or the transcript up to the last message) and a message. */
export function transcript(before: Uint8Array, message: Uint8Array): Uint8Array {
  const length = (of: Uint8Array): Uint8Array => Uint8Array.of(0, 0, of.length >> 8, of.length & 0xff);
  return sha512(LABELS.linkingTranscript, length(before), before, length(message), message);
}

/** Six digits that both screens show: over the exporter and r, which was fixed before the offer and told after it. */
export function digitsOf(exporter: HpkeExporter, opening: Uint8Array): string {
  const out = exporter.export(joined(LABELS.linkingDigits, opening), 6);
  let value = 0;
  for (const byte of out) value = value * 256 + byte;
  return String(value % 1_000_000).padStart(6, "0");
}

/** What a message behind the offer is: the new device's answer, or the primary device's last word. */
export type AnswerKind = "join" | "grant";
const LABEL = { join: LABELS.linkingJoin, grant: LABELS.linkingGrant };

/** kind | nonce | XChaCha20-Poly1305 under a key of its own, bound to the transcript. Wipes `plain`. */
export function sealAnswer(
  kind: AnswerKind,
  { exporter, soFar }: Bound,
  plain: Uint8Array,
  random: Random,
): Uint8Array {
  const key = exporter.export(LABEL[kind], 32);
  const nonce = random.bytes(NONCE_BYTES);
  const sealed = xchachaSeal({ key, nonce, ad: [soFar] }, plain);
  key.fill(0);
  plain.fill(0);
  return joined(Uint8Array.of(KIND[kind]), nonce, sealed);
}

/** The plaintext, or why there is none. */
export function openAnswer(
  kind: AnswerKind,
  { exporter, soFar }: Bound,
  message: Uint8Array,
): Uint8Array | "malformed" | "not-authentic" {
  const head = 1 + NONCE_BYTES;
  const [length, first] = [message.length, message[0]];
  if (length < head + AEAD_TAG_BYTES || length > MAX_LINKING_MESSAGE_BYTES || first !== KIND[kind])
    return "malformed";
  const key = exporter.export(LABEL[kind], 32);
  const nonce = message.subarray(1, head);
  const plain = xchachaOpen({ key, nonce, ad: [soFar] }, message.subarray(head));
  key.fill(0);
  return plain ?? "not-authentic";
}

/** What answers are bound to: the exporter, and the transcript so far. */
export interface Bound {
  readonly exporter: HpkeExporter;
  /** Transcript of what was said so far, 64 bytes. */
  readonly soFar: Uint8Array;
}

/** Whether a side waits no longer; a clock that was set back gives no more time. */
export function isOver(startedAt: number, now: number): boolean {
  return now < startedAt || now >= startedAt + LINKING_LIFETIME_MS;
}
