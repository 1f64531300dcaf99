// Prekeys: what a device leaves at the relay so that others can start a ratchet with it. Ids are content-addressed, so no
// id ever names two keys whatever was restored; the upload is kept with the private half, so a repeat sends the same bytes.
import {
  type AccountId,
  accountId,
  type DeviceNumber,
  decodeAll,
  deviceNumber,
  MAX_PREKEY_BYTES,
  MalformedError,
  oneOf,
  struct,
  type Time,
  time,
  joined,
} from "@lethe/protocol";
import { currentSealing, type Identity } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { encode, blob, formatByte, kemKey, total, x25519Key } from "./layout.ts";
import {
  ONE_TIME_LIFETIME_MS,
  RETENTION_MS,
  RETENTION_SLACK_MS,
  SIGNED_PREKEY_JITTER_MS,
  SIGNED_PREKEY_LIFETIME_MS,
  SIGNED_PREKEY_ROTATE_MS,
} from "./limits.ts";
import type { Random } from "./random.ts";
import { keyId, lifetimeIsGood, type SealingRecord, sealingRecord } from "./sealing-key.ts";
import { Secret } from "./secret.ts";
import {
  ed25519Sign,
  ed25519Verify,
  equal,
  KEM_PUBLIC_BYTES,
  KEM_SEED_BYTES,
  kemPublic,
  SIGNATURE_BYTES,
  X25519_BYTES,
  x25519Base,
} from "./primitives.ts";

declare const brand: unique symbol;
/** First 8 bytes of BLAKE2b-256 of the encoded public key (type byte included), one character a byte. */
export type PrekeyId = string & { readonly [brand]: "PrekeyId" };

export const PREKEY_ID_BYTES = 8;

/** `signed`: X25519, with the sealing key; `lastResort`: ML-KEM-768; `oneTime`: X25519; `oneTimeKem`: ML-KEM-768. */
export type PrekeyKind = "signed" | "lastResort" | "oneTime" | "oneTimeKem";

/** A prekey of one's own, to be kept durably before its upload. */
export interface PrekeyRecord {
  readonly id: PrekeyId;
  readonly kind: PrekeyKind;
  readonly createdAt: Time;
  /** From when on a bundle with it is refused; by then its owner has replaced it at the relay. */
  readonly expiresAt: Time;
  /** X25519: 32 bytes; ML-KEM-768: the seed, 64 bytes. */
  readonly secret: Secret;
  /** The bytes to upload, the same at every repeat. */
  readonly upload: Uint8Array;
}

/** The public key of a record, as its upload has it. */
export function publicKeyOf({ kind, upload }: PrekeyRecord): Uint8Array {
  const isKem = kind === "lastResort" || kind === "oneTimeKem";
  // Behind the format, the address except for one-time X25519 keys, and the type byte.
  const at = kind === "oneTime" ? 2 : 20;
  return upload.slice(at, at + (isKem ? KEM_PUBLIC_BYTES : X25519_BYTES));
}

/** What goes to the relay. */
export interface PrekeyUpload {
  readonly id: PrekeyId;
  readonly kind: PrekeyKind;
  readonly bytes: Uint8Array;
}

export interface MakingPrekeys {
  readonly identity: Identity;
  readonly random: Random;
  readonly now: Time;
}

/** A signed prekey and a last-resort KEM prekey: one of each is current, older ones are kept until `destroyAt`. */
export function makeSignedPrekeys(making: MakingPrekeys): [signed: PrekeyRecord, lastResort: PrekeyRecord] {
  return [makeSigned(making), makeKem("lastResort", making)];
}

/** One-time prekeys: `curve` of X25519 and `kem` of ML-KEM-768 (about 0.3 ms each). */
export function makeOneTimePrekeys(
  making: MakingPrekeys,
  count: { readonly curve: number; readonly kem: number },
): PrekeyRecord[] {
  const out: PrekeyRecord[] = [];
  for (let i = 0; i < count.curve; i++) out.push(makeOneTime(making));
  for (let i = 0; i < count.kem; i++) out.push(makeKem("oneTimeKem", making));
  return out;
}

export function uploadOf({ id, kind, upload }: PrekeyRecord): PrekeyUpload {
  return { id, kind, bytes: upload };
}

/** When the pair of signed prekeys is due for replacement: 48 h ± 6 h after it was made, by `random`. */
export function signedPrekeysDueAt(createdAt: Time, random: Random): Time {
  const [a, b, c] = random.bytes(3) as unknown as [number, number, number];
  const jitter = ((a * 65_536 + b * 256 + c) / 0xffffff) * 2 - 1;
  return (createdAt + SIGNED_PREKEY_ROTATE_MS + Math.round(jitter * SIGNED_PREKEY_JITTER_MS)) as Time;
}

/**
 * When the private half of an unused prekey is destroyed: R + 2 d after the last moment at which a bundle with it could be
 * used. That is its expiry, or for one-time kinds the moment from which the relay no longer lists it (`unlistedAt`), if
 * that was earlier. One-time prekeys that are used are destroyed at once.
 */
export function destroyAt(record: PrekeyRecord, unlistedAt?: Time): Time {
  const last = unlistedAt === undefined ? record.expiresAt : Math.min(record.expiresAt, unlistedAt);
  return (last + RETENTION_MS + RETENTION_SLACK_MS) as Time;
}

// Formats of uploads. `kind` is in every signed tuple, beside a label of its own.
const KIND = { signed: 1, lastResort: 2, oneTime: 3, oneTimeKem: 4 } as const;
const signedBody = struct({
  format: formatByte(KIND.signed),
  account: accountId,
  device: deviceNumber,
  key: x25519Key,
  createdAt: time,
  expiresAt: time,
  sealing: sealingRecord,
});

function kemBody(kind: "lastResort" | "oneTimeKem") {
  return struct({
    format: formatByte(KIND[kind]),
    account: accountId,
    device: deviceNumber,
    key: kemKey,
    createdAt: time,
    expiresAt: time,
  });
}
const kemBodies = { lastResort: kemBody("lastResort"), oneTimeKem: kemBody("oneTimeKem") };
const kemLabels = { lastResort: LABELS.signLastResort, oneTimeKem: LABELS.signOneTimeKem };
const oneTimeUpload = struct({ format: formatByte(KIND.oneTime), key: x25519Key });

function makeSigned({ identity, random, now }: MakingPrekeys): PrekeyRecord {
  const own = random.bytes(32);
  const key = x25519Base(own);
  const expiresAt = (now + SIGNED_PREKEY_LIFETIME_MS) as Time;
  const { account, device } = identity.certificate;
  const sealing = currentSealing(identity).record;
  const tuple = { format: undefined, account, device, key, createdAt: now, expiresAt, sealing };
  const upload = withSignature(encode(signedBody, tuple), LABELS.signSignedPrekey, identity);
  const id = keyId(encode(x25519Key, key)) as PrekeyId;
  return { id, kind: "signed", createdAt: now, expiresAt, secret: new Secret(own), upload };
}

function makeKem(kind: "lastResort" | "oneTimeKem", { identity, random, now }: MakingPrekeys): PrekeyRecord {
  const seed = random.bytes(KEM_SEED_BYTES);
  const key = kemPublic(seed);
  const life = kind === "lastResort" ? SIGNED_PREKEY_LIFETIME_MS : ONE_TIME_LIFETIME_MS;
  const expiresAt = (now + life) as Time;
  const { account, device } = identity.certificate;
  const tuple = { format: undefined, account, device, key, createdAt: now, expiresAt };
  const upload = withSignature(encode(kemBodies[kind], tuple, MAX_PREKEY_BYTES), kemLabels[kind], identity);
  const id = keyId(encode(kemKey, key, MAX_PREKEY_BYTES)) as PrekeyId;
  return { id, kind, createdAt: now, expiresAt, secret: new Secret(seed), upload };
}

function makeOneTime({ random, now }: MakingPrekeys): PrekeyRecord {
  const own = random.bytes(32);
  const key = x25519Base(own);
  const id = keyId(encode(x25519Key, key)) as PrekeyId;
  const upload = encode(oneTimeUpload, { format: undefined, key });
  const expiresAt = (now + ONE_TIME_LIFETIME_MS) as Time;
  return { id, kind: "oneTime", createdAt: now, expiresAt, secret: new Secret(own), upload };
}

function withSignature(said: Uint8Array, label: Uint8Array, identity: Identity): Uint8Array {
  return joined(said, ed25519Sign(identity.signingSeed.reveal(), label, said));
}

/** What a verified upload gives. `key` is without its type byte; one-time X25519 keys are named by their id only. */
export interface PublicPrekey {
  readonly id: PrekeyId;
  readonly key: Uint8Array;
}

/** Whose prekeys are verified, and when. */
export interface Expecting {
  readonly account: AccountId;
  readonly device: DeviceNumber;
  /** DS of the device. */
  readonly signingKey: Uint8Array;
  readonly now: Time;
}

/** Why one prekey of a bundle is refused. */
export type PrekeyRefusal = "malformed" | "wrong-id" | "wrong-device" | "bad-signature" | "expired";

/** A verified signed prekey and the sealing key beside it (its own signature is still to be verified). */
export function readSigned(
  bytes: Uint8Array,
  expecting: Expecting,
): { readonly prekey: PublicPrekey; readonly sealing: SealingRecord } | PrekeyRefusal {
  const split = bytes.length - SIGNATURE_BYTES;
  const said = total(() => decodeAll(signedBody, bytes.subarray(0, Math.max(0, split))));
  if (said === undefined) return "malformed";
  const refusal = refuse(
    bytes,
    { ...said, label: LABELS.signSignedPrekey, life: SIGNED_PREKEY_LIFETIME_MS },
    expecting,
  );
  if (refusal !== undefined) return refusal;
  return {
    prekey: { id: keyId(encode(x25519Key, said.key)) as PrekeyId, key: said.key },
    sealing: said.sealing,
  };
}

/** A verified ML-KEM-768 prekey of the kind given. */
export function readKem(
  kind: "lastResort" | "oneTimeKem",
  bytes: Uint8Array,
  expecting: Expecting,
): PublicPrekey | PrekeyRefusal {
  const split = bytes.length - SIGNATURE_BYTES;
  const said = total(() => decodeAll(kemBodies[kind], bytes.subarray(0, Math.max(0, split))));
  if (said === undefined) return "malformed";
  const life = kind === "lastResort" ? SIGNED_PREKEY_LIFETIME_MS : ONE_TIME_LIFETIME_MS;
  const refusal = refuse(bytes, { ...said, label: kemLabels[kind], life }, expecting);
  return refusal ?? { id: keyId(encode(kemKey, said.key, MAX_PREKEY_BYTES)) as PrekeyId, key: said.key };
}

/** A one-time X25519 prekey: not signed, bound by the transcript of PQXDH and by its id. */
export function readOneTime(bytes: Uint8Array): PublicPrekey | PrekeyRefusal {
  const said = total(() => decodeAll(oneTimeUpload, bytes));
  if (said === undefined) return "malformed";
  return { id: keyId(encode(x25519Key, said.key)) as PrekeyId, key: said.key };
}

interface Claim {
  readonly account: AccountId;
  readonly device: DeviceNumber;
  readonly createdAt: Time;
  readonly expiresAt: Time;
  readonly label: Uint8Array;
  readonly life: number;
}

function refuse(bytes: Uint8Array, claim: Claim, expecting: Expecting): PrekeyRefusal | undefined {
  const split = bytes.length - SIGNATURE_BYTES;
  const said = bytes.subarray(0, split);
  if (claim.account !== expecting.account || claim.device !== expecting.device) return "wrong-device";
  if (!ed25519Verify(expecting.signingKey, bytes.subarray(split), claim.label, said)) return "bad-signature";
  if (!lifetimeIsGood(claim.createdAt, claim.expiresAt, claim.life, expecting.now)) return "expired";
  return undefined;
}

const stored = struct({
  kind: oneOf(KIND),
  createdAt: time,
  expiresAt: time,
  secret: blob(KEM_SEED_BYTES),
  upload: blob(MAX_PREKEY_BYTES),
});

/** The record as bytes, private half included. */
export function encodePrekey(record: PrekeyRecord): Uint8Array {
  return encode(stored, { ...record, secret: record.secret.reveal() }, 2 * MAX_PREKEY_BYTES);
}

/** @throws MalformedError also where the private half does not belong to the upload. */
export function decodePrekey(bytes: Uint8Array): PrekeyRecord {
  const { secret: own, upload, ...rest } = decodeAll(stored, bytes);
  const isKem = rest.kind === "lastResort" || rest.kind === "oneTimeKem";
  if (own.length !== (isKem ? KEM_SEED_BYTES : X25519_BYTES)) throw new MalformedError(); // wrong private key length
  const key = isKem ? kemPublic(own) : x25519Base(own);
  const id = keyId(isKem ? encode(kemKey, key, MAX_PREKEY_BYTES) : encode(x25519Key, key)) as PrekeyId;
  const record = { ...rest, id, secret: new Secret(own), upload };
  if (!equal(publicKeyOf(record), key)) throw new MalformedError(); // a prekey that does not belong to its upload
  return record;
}
