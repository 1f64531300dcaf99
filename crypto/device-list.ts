// The signed list of an account's devices. Versions only go up, each names the hash of the one before, and a list may be
// used for sending for 35 days after it was issued. Whoever holds version n refuses any lower one and any other n.
import {
  type AccountId,
  accountId,
  type DeviceNumber,
  decodeAll,
  deviceNumber,
  list,
  MAX_DEVICE_LIST_BYTES,
  MAX_DEVICES,
  MalformedError,
  struct,
  type Time,
  time,
  u32,
  joined,
} from "@lethe/protocol";
import { LABELS } from "./labels.ts";
import { encode, formatByte, octets } from "./layout.ts";
import { LIST_LIFETIME_MS } from "./limits.ts";
import { blake2b, ed25519Sign, ed25519Verify, equal, SIGNATURE_BYTES } from "./primitives.ts";

/** One device of a list. */
export interface ListedDevice {
  readonly device: DeviceNumber;
  /** BLAKE2b-256 of its certificate. */
  readonly certificateHash: Uint8Array;
}

/** What the account key signs. */
export interface DeviceListBody {
  readonly account: AccountId;
  /** 1 or more. */
  readonly version: number;
  /** Hash of the version before, 32 bytes 0 for the first. */
  readonly previousHash: Uint8Array;
  readonly issuedAt: Time;
  /** In ascending order of device numbers, at least one. */
  readonly devices: readonly ListedDevice[];
}

/** A device list with its bytes and their hash (BLAKE2b-256). */
export interface DeviceList extends DeviceListBody {
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
}

const body = struct({
  format: formatByte(1),
  account: accountId,
  version: u32,
  previousHash: octets(32),
  issuedAt: time,
  devices: list(struct({ device: deviceNumber, certificateHash: octets(32) }), MAX_DEVICES, 1),
});

/** A new list, signed with the account key's seed. */
export function makeDeviceList(said: DeviceListBody, accountSeed: Uint8Array): DeviceList {
  const front = encode(body, { format: undefined, ...said, devices: [...said.devices] });
  return parseDeviceList(joined(front, ed25519Sign(accountSeed, LABELS.signDeviceList, front)));
}

/** What a list says, without verifying it: for bytes from one's own store. @throws MalformedError */
export function parseDeviceList(bytes: Uint8Array): DeviceList {
  if (bytes.length <= SIGNATURE_BYTES || bytes.length > MAX_DEVICE_LIST_BYTES)
    throw new MalformedError("not a device list");
  const { format: _, ...said } = decodeAll(body, bytes.subarray(0, -SIGNATURE_BYTES));
  if (said.version === 0) throw new MalformedError("list versions start at 1");
  said.devices.forEach((entry, i) => {
    if (i > 0 && entry.device <= (said.devices[i - 1] as ListedDevice).device)
      throw new MalformedError("devices out of order");
    if (said.devices.slice(0, i).some((other) => equal(other.certificateHash, entry.certificateHash)))
      throw new MalformedError("one certificate under two numbers");
  });
  return { ...said, bytes: bytes.slice(), hash: blake2b(32, bytes) };
}

/** What a list says, undefined where the account key did not sign it. @throws MalformedError */
export function verifyDeviceList(bytes: Uint8Array, accountKey: Uint8Array): DeviceList | undefined {
  const found = parseDeviceList(bytes);
  const split = bytes.length - SIGNATURE_BYTES;
  const front = bytes.subarray(0, split);
  return ed25519Verify(accountKey, bytes.subarray(split), LABELS.signDeviceList, front) ? found : undefined;
}

/** Whether the list names this device with this certificate. */
export function lists(found: DeviceListBody, device: DeviceNumber, certificateHash: Uint8Array): boolean {
  return found.devices.some(
    (entry) => entry.device === device && equal(entry.certificateHash, certificateHash),
  );
}

/** How a list stands to the one that is known: the refusal codes are those of `verifyPeer`. */
export type Succession = "same" | "newer" | "list-rolled-back" | "list-forked";

export function succession(known: DeviceList, next: DeviceList): Succession {
  if (next.version < known.version) return "list-rolled-back";
  if (next.version === known.version) return equal(next.hash, known.hash) ? "same" : "list-forked";
  const linked = next.version > known.version + 1 || equal(next.previousHash, known.hash);
  return linked && !reusesNumber(known, next) ? "newer" : "list-forked";
}

/** A number is never used again: under another certificate it is none of that account's honest lists. */
function reusesNumber(known: DeviceListBody, next: DeviceListBody): boolean {
  return next.devices.some(
    ({ device, certificateHash }) => names(known, device) && !lists(known, device, certificateHash),
  );
}

function names(found: DeviceListBody, device: DeviceNumber): boolean {
  return found.devices.some((entry) => entry.device === device);
}

/** Which devices came and which went between two lists of an account, in ascending order. */
export interface ListChange {
  readonly added: readonly DeviceNumber[];
  /** Nothing is sent to these any more: their ratchets are dropped. */
  readonly removed: readonly DeviceNumber[];
}

/** What a newer list changes; at first sight, without a list before, all its devices are added. */
export function listChange(known: DeviceListBody | undefined, next: DeviceListBody): ListChange {
  return changeFrom(
    (known?.devices ?? []).map(({ device }) => device),
    next,
  );
}

/** The same against devices that are known by whatever list, in ascending order. */
export function changeFrom(before: readonly DeviceNumber[], next: DeviceListBody): ListChange {
  const after = next.devices.map(({ device }) => device);
  return {
    added: after.filter((device) => !before.includes(device)),
    removed: before.filter((device) => !after.includes(device)),
  };
}

/** What signs the version after. */
export interface IssuingList {
  readonly accountSeed: Uint8Array;
  readonly now: Time;
}

/** The next version, chained to the one before. */
export function succeed(
  known: DeviceList,
  devices: readonly ListedDevice[],
  { accountSeed, now }: IssuingList,
): DeviceList {
  const { account, version, hash } = known;
  const next = { account, version: version + 1, previousHash: hash, issuedAt: now, devices };
  return makeDeviceList(next, accountSeed);
}

/** `device-number-used`: not above every number of the list. `too-many-devices`: the list has 16. */
export type AddingRefusal = "device-number-used" | "too-many-devices";

/** Why a device of this number cannot be added; undefined where it can. The caller knows the numbers of removed ones. */
export function refuseAdding(known: DeviceListBody, device: DeviceNumber): AddingRefusal | undefined {
  if (known.devices.some((entry) => entry.device >= device)) return "device-number-used";
  return known.devices.length >= MAX_DEVICES ? "too-many-devices" : undefined;
}

/** Whether a list may still be used to send to. */
export function isCurrent(found: DeviceListBody, now: Time): boolean {
  return now < found.issuedAt + LIST_LIFETIME_MS;
}
