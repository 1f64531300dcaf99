// The certificate of a device: the account key AK says which keys a device of the account has, and the device's signing
// key DS says that it belongs there, so nobody can claim another's device as theirs. Immutable; known by its hash.
import {
  type AccountId,
  accountId,
  type DeviceNumber,
  decodeAll,
  deviceNumber,
  fixed,
  MAX_CERTIFICATE_BYTES,
  MalformedError,
  Reader,
  struct,
  type Time,
  time,
  joined,
} from "@lethe/protocol";
import { LABELS } from "./labels.ts";
import { encode, ed25519Key, formatByte, x25519Key } from "./layout.ts";
import { blake2b, ed25519Sign, ed25519Verify, SIGNATURE_BYTES } from "./primitives.ts";

/** What a device certificate says. */
export interface Certificate {
  readonly account: AccountId;
  readonly device: DeviceNumber;
  /** AK, Ed25519. */
  readonly accountKey: Uint8Array;
  /** DS, Ed25519. */
  readonly signingKey: Uint8Array;
  /** DI, X25519. */
  readonly dhKey: Uint8Array;
  readonly createdAt: Time;
}

const body = struct({
  format: formatByte(1),
  account: accountId,
  device: deviceNumber,
  accountKey: ed25519Key,
  signingKey: ed25519Key,
  dhKey: x25519Key,
  createdAt: time,
});
const possession = struct({ accountKey: ed25519Key, account: accountId, device: deviceNumber });
const signatures = struct({ byAccount: fixed(SIGNATURE_BYTES), byDevice: fixed(SIGNATURE_BYTES) });

/** Bytes of a certificate: format 1, ids 18, three keys 99, time 8, two signatures 128. */
export const CERTIFICATE_BYTES = 254;
const BODY_BYTES = CERTIFICATE_BYTES - 2 * SIGNATURE_BYTES;

/** What a device's key signs to say that it belongs to an account, under a number. */
export type Possession = Pick<Certificate, "accountKey" | "account" | "device">;

/** DS over what it belongs to, 64 bytes: the device's half of a certificate, made before the account's. */
export function provePossession(of: Possession, signingSeed: Uint8Array): Uint8Array {
  return ed25519Sign(signingSeed, LABELS.signPossession, encode(possession, of));
}

/** Whether a proof is that of the device with this DS. */
export function possessionIsGood(of: Possession, signingKey: Uint8Array, proof: Uint8Array): boolean {
  return ed25519Verify(signingKey, proof, LABELS.signPossession, encode(possession, of));
}

/** The certificate's bytes: AK signs what it says, and the device's proof of possession stands behind. */
export function certify(certificate: Certificate, accountSeed: Uint8Array, proof: Uint8Array): Uint8Array {
  const said = encode(body, { format: undefined, ...certificate });
  return joined(said, ed25519Sign(accountSeed, LABELS.signCertificate, said), proof);
}

/** The certificate's bytes, signed with both seeds. */
export function makeCertificate(
  certificate: Certificate,
  seeds: { readonly account: Uint8Array; readonly signing: Uint8Array },
): Uint8Array {
  return certify(certificate, seeds.account, provePossession(certificate, seeds.signing));
}

/** What a certificate says, without verifying it: for bytes from one's own store. @throws MalformedError */
export function parseCertificate(bytes: Uint8Array): Certificate {
  if (bytes.length !== CERTIFICATE_BYTES || bytes.length > MAX_CERTIFICATE_BYTES) throw new MalformedError(); // not a certificate
  const { format: _, ...certificate } = decodeAll(body, bytes.subarray(0, BODY_BYTES));
  return certificate;
}

/** What a certificate says, undefined where either signature is bad. @throws MalformedError */
export function verifyCertificate(bytes: Uint8Array): Certificate | undefined {
  const certificate = parseCertificate(bytes);
  const { byAccount, byDevice } = signatures.read(new Reader(bytes, BODY_BYTES));
  const said = bytes.subarray(0, BODY_BYTES);
  const good =
    ed25519Verify(certificate.accountKey, byAccount, LABELS.signCertificate, said) &&
    possessionIsGood(certificate, certificate.signingKey, byDevice);
  return good ? certificate : undefined;
}

/** BLAKE2b-256 of a certificate's bytes: its name in a device list. */
export function certificateHash(bytes: Uint8Array): Uint8Array {
  return blake2b(32, bytes);
}
