// A peer's device as we have verified it: its certificate by the account key, its place in the signed device list, the
// account key pinned from first sight on, and the key of the sender tag between the two devices. Immutable.
import {
  addressOf,
  type DeviceAddress,
  decodeAll,
  MAX_CERTIFICATE_BYTES,
  MAX_DEVICE_LIST_BYTES,
  MalformedError,
  optional,
  struct,
  type Time,
} from "@lethe/protocol";
import { type Certificate, certificateHash, parseCertificate, verifyCertificate } from "./certificate.ts";
import type { News } from "./content.ts";
import {
  type DeviceList,
  isCurrent,
  type ListChange,
  listChange,
  lists,
  parseDeviceList,
  succession,
  verifyDeviceList,
} from "./device-list.ts";
import type { Identity } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { encode, blob, formatByte, secret, total } from "./layout.ts";
import { newestSealing, type SealingRecord, sealingRecord, sealingRecordIsGood } from "./sealing-key.ts";
import { Secret } from "./secret.ts";
import { equal, hkdfSha512, x25519 } from "./primitives.ts";

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
      /** Against the list that is pinned: the caller drops its ratchets with the removed ones. */
      readonly change: ListChange;
    }
  | { readonly code: PeerRefusal };

/**
 * Verifies a peer's certificate and device list for sending to it: signatures, the pinned account key, the list's
 * succession and its age, and that it names the device. The caller stores `peer` and so pins its account key.
 */
export function verifyPeer(verifying: VerifyingPeer): VerifiedPeer {
  const checked = checkPeer({ ...verifying, older: "refuse" });
  if (checked.code !== "ok") return checked;
  const { certificate, list, listChanged } = checked;
  if (!isCurrent(list, verifying.now)) return { code: "list-expired" };
  const peer = peerFrom(verifying.identity, certificate, verifying.certificate, list);
  if (peer === undefined) return { code: "bad-key" };
  const { pinned } = verifying;
  const change = listChange(pinned?.list, list);
  return { code: "ok", peer, firstSight: pinned === undefined, listChanged, change };
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

/** What a check without any DH takes. `older`: whether a list older than the known one is refused, or the known used. */
export interface CheckingPeer extends Omit<VerifyingPeer, "identity" | "now"> {
  readonly older: "refuse" | "use-known";
}

/** As `verifyPeer`, without any DH and without the list's age. */
export function checkPeer(checking: CheckingPeer): CheckedPeer {
  return total(() => check(checking)) ?? { code: "malformed" };
}

function check({ certificate: bytes, deviceList, pinned, address, older }: CheckingPeer): CheckedPeer {
  const certificate = verifyCertificate(bytes);
  if (certificate === undefined) return { code: "bad-signature" };
  const { account, device, accountKey } = certificate;
  if (address !== undefined && addressOf(account, device) !== address) return { code: "wrong-account" };
  if (pinned !== undefined && pinned.list.account !== account) return { code: "wrong-account" };
  if (pinned !== undefined && !equal(pinned.accountKey, accountKey)) return { code: "account-key-changed" };
  const given = verifyDeviceList(deviceList, accountKey);
  if (given === undefined) return { code: "bad-signature" };
  if (given.account !== account) return { code: "wrong-account" };
  const how = pinned === undefined ? "newer" : succession(pinned.list, given);
  if (how === "list-forked" || (how === "list-rolled-back" && older === "refuse")) return { code: how };
  const list = how === "newer" ? given : (pinned as PinnedAccount).list;
  if (!lists(list, device, certificateHash(bytes))) return { code: "device-not-listed" };
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

/** The peer with what it has proved to say of itself; what does not verify or is not newer is left out. */
export function learn(peer: PeerDevice, news: News, now: Time): PeerDevice {
  const sealing = learnSealing(peer, news.sealing, now);
  const list = learnList(peer, news.deviceList);
  return sealing === peer.sealing && list === peer.list ? peer : { ...peer, sealing, list };
}

function learnSealing({ sealing, certificate }: PeerDevice, next: SealingRecord | undefined, now: Time) {
  if (next === undefined || (sealing !== undefined && equal(sealing.key, next.key))) return sealing;
  return sealingRecordIsGood(next, certificate, certificate.signingKey, now)
    ? newestSealing(sealing, next)
    : sealing;
}

function learnList(peer: PeerDevice, bytes: Uint8Array | undefined): DeviceList {
  if (bytes === undefined || equal(bytes, peer.list.bytes)) return peer.list;
  const next = total(() => verifyDeviceList(bytes, peer.accountKey));
  if (next === undefined) return peer.list;
  return isListed(peer, next) && succession(peer.list, next) === "newer" ? next : peer.list;
}

/** Whether a list names the device with the certificate that it is known by. */
export function isListed({ certificate, certificateBytes }: PeerDevice, list: DeviceList): boolean {
  return (
    list.account === certificate.account && lists(list, certificate.device, certificateHash(certificateBytes))
  );
}

/** Whether the account has removed a device, by the newest list known of it. */
export function isRemoved(peer: PeerDevice, newest: DeviceList | undefined): boolean {
  return newest !== undefined && newest.version > peer.list.version && !isListed(peer, newest);
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
  return encode(
    stored,
    {
      format: undefined,
      certificate: certificateBytes,
      list: list.bytes,
      tagKey,
      sealing,
    },
    2_048,
  );
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
    throw new MalformedError(); // a peer whose parts do not belong together
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
