// Sealing keys (SEAL): the X25519 keys that envelopes are sealed to. A device makes a new one every 7 days, signs it with
// DS, and keeps the private half until no undelivered envelope can need it: metadata has forward secrecy by that.
import {
  type AccountId,
  accountId,
  type Codec,
  type DeviceNumber,
  deviceNumber,
  fromBytes,
  struct,
  type Time,
  time,
} from "@lethe/protocol";
import { LABELS } from "./labels.ts";
import { encode, formatByte, octets, secret, x25519Key } from "./layout.ts";
import { CLOCK_SKEW_MS, RETENTION_MS, RETENTION_SLACK_MS, SEALING_LIFETIME_MS } from "./limits.ts";
import type { Random } from "./random.ts";
import { Secret } from "./secret.ts";
import { blake2b, ed25519Sign, ed25519Verify, SIGNATURE_BYTES, x25519Base } from "./primitives.ts";

/** The public half, as peers get it: 113 bytes. */
export interface SealingRecord {
  /** First 8 bytes of BLAKE2b-256 of the encoded key, one character a byte; not in the encoding. */
  readonly id: string;
  readonly key: Uint8Array;
  readonly createdAt: Time;
  readonly expiresAt: Time;
  /** By DS, over the owner's address and the fields above. */
  readonly signature: Uint8Array;
}

/** A sealing key of one's own. */
export interface SealingKey {
  readonly secret: Secret;
  readonly record: SealingRecord;
}

const fields = struct({
  key: x25519Key,
  createdAt: time,
  expiresAt: time,
  signature: octets(SIGNATURE_BYTES),
});
export const sealingRecord: Codec<SealingRecord> = {
  read(r) {
    const found = fields.read(r);
    return { id: sealingId(found.key), ...found };
  },
  write: (w, v) => fields.write(w, v),
};
export const sealingKey = struct({ secret: secret(32), record: sealingRecord });
export const SEALING_RECORD_BYTES = 113;
export const SEALING_ID_BYTES = 8;

const signedTuple = struct({
  format: formatByte(1),
  account: accountId,
  device: deviceNumber,
  key: x25519Key,
  createdAt: time,
  expiresAt: time,
});

/** Whose key it is. */
export interface Owner {
  readonly account: AccountId;
  readonly device: DeviceNumber;
}

/** First 8 bytes of BLAKE2b-256 of the encoded public key (with its type byte), one character a byte. */
export function keyId(encodedKey: Uint8Array): string {
  return fromBytes<string>(blake2b(32, encodedKey).subarray(0, SEALING_ID_BYTES));
}

function sealingId(key: Uint8Array): string {
  return keyId(encode(x25519Key, key));
}

export function makeSealingKey(owner: Owner, signingSeed: Secret, random: Random, now: Time): SealingKey {
  const own = random.bytes(32);
  const key = x25519Base(own);
  const expiresAt = (now + SEALING_LIFETIME_MS) as Time;
  const tuple = encode(signedTuple, { format: undefined, ...owner, key, createdAt: now, expiresAt });
  const signature = ed25519Sign(signingSeed.reveal(), LABELS.signSealingKey, tuple);
  return {
    secret: new Secret(own),
    record: { id: sealingId(key), key, createdAt: now, expiresAt, signature },
  };
}

/** Whether a peer's record may be used now: signed by its device, not expired, no longer-lived than allowed. */
export function sealingRecordIsGood(
  record: SealingRecord,
  owner: Owner,
  signingKey: Uint8Array,
  now: Time,
): boolean {
  const { key, createdAt, expiresAt } = record;
  if (!lifetimeIsGood(createdAt, expiresAt, SEALING_LIFETIME_MS, now)) return false;
  const tuple = encode(signedTuple, { format: undefined, ...owner, key, createdAt, expiresAt });
  return ed25519Verify(signingKey, record.signature, LABELS.signSealingKey, tuple);
}

/** Whether a signed lifetime is plausible and not over. */
export function lifetimeIsGood(createdAt: Time, expiresAt: Time, longest: number, now: Time): boolean {
  const orderly = createdAt <= expiresAt && expiresAt - createdAt <= longest;
  return orderly && createdAt <= now + CLOCK_SKEW_MS && now < expiresAt;
}

/** When the private half is destroyed: nothing sealed before the signed expiry can be under way any more. */
export function sealingDestroyAt(record: SealingRecord): Time {
  return (record.expiresAt + RETENTION_MS + RETENTION_SLACK_MS) as Time;
}

/** Of two sealing keys of one device the later: a relay cannot bring an old one back. */
export function newestSealing(known: SealingRecord | undefined, next: SealingRecord): SealingRecord {
  return known !== undefined && known.createdAt > next.createdAt ? known : next;
}
