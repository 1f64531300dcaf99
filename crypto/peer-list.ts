// A newer device list of an account that is known already: whether it is believed, which devices came and went, and the
// peers that are left under it. Always true: a removed device is not among `peers`, so nothing is encrypted for it.
import { deviceOf, type DeviceNumber, type Time } from "@lethe/protocol";
import {
  changeFrom,
  type DeviceList,
  isCurrent,
  type ListChange,
  succession,
  verifyDeviceList,
} from "./device-list.ts";
import { total } from "./layout.ts";
import { isListed, type PeerDevice, type PeerRefusal } from "./peer.ts";

export interface FollowingList {
  /** Every device of the account that is known, at least one: their account key is the pinned one. */
  readonly known: readonly [PeerDevice, ...PeerDevice[]];
  readonly deviceList: Uint8Array;
  readonly now: Time;
}

export type FollowedList =
  | {
      readonly code: "ok";
      readonly list: DeviceList;
      /** `added`: their certificates are to be fetched. `removed`: what is kept of them is dropped at once. */
      readonly change: ListChange;
      /** The devices known that are still listed, each under the list given. */
      readonly peers: readonly PeerDevice[];
    }
  | { readonly code: Exclude<PeerRefusal, "account-key-changed" | "device-not-listed" | "bad-key"> };

/** Verifies a list against all that is known of its account, for sending by it. */
export function followList({ known, deviceList, now }: FollowingList): FollowedList {
  const list = total(() => verifyDeviceList(deviceList, known[0].accountKey) ?? "bad-signature");
  if (list === undefined) return { code: "malformed" };
  if (list === "bad-signature") return { code: list };
  if (list.account !== known[0].certificate.account) return { code: "wrong-account" };
  for (const peer of known) {
    const how = succession(peer.list, list);
    if (how !== "same" && how !== "newer") return { code: how };
  }
  if (!isCurrent(list, now)) return { code: "list-expired" };
  const peers = known.filter((peer) => isListed(peer, list)).map((peer) => ({ ...peer, list }));
  return { code: "ok", list, change: changeFor(known, list), peers };
}

/** Against every list that a device of the account is kept under: one may have heard of a change and another not. */
function changeFor(known: readonly PeerDevice[], list: DeviceList): ListChange {
  const before = new Set<DeviceNumber>();
  for (const peer of known) {
    before.add(deviceOf(peer.address));
    for (const { device } of peer.list.devices) before.add(device);
  }
  return changeFrom(
    [...before].toSorted((a, b) => a - b),
    list,
  );
}
