// Padding, content and the sealed envelope: the end of "Ratchet", and "Envelope" of crypto/README.md.
import { type Bytes, Fields, join, L, lv16, u8, X } from "./bytes.ts";
import { addr, idOf, type Own, type Party, type Sealing } from "./keys.ts";
import { blake2b, dh, hkdfSha512, hmacSha512, hpkeOpen, hpkeSender } from "./primitives.ts";

export const CONTENT = { lasting: 1, passing: 2, control: 3 } as const;
export type Content = keyof typeof CONTENT;

/** 80, then zeros, up to `size`. */
function fill(bytes: Bytes, size: number): Bytes {
  return join(bytes, u8(0x80), new Uint8Array(size - bytes.length - 1));
}

/**
 * The smallest of 256, 512, 1,024, 2,048 and multiples of 2,048 that takes the bytes and one more; 512 is the smallest
 * with a prelude.
 */
function bucketFor(length: number, first: boolean): number {
  const small = [256, 512, 1_024, 2_048].find((bucket) => bucket > length && (bucket > 256 || !first));
  return small ?? Math.ceil((length + 1) / 2_048) * 2_048;
}

export const pad = (bytes: Bytes, first: boolean): Bytes => fill(bytes, bucketFor(bytes.length, first));
export const padIntroduction = (bytes: Bytes): Bytes =>
  fill(bytes, Math.ceil((bytes.length + 1) / 256) * 256);

function strip(padded: Bytes): Bytes {
  const end = padded.findLastIndex((byte) => byte !== 0);
  if (padded[end] !== 0x80) throw new Error("not padded");
  return padded.slice(0, end);
}

/** @throws Error for more or less padding than `pad` makes */
export function unpad(padded: Bytes, first: boolean): Bytes {
  const bytes = strip(padded);
  if (bucketFor(bytes.length, first) !== padded.length) throw new Error("another bucket");
  return bytes;
}

export function unpadIntroduction(padded: Bytes): Bytes {
  const bytes = strip(padded);
  if (padIntroduction(bytes).length !== padded.length) throw new Error("another length");
  return bytes;
}

/** What a message says beside its content. */
export interface News {
  readonly sealing: Bytes | undefined;
  readonly list: Bytes | undefined;
}

export function packContent({ sealing, list }: News, content: Bytes, first: boolean): Bytes {
  const flags = (sealing === undefined ? 0 : 1) | (list === undefined ? 0 : 2);
  const nothing = new Uint8Array(0);
  const parts = join(u8(flags), sealing ?? nothing, list === undefined ? nothing : lv16(list), content);
  return pad(parts, first);
}

export function unpackContent(padded: Bytes, first: boolean): News & { readonly content: Bytes } {
  const fields = new Fields(unpad(padded, first));
  const flags = fields.number(1);
  if (flags > 3) throw new Error("unknown parts");
  const sealing = (flags & 1) === 0 ? undefined : fields.take(113);
  const list = (flags & 2) === 0 ? undefined : fields.lv16();
  return { sealing, list, content: fields.rest() };
}

/** k_AB. */
export function tagKey(own: Own, peer: Party): Bytes {
  return hkdfSha512(new Uint8Array(0), dh(own.secrets.DI, peer.DI), L("seal-auth-key"), 32);
}

export interface Head {
  readonly content: Content;
  readonly sender: Bytes;
  readonly senderList: Bytes;
  readonly recipientList: Bytes;
  /** On a first message: the introduction as padded, and the prelude. */
  readonly opening: { readonly introduction: Bytes; readonly prelude: Bytes } | undefined;
}

function writeHead({ content, sender, senderList, recipientList, opening }: Head): Bytes {
  const form = opening === undefined ? 1 : 2;
  const front = join(u8(form), u8(CONTENT[content]), sender, senderList, recipientList);
  return opening === undefined ? front : join(front, lv16(opening.introduction), opening.prelude);
}

function readHead(fields: Fields): Head {
  const [form, kind] = [fields.number(1), fields.number(1)];
  const content = (["lasting", "passing", "control"] as const)[kind - 1];
  if (content === undefined || form < 1 || form > 2) throw new Error("unknown form or content");
  const [sender, senderList, recipientList] = [fields.take(18), fields.take(20), fields.take(20)];
  const opening = form === 1 ? undefined : { introduction: fields.lv16(), prelude: fields.take(1_146) };
  return { content, sender, senderList, recipientList, opening };
}

const aadOf = (sealingId: Bytes, recipient: Bytes, envelope: Bytes): Bytes =>
  join(u8(1), sealingId, recipient, envelope);
const contextOf = (aad: Bytes, head: Bytes): Bytes => blake2b(32, L("seal-context"), aad, head);

export interface Addressing {
  readonly recipient: Bytes;
  readonly envelope: Bytes;
}

function tagOf(k: Bytes, sender: Bytes, enc: Bytes, { recipient, envelope }: Addressing): Bytes {
  return hmacSha512(k, L("seal-auth"), sender, recipient, enc, envelope).slice(0, 16);
}

interface Sealed extends Addressing {
  readonly sealing: Sealing;
  readonly skE: Bytes;
  readonly head: Head;
  readonly k: Bytes;
  readonly message: (context: Bytes) => Bytes;
}

export function sealEnvelope({ sealing, skE, head, k, message, ...to }: Sealed): Bytes {
  const id = idOf(X(sealing.key));
  const aad = aadOf(id, to.recipient, to.envelope);
  const { enc, seal } = hpkeSender(sealing.key, skE, L("seal"));
  const headBytes = writeHead(head);
  const tag = tagOf(k, head.sender, enc, to);
  return join(u8(1), id, enc, seal(aad, join(headBytes, tag, message(contextOf(aad, headBytes)))));
}

export interface OpenEnvelope {
  readonly head: Head;
  readonly sealingId: Bytes;
  readonly context: Bytes;
  readonly message: Bytes;
  /** Whether the sender tag is that of the two devices. */
  readonly isFrom: (k: Bytes) => boolean;
}

/** @throws Error where the seal does not open */
export function openEnvelope(own: Own, envelope: Bytes, ciphertext: Bytes): OpenEnvelope {
  const fields = new Fields(ciphertext);
  if (fields.number(1) !== 1) throw new Error("unknown envelope");
  const [id, enc, ct] = [fields.take(8), fields.take(32), fields.rest()];
  const key = own.sealing.find((sealing) => Buffer.compare(idOf(X(sealing.key)), id) === 0);
  if (key === undefined) throw new Error("key-expired");
  const to = { recipient: addr(own.account, own.device), envelope };
  const aad = aadOf(id, to.recipient, envelope);
  const inner = new Fields(hpkeOpen(key.secret, { enc, info: L("seal"), aad, ct }));
  const head = readHead(inner);
  const context = contextOf(aad, inner.soFar());
  const tag = inner.take(16);
  const isFrom = (k: Bytes): boolean => Buffer.compare(tagOf(k, head.sender, enc, to), tag) === 0;
  return { head, sealingId: id, context, message: inner.rest(), isFrom };
}
