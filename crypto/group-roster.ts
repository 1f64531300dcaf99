// Who may hold a group's keys: the devices in the newest lists of the accounts whose keys the state names. Always true: nobody
// enters by what a relay says; and `rotationDue` tells, from what is known alone, when a sender needs a new chain.
import { type AccountId, addressOf, type DeviceAddress, type DeviceNumber, type Time } from "@lethe/protocol";
import { isCurrent } from "./device-list.ts";
import type { SendingChain } from "./group-chain.ts";
import { accountFingerprint, type GroupState, memberAt } from "./group-state.ts";
import type { GroupView } from "./group-view.ts";
import type { Identity } from "./identity.ts";
import { ROTATE_AFTER_MESSAGES, ROTATE_AFTER_MS } from "./limits.ts";
import type { PinnedAccount } from "./peer.ts";
import { equal } from "./primitives.ts";

export interface GroupRoster {
  /** Hash of the state whose members they are. */
  readonly stateHash: Uint8Array;
  /** Devices that are sent to, one's own account's included. */
  readonly devices: ReadonlySet<DeviceAddress>;
  /** Those, and the devices of accounts whose lists are too old to send by: messages of all of them are taken. */
  readonly listed: ReadonlySet<DeviceAddress>;
  /** Members of whom no list is known, or under whose id another account key is: nothing is sent to them. */
  readonly missing: readonly AccountId[];
}

/** `accounts`: what is pinned of each, one's own account included. */
export function rosterOf(
  state: GroupState,
  accounts: ReadonlyMap<AccountId, PinnedAccount>,
  now: Time,
): GroupRoster {
  const devices = new Set<DeviceAddress>();
  const listed = new Set<DeviceAddress>();
  const missing: AccountId[] = [];
  for (const { account, fingerprint } of state.members) {
    const known = accounts.get(account);
    if (known === undefined || !isAccount(known, account, fingerprint)) {
      missing.push(account);
      continue;
    }
    for (const { device } of known.list.devices) {
      listed.add(addressOf(account, device));
      if (isCurrent(known.list, now)) devices.add(addressOf(account, device));
    }
  }
  return { stateHash: state.hash, devices, listed, missing };
}

/** Of account keys that are pinned: a roster is made for every envelope, and their hashes would be nearly all its cost. */
const fingerprints = new WeakMap<Uint8Array, Uint8Array>();

function fingerprintOf(accountKey: Uint8Array): Uint8Array {
  const known = fingerprints.get(accountKey) ?? accountFingerprint(accountKey);
  fingerprints.set(accountKey, known);
  return known;
}

function isAccount(
  { accountKey, list }: PinnedAccount,
  account: AccountId,
  fingerprint: Uint8Array,
): boolean {
  return list.account === account && equal(fingerprintOf(accountKey), fingerprint);
}

/** @throws RangeError where a roster is of another state than the view's: keys would go to who has left. */
export function checkRoster({ state }: GroupView, { stateHash }: GroupRoster): void {
  if (!equal(state.hash, stateHash)) throw new RangeError(); // a roster of another state
}

/** The device numbers of one's own account, in order. */
export function ownDevicesOf({ list }: Identity): readonly DeviceNumber[] {
  return list.devices.map(({ device }) => device);
}

/** Why a sender makes a new chain before its next message. */
export type RotationReason =
  | "no-chain"
  | "member-removed"
  | "device-removed"
  | "own-devices-changed"
  /** The chain was made in a state that lost against another successor of the one before. */
  | "state-lost"
  | "messages"
  | "age";

export interface Rotating {
  readonly identity: Identity;
  readonly view: GroupView;
  readonly roster: GroupRoster;
  /** Undefined where there is none yet. */
  readonly chain: SendingChain | undefined;
  /** Devices that were given the chain. */
  readonly holders: ReadonlySet<DeviceAddress>;
  readonly now: Time;
}

/** Undefined where the chain may go on. Who is added is no reason: a newcomer gets the chain's position of the day. */
export function rotationDue({
  identity,
  view,
  roster,
  chain,
  holders,
  now,
}: Rotating): RotationReason | undefined {
  checkRoster(view, roster);
  if (chain === undefined) return "no-chain";
  if (chain.madeIn.epoch < view.removedAt) return "member-removed";
  for (const device of holders)
    if (!roster.devices.has(device))
      return memberAt(view.state, device) === undefined ? "member-removed" : "device-removed";
  const own = ownDevicesOf(identity);
  if (own.length !== chain.ownDevices.length || own.some((device, i) => device !== chain.ownDevices[i]))
    return "own-devices-changed";
  if (hasLost(view, chain)) return "state-lost";
  if (chain.next >= ROTATE_AFTER_MESSAGES) return "messages";
  return now >= chain.createdAt + ROTATE_AFTER_MS ? "age" : undefined;
}

function hasLost({ past }: GroupView, { madeIn }: SendingChain): boolean {
  return past.some(({ how, hash }) => how === "lost" && equal(hash, madeIn.hash));
}

/** Devices that need to be told the chain before a message goes out. */
export function untold({ devices }: GroupRoster, holders: ReadonlySet<DeviceAddress>): DeviceAddress[] {
  return [...devices].filter((device) => !holders.has(device));
}
