// The sealed envelope: version, id of the recipient's sealing key, HPKE enc, ciphertext. The head inside says who sends
// and what is needed to open the message; it is proved by the sender tag (deniably) and by the message, whose associated
// data cover it. Nothing here touches ratchets.
import {
  type Codec,
  type DeviceAddress,
  decodeAll,
  deviceAddress,
  deviceOf,
  type EnvelopeId,
  MAX_CERTIFICATE_BYTES,
  MAX_DEVICE_LIST_BYTES,
  MAX_ENVELOPE_BYTES,
  MalformedError,
  oneOf,
  Reader,
  struct,
  type Time,
  toBytes,
  u32,
  Writer,
} from "@lethe/protocol";
import type { DeviceList } from "./device-list.ts";
import { ENC_BYTES, HpkeContext } from "./hpke.ts";
import { addressOfIdentity, type Identity } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { encode, blob, formatByte, octets, total } from "./layout.ts";
import { padTo, unpadFrom } from "./padding.ts";
import type { PeerDevice } from "./peer.ts";
import { replaced } from "./replaced.ts";
import { PRELUDE_BYTES } from "./pqxdh.ts";
import type { Random } from "./random.ts";
import type { Replaced } from "./state.ts";
import { SEALING_ID_BYTES, sealingDestroyAt, sealingRecord } from "./sealing-key.ts";
import { AEAD_TAG_BYTES, blake2b, equal, hmacSha512 } from "./primitives.ts";

/**
 * What a message is to the ratchet layer; inside the seal, and bound to the ciphertext. `lasting`: worth asking for again
 * if it cannot be opened; `passing` (typing, receipts): not worth it; `control`: about the ratchets themselves, never
 * answered by a control message.
 */
export type ContentKind = "lasting" | "passing" | "control";

/** A device list by its version and the first 16 bytes of its hash. */
export interface ListView {
  readonly version: number;
  readonly hash: Uint8Array;
}

/** What stands in front of the sender tag. */
export interface Head {
  readonly content: ContentKind;
  readonly sender: DeviceAddress;
  /** The sender's own list. */
  readonly senderList: ListView;
  /** The recipient's list as the sender knows it. */
  readonly recipientList: ListView;
  /** On a first message, and until it is answered: who the sender is, padded, and how the ratchet starts. */
  readonly opening: { readonly introduction: Uint8Array; readonly prelude: Uint8Array } | undefined;
}

const VERSION = 1;
const LIST_HASH_BYTES = 16;
const TAG_BYTES = 16;
const PREFIX_BYTES = 1 + SEALING_ID_BYTES + ENC_BYTES;
/** Introductions are padded to multiples of this, so that first messages of small accounts have one length. */
const INTRODUCTION_STEP = 256;
const MAX_INTRODUCTION_BYTES = 2_048;

const listView = struct({ version: u32, hash: octets(LIST_HASH_BYTES) });
const sender: Codec<DeviceAddress> = {
  read(r) {
    const address = deviceAddress.read(r);
    if (deviceOf(address) === 0) throw new MalformedError(); // device number 0
    return address;
  },
  write: (w, v) => deviceAddress.write(w, v),
};
const form = oneOf({ ratchet: 1, first: 2 });
const front = struct({
  content: oneOf({ lasting: 1, passing: 2, control: 3 }),
  sender,
  senderList: listView,
  recipientList: listView,
});
const opening = struct({ introduction: blob(MAX_INTRODUCTION_BYTES), prelude: octets(PRELUDE_BYTES) });

/** The opening stands in a first message only. */
const head: Codec<Head> = {
  read(r) {
    const which = form.read(r);
    return { ...front.read(r), opening: which === "first" ? opening.read(r) : undefined };
  },
  write(w, v) {
    form.write(w, v.opening === undefined ? "ratchet" : "first");
    front.write(w, v);
    if (v.opening !== undefined) opening.write(w, v.opening);
  },
};

export function viewOf(list: DeviceList): ListView {
  return { version: list.version, hash: list.hash.subarray(0, LIST_HASH_BYTES) };
}

/** The sender's certificate, device list and sealing key, and what the ratchet replaces, as a first message carries them. */
export const introduction = struct({
  format: formatByte(1),
  certificate: blob(MAX_CERTIFICATE_BYTES),
  deviceList: blob(MAX_DEVICE_LIST_BYTES),
  sealing: sealingRecord,
  replaces: replaced,
});

export function introduce(identity: Identity, replaces: Replaced | undefined): Uint8Array {
  const sealing = (identity.sealing.at(-1) as Identity["sealing"][number]).record;
  const said = {
    format: undefined,
    certificate: identity.certificateBytes,
    deviceList: identity.list.bytes,
    sealing,
    replaces,
  };
  return padTo(INTRODUCTION_STEP, encode(introduction, said, MAX_INTRODUCTION_BYTES));
}

/** @throws MalformedError */
export function readIntroduction(padded: Uint8Array) {
  const bytes = unpadFrom(INTRODUCTION_STEP, padded);
  if (bytes === undefined) throw new MalformedError(); // introduction not padded
  return decodeAll(introduction, bytes);
}

/** AAD of the seal: version, sealing key id, recipient's address, envelope id: 43 bytes. */
function associated(sealing: string, recipient: DeviceAddress, envelope: EnvelopeId): Uint8Array {
  const writer = new Writer(43);
  writer.u8(VERSION);
  writer.binary(sealing);
  writer.binary(recipient);
  writer.binary(envelope);
  return writer.take();
}

/** What the message's associated data cover of the envelope: BLAKE2b-256 of label, AAD and head. */
function contextOf(aad: Uint8Array, headBytes: Uint8Array): Uint8Array {
  return blake2b(32, LABELS.sealContext, aad, headBytes);
}

/** What the sender tag is over. */
interface Tagging {
  readonly sender: DeviceAddress;
  readonly recipient: DeviceAddress;
  readonly enc: Uint8Array;
  readonly envelope: EnvelopeId;
}

function senderTag(tagKey: Uint8Array, tagging: Tagging): Uint8Array {
  const said = [toBytes(tagging.sender), toBytes(tagging.recipient), tagging.enc, toBytes(tagging.envelope)];
  return hmacSha512(tagKey, LABELS.sealTag, ...said).subarray(0, TAG_BYTES);
}

const sealingContext = new HpkeContext(LABELS.seal);

export interface Sealing {
  readonly identity: Identity;
  readonly peer: PeerDevice;
  readonly envelope: EnvelopeId;
  readonly head: Head;
  readonly random: Random;
  /** Makes the message, given the context that its associated data must cover. */
  readonly message: (context: Uint8Array) => Uint8Array;
}

/** The envelope's bytes; undefined where the peer's sealing key is unknown or no acceptable key. */
export function seal({
  identity,
  peer,
  envelope,
  head: said,
  random,
  message,
}: Sealing): Uint8Array | undefined {
  if (peer.sealing === undefined) return undefined;
  const sealing = peer.sealing.id;
  const hpke = sealingContext.sender(peer.sealing.key, random.bytes(32));
  if (hpke === undefined) return undefined;
  const aad = associated(sealing, peer.address, envelope);
  const headBytes = encode(head, said, said.opening === undefined ? 128 : 4_096);
  const tagging = { sender: addressOfIdentity(identity), recipient: peer.address, enc: hpke.enc, envelope };
  const tag = senderTag(peer.tagKey.reveal(), tagging);
  const inner = message(contextOf(aad, headBytes));
  const ciphertext = hpke.seal(aad, headBytes, tag, inner);
  const writer = new Writer(PREFIX_BYTES + ciphertext.length);
  writer.u8(VERSION);
  writer.binary(sealing);
  writer.bytes(hpke.enc);
  writer.bytes(ciphertext);
  return writer.take();
}

/** An open envelope. Nothing in it is proved. */
export interface OpenSeal {
  readonly head: Head;
  readonly sealingId: string;
  readonly tag: Uint8Array;
  readonly tagging: Tagging;
  readonly context: Uint8Array;
  readonly message: Uint8Array;
}

export interface OpeningSeal {
  readonly identity: Identity;
  readonly ciphertext: Uint8Array;
  readonly envelope: EnvelopeId;
  readonly now: Time;
}

export type SealRefusal = "malformed" | "not-sealed-for-us" | "key-expired";

/** Opens the seal. `key-expired`: the sealing key that it names is not, or no longer, ours. */
export function openSeal({ identity, ciphertext, envelope, now }: OpeningSeal): OpenSeal | SealRefusal {
  const tooShort = ciphertext.length < PREFIX_BYTES + AEAD_TAG_BYTES;
  if (tooShort || ciphertext.length > MAX_ENVELOPE_BYTES || ciphertext[0] !== VERSION) return "malformed";
  const reader = new Reader(ciphertext, 1);
  const id = reader.binary(SEALING_ID_BYTES);
  const own = identity.sealing.find((key) => key.record.id === id);
  if (own === undefined || now >= sealingDestroyAt(own.record)) return "key-expired";
  const enc = reader.bytes(ENC_BYTES);
  const recipient = addressOfIdentity(identity);
  const aad = associated(id, recipient, envelope);
  const keys = { enc, secret: own.secret.reveal(), recipient: own.record.key };
  const plain = sealingContext.open({ ...keys, aad, ciphertext: ciphertext.subarray(PREFIX_BYTES) });
  if (plain === undefined) return "not-sealed-for-us";
  return readInner(plain, { aad, sealingId: id, tagging: { recipient, enc: enc.slice(), envelope } });
}

interface Around {
  readonly aad: Uint8Array;
  readonly sealingId: string;
  readonly tagging: Omit<Tagging, "sender">;
}

function readInner(plain: Uint8Array, { aad, sealingId: id, tagging }: Around): OpenSeal | "malformed" {
  const opened = total(() => {
    const reader = new Reader(plain);
    const said = head.read(reader);
    const context = contextOf(aad, plain.subarray(0, reader.at));
    const tag = reader.bytes(TAG_BYTES);
    const message = reader.bytes(reader.remaining);
    return { head: said, sealingId: id, tag, tagging: { ...tagging, sender: said.sender }, context, message };
  });
  return opened ?? "malformed";
}

/** Whether the sender tag is that of the two devices: only they can make it, and either can. */
export function tagIsGood(tagKey: Uint8Array, opened: OpenSeal): boolean {
  return equal(senderTag(tagKey, opened.tagging), opened.tag);
}
