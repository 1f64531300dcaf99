// A peer's device as we have verified it: its certificate by the account key, its place in the signed device list, the
// account key pinned from first sight on, and the key of the sender tag between the two devices. Immutable.
import {
  addressOf,
  type DeviceAddress,
  decodeAll,
  encode,
  MAX_CERTIFICATE_BYTES,
  MAX_DEVICE_LIST_BYTES,
  MalformedError,
  optional,
  struct,
  type Time,
} from "@lethe/protocol";
import { type Certificate, certificateHash, parseCertificate, verifyCertificate } from "./certificate.ts";
import {
  type DeviceList,
  isCurrent,
  lists,
  parseDeviceList,
  succession,
  verifyDeviceList,
} from "./device-list.ts";
import type { Identity } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { blob, formatByte, secret } from "./layout.ts";
import { type SealingRecord, sealingRecord } from "./sealing-key.ts";
import { Secret } from "./secret.ts";
import { equal, hkdfSha512, x25519 } from "./sodium.ts";

/** What is known of an account since it was first seen. Any `PeerDevice` of the account is one. */
export interface PinnedAccount {
  /** AK, 32 bytes: the identity that people compare. */
  readonly accountKey: Uint8Array;
  /** The newest device list known. */
  readonly list: DeviceList;
}

export interface PeerDevice extends PinnedAccount {
  readonly address: DeviceAddress;
  readonly certificate: Certificate;
  readonly certificateBytes: Uint8Array;
  /** Key of the sender tag: HKDF of X25519(own DI, peer's DI). */
  readonly tagKey: Secret;
  /** The newest sealing key known; undefined until a bundle or a message brought one. */
  readonly sealing: SealingRecord | undefined;
}

/** Why a peer's device list and certificate are refused. */
export type PeerRefusal =
  | "malformed"
  | "bad-signature"
  | "wrong-account"
  | "account-key-changed"
  | "list-rolled-back"
  | "list-forked"
  | "list-expired"
  | "device-not-listed"
  | "bad-key";

export interface VerifyingPeer {
  readonly identity: Identity;
  readonly certificate: Uint8Array;
  readonly deviceList: Uint8Array;
  /** What is known of the account already; undefined at first sight. */
  readonly pinned: PinnedAccount | undefined;
  /** The address that was asked for; undefined where the certificate may name it. */
  readonly address: DeviceAddress | undefined;
  readonly now: Time;
}

export type VerifiedPeer =
  | {
      readonly code: "ok";
      readonly peer: PeerDevice;
      readonly firstSight: boolean;
      readonly listChanged: boolean;
    }
  | { readonly code: PeerRefusal };

/**
 * Verifies a peer's certificate and device list for sending to it: signatures, the pinned account key, the list's
 * succession and its age, and that it names the device. The caller stores `peer` and so pins its account key.
 */
export function verifyPeer(verifying: VerifyingPeer): VerifiedPeer {
  const checked = checkPeer(verifying);
  if (checked.code !== "ok") return checked;
  const { certificate, list, listChanged } = checked;
  if (!isCurrent(list, verifying.now)) return { code: "list-expired" };
  const peer = peerFrom(verifying.identity, certificate, verifying.certificate, list);
  if (peer === undefined) return { code: "bad-key" };
  return { code: "ok", peer, firstSight: verifying.pinned === undefined, listChanged };
}

/** What `checkPeer` has found good; the list is the newest of the one given and the one known. */
type CheckedPeer =
  | {
      readonly code: "ok";
      readonly certificate: Certificate;
      readonly list: DeviceList;
      readonly listChanged: boolean;
    }
  | { readonly code: PeerRefusal };

/** As `verifyPeer`, without any DH and without the list's age. */
export function checkPeer(verifying: Omit<VerifyingPeer, "identity" | "now">): CheckedPeer {
  try {
    return check(verifying);
  } catch (error) {
    if (error instanceof MalformedError) return { code: "malformed" };
    throw error;
  }
}

function check({
  certificate: bytes,
  deviceList,
  pinned,
  address,
}: Omit<VerifyingPeer, "identity" | "now">): CheckedPeer {
  const certificate = verifyCertificate(bytes);
  if (certificate === undefined) return { code: "bad-signature" };
  if (address !== undefined && addressOf(certificate.account, certificate.device) !== address)
    return { code: "wrong-account" };
  if (pinned !== undefined && pinned.list.account !== certificate.account) return { code: "wrong-account" };
  if (pinned !== undefined && !equal(pinned.accountKey, certificate.accountKey))
    return { code: "account-key-changed" };
  const list = verifyDeviceList(deviceList, certificate.accountKey);
  if (list === undefined) return { code: "bad-signature" };
  if (list.account !== certificate.account) return { code: "wrong-account" };
  const how = pinned === undefined ? "newer" : succession(pinned.list, list);
  if (how === "list-rolled-back" || how === "list-forked") return { code: how };
  if (!lists(list, certificate.device, certificateHash(bytes))) return { code: "device-not-listed" };
  return { code: "ok", certificate, list, listChanged: how === "newer" };
}

/** Undefined where the device's DH key gives an all-zero result. */
export function peerFrom(
  identity: Identity,
  certificate: Certificate,
  certificateBytes: Uint8Array,
  list: DeviceList,
): PeerDevice | undefined {
  const shared = x25519(identity.dhSecret.reveal(), certificate.dhKey);
  if (shared === undefined) return undefined;
  const derivation = { salt: new Uint8Array(0), ikm: [shared], info: [LABELS.sealTagKey], length: 32 };
  const tagKey = new Secret(hkdfSha512(derivation));
  shared.fill(0);
  return {
    address: addressOf(certificate.account, certificate.device),
    accountKey: certificate.accountKey,
    certificate,
    certificateBytes: certificateBytes.slice(),
    list,
    tagKey,
    sealing: undefined,
  };
}

const stored = struct({
  format: formatByte(1),
  certificate: blob(MAX_CERTIFICATE_BYTES),
  list: blob(MAX_DEVICE_LIST_BYTES),
  tagKey: secret(32),
  sealing: optional(sealingRecord),
});

/** The peer as bytes, for one's own encrypted store. */
export function encodePeer(peer: PeerDevice): Uint8Array {
  const { certificateBytes, list, tagKey, sealing } = peer;
  return encode(stored, {
    format: undefined,
    certificate: certificateBytes,
    list: list.bytes,
    tagKey,
    sealing,
  });
}

/** A peer from one's own store: signatures were verified before it went in. @throws MalformedError */
export function decodePeer(bytes: Uint8Array): PeerDevice {
  const { certificate: certificateBytes, list: listBytes, tagKey, sealing } = decodeAll(stored, bytes);
  const certificate = parseCertificate(certificateBytes);
  const list = parseDeviceList(listBytes);
  if (
    !lists(list, certificate.device, certificateHash(certificateBytes)) ||
    list.account !== certificate.account
  )
    throw new MalformedError("a peer whose parts do not belong together");
  const address = addressOf(certificate.account, certificate.device);
  return {
    address,
    accountKey: certificate.accountKey,
    certificate,
    certificateBytes,
    list,
    tagKey,
    sealing,
  };
}
