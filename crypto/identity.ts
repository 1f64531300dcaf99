// One's own identity: the account key (on the primary device), the device's keys, its certificate and device list, its
// sealing keys and the profile key. Always true: the seeds belong to the certificate, the list names the certificate, and
// there is at least one sealing key, the newest last. Immutable: a change returns a new identity.
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  decodeAll,
  fromBytes,
  ID_BYTES,
  list,
  MAX_CERTIFICATE_BYTES,
  MAX_DEVICE_LIST_BYTES,
  MalformedError,
  optional,
  type SIGNATURE_LABELS,
  signedBytes,
  struct,
  type Time,
} from "@lethe/protocol";
import { type Certificate, certificateHash, makeCertificate, parseCertificate } from "./certificate.ts";
import {
  type DeviceList,
  lists,
  makeDeviceList,
  parseDeviceList,
  succeed,
  verifyDeviceList,
} from "./device-list.ts";
import { LABELS } from "./labels.ts";
import { encode, blob, formatByte, secret, total } from "./layout.ts";
import { LIST_RENEW_MS, MAX_SEALING_KEYS, SEALING_ROTATE_MS } from "./limits.ts";
import type { Random } from "./random.ts";
import { makeSealingKey, type SealingKey, sealingDestroyAt, sealingKey } from "./sealing-key.ts";
import { Secret } from "./secret.ts";
import { blake2b, ed25519Public, ed25519Sign, equal, hkdfSha512, x25519Base } from "./primitives.ts";

export interface Identity {
  readonly certificate: Certificate;
  readonly certificateBytes: Uint8Array;
  readonly list: DeviceList;
  /** Seed of AK; undefined on a linked device. */
  readonly accountSeed: Secret | undefined;
  /** Seed of DS. */
  readonly signingSeed: Secret;
  /** Private half of DI. */
  readonly dhSecret: Secret;
  /** 32 bytes, given to contacts end to end: the access key is derived from it. */
  readonly profileKey: Secret;
  readonly sealing: readonly SealingKey[];
}

/** What is registered at a relay. */
export interface PublicIdentity {
  readonly account: AccountId;
  readonly device: DeviceNumber;
  /** AK, 32 bytes. */
  readonly accountKey: Uint8Array;
  /** DS, 32 bytes. */
  readonly signingKey: Uint8Array;
  readonly certificate: Uint8Array;
  readonly deviceList: Uint8Array;
  readonly listVersion: number;
  /** BLAKE2b-256 of the device list, 32 bytes. */
  readonly listHash: Uint8Array;
  /** BLAKE2b-256 of the access key, 32 bytes. */
  readonly accessKeyHash: Uint8Array;
}

export const FIRST_DEVICE = 1 as DeviceNumber;
export const PROFILE_KEY_BYTES = 32;
export const ACCESS_KEY_BYTES = 16;

/** A new account with its first device: account id, AK, DS, DI, SEAL and profile key from `random`. */
export function createIdentity({ random, now }: { readonly random: Random; readonly now: Time }): Identity {
  const account = fromBytes<AccountId>(random.bytes(ID_BYTES));
  const [accountSeed, signingSeed, dhSecret, profileKey] = [0, 1, 2, 3].map(() => random.bytes(32)) as Seeds;
  const said: Certificate = {
    account,
    device: FIRST_DEVICE,
    accountKey: ed25519Public(accountSeed),
    signingKey: ed25519Public(signingSeed),
    dhKey: x25519Base(dhSecret),
    createdAt: now,
  };
  const certificateBytes = makeCertificate(said, { account: accountSeed, signing: signingSeed });
  const devices = [{ device: said.device, certificateHash: certificateHash(certificateBytes) }];
  const signing = new Secret(signingSeed);
  return {
    certificate: said,
    certificateBytes,
    list: makeDeviceList(
      { account, version: 1, previousHash: new Uint8Array(32), issuedAt: now, devices },
      accountSeed,
    ),
    accountSeed: new Secret(accountSeed),
    signingSeed: signing,
    dhSecret: new Secret(dhSecret),
    profileKey: new Secret(profileKey),
    sealing: [makeSealingKey(said, signing, random, now)],
  };
}
type Seeds = [Uint8Array, Uint8Array, Uint8Array, Uint8Array];

/** The device's own address. */
export function addressOfIdentity({ certificate }: Identity): DeviceAddress {
  return addressOf(certificate.account, certificate.device);
}

export function publicIdentity(identity: Identity): PublicIdentity {
  const { certificate, certificateBytes, list: own } = identity;
  return {
    account: certificate.account,
    device: certificate.device,
    accountKey: certificate.accountKey,
    signingKey: certificate.signingKey,
    certificate: certificateBytes,
    deviceList: own.bytes,
    listVersion: own.version,
    listHash: own.hash,
    accessKeyHash: accessKeyHash(accessKey(identity)),
  };
}

/** The key (16 bytes) that lets contacts send to this account and fetch its prekeys: HKDF(profile key, P/delivery). */
export function accessKey(identity: Identity): Uint8Array {
  return accessKeyOf(identity.profileKey.reveal());
}

/** The access key that belongs to a profile key of 32 bytes, one's own or a contact's. */
export function accessKeyOf(profileKey: Uint8Array): Uint8Array {
  if (profileKey.length !== PROFILE_KEY_BYTES) throw new RangeError(); // a profile key is 32 bytes
  const from = { salt: new Uint8Array(0), ikm: [profileKey], info: [LABELS.accessKey] };
  return hkdfSha512({ ...from, length: ACCESS_KEY_BYTES });
}

/** What the relay keeps of an access key: BLAKE2b-256, 32 bytes. */
export function accessKeyHash(key: Uint8Array): Uint8Array {
  return blake2b(32, key);
}

/** A new profile key: ends what holders of the old one may do. The caller gives it to the contacts that remain. */
export function replaceProfileKey(identity: Identity, random: Random): Identity {
  return { ...identity, profileKey: new Secret(random.bytes(PROFILE_KEY_BYTES)) };
}

/** DS over label, one byte 0 and the tuple (`signedBytes` of the protocol): 64 bytes, Ed25519. */
export function signAsDevice(
  identity: Identity,
  purpose: keyof typeof SIGNATURE_LABELS,
  tuple: Uint8Array,
): Uint8Array {
  return ed25519Sign(identity.signingSeed.reveal(), signedBytes(purpose, tuple));
}

/** AK over the same bytes. @throws Error on a linked device, which does not hold the account key. */
export function signAsAccount(
  identity: Identity,
  purpose: keyof typeof SIGNATURE_LABELS,
  tuple: Uint8Array,
): Uint8Array {
  return ed25519Sign(accountSeedOf(identity), signedBytes(purpose, tuple));
}

/** The seed of AK. @throws Error on a linked device */
export function accountSeedOf(identity: Identity): Uint8Array {
  if (identity.accountSeed === undefined) throw new Error("only the primary device holds the account key");
  return identity.accountSeed.reveal();
}

/** The sealing key that peers are told. */
export function currentSealing(identity: Identity): SealingKey {
  return identity.sealing[identity.sealing.length - 1] as SealingKey;
}

/**
 * What is due by the clock: a new sealing key every 7 days, private halves past their end destroyed, the device list
 * issued again every 14 days by the primary device. The same object where nothing was due.
 */
export function maintainIdentity(
  identity: Identity,
  { random, now }: { readonly random: Random; readonly now: Time },
): Identity {
  let sealing = identity.sealing.filter((key) => now < sealingDestroyAt(key.record));
  const newest = sealing[sealing.length - 1];
  if (newest === undefined || now >= newest.record.createdAt + SEALING_ROTATE_MS) {
    const next = makeSealingKey(identity.certificate, identity.signingSeed, random, now);
    sealing = [...sealing, next].slice(-MAX_SEALING_KEYS);
  }
  const sealingChanged = sealing.length !== identity.sealing.length || sealing.at(-1) !== newest;
  const listDue = identity.accountSeed !== undefined && now >= identity.list.issuedAt + LIST_RENEW_MS;
  if (!sealingChanged && !listDue) return identity;
  return { ...identity, sealing, list: listDue ? issueAgain(identity, now) : identity.list };
}

/** A new sealing key before its time: after a restore, peers may know a newer one than the store has. */
export function renewSealing(
  identity: Identity,
  { random, now }: { readonly random: Random; readonly now: Time },
): Identity {
  const next = makeSealingKey(identity.certificate, identity.signingSeed, random, now);
  return { ...identity, sealing: [...identity.sealing, next].slice(-MAX_SEALING_KEYS) };
}

/**
 * One's own device list as the relay has published it, where it is newer than the one held, or another of its version
 * that was never published: a store that was restored goes on from it. The same object where there is nothing to take.
 */
export function adoptList(identity: Identity, published: Uint8Array): Identity {
  const { certificate, certificateBytes, list: own } = identity;
  const found = total(() => verifyDeviceList(published, certificate.accountKey));
  if (found === undefined || found.account !== certificate.account || equal(found.hash, own.hash))
    return identity;
  const isOurs = lists(found, certificate.device, certificateHash(certificateBytes));
  return isOurs && found.version >= own.version ? { ...identity, list: found } : identity;
}

function issueAgain(identity: Identity, now: Time): DeviceList {
  const accountSeed = accountSeedOf(identity);
  return succeed(identity.list, identity.list.devices, { accountSeed, now });
}

/** `own-device`: the primary device cannot remove itself. `not-listed`: the list has no such device. */
export type RemovingRefusal = "own-device" | "not-listed";
export type Removed =
  | { readonly code: "ok"; readonly identity: Identity }
  | { readonly code: RemovingRefusal };

/** The account without one of its linked devices: a new version of its list, to be published. @throws Error on a linked device */
export function removeDevice(identity: Identity, device: DeviceNumber, now: Time): Removed {
  const accountSeed = accountSeedOf(identity);
  if (device === identity.certificate.device) return { code: "own-device" };
  const rest = identity.list.devices.filter((entry) => entry.device !== device);
  if (rest.length === identity.list.devices.length) return { code: "not-listed" };
  return { code: "ok", identity: { ...identity, list: succeed(identity.list, rest, { accountSeed, now }) } };
}

const stored = struct({
  format: formatByte(1),
  certificate: blob(MAX_CERTIFICATE_BYTES),
  list: blob(MAX_DEVICE_LIST_BYTES),
  accountSeed: optional(secret(32)),
  signingSeed: secret(32),
  dhSecret: secret(32),
  profileKey: secret(PROFILE_KEY_BYTES),
  sealing: list(sealingKey, MAX_SEALING_KEYS, 1),
});

/** The identity as bytes, secrets included: what the client's store keeps, encrypted. */
export function encodeIdentity(identity: Identity): Uint8Array {
  return encode(
    stored,
    {
      ...identity,
      format: undefined,
      certificate: identity.certificateBytes,
      list: identity.list.bytes,
      sealing: [...identity.sealing],
    },
    8_192,
  );
}

/** @throws MalformedError also where the secrets do not belong to the certificate. */
export function decodeIdentity(bytes: Uint8Array): Identity {
  const { format: _, certificate: certificateBytes, list: listBytes, ...rest } = decodeAll(stored, bytes);
  const certificate = parseCertificate(certificateBytes);
  const own = parseDeviceList(listBytes);
  const { accountSeed, signingSeed, dhSecret } = rest;
  const belongs =
    equal(ed25519Public(signingSeed.reveal()), certificate.signingKey) &&
    equal(x25519Base(dhSecret.reveal()), certificate.dhKey) &&
    (accountSeed === undefined || equal(ed25519Public(accountSeed.reveal()), certificate.accountKey)) &&
    own.account === certificate.account &&
    lists(own, certificate.device, certificateHash(certificateBytes));
  if (!belongs) throw new MalformedError(); // an identity whose parts do not belong together
  return { certificate, certificateBytes, list: own, ...rest };
}
