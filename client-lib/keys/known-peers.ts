// The devices of other accounts, and the other devices of one's own, as they were verified. Always true: an account's key
// is pinned at first sight and never replaced, where a contact link has named one it is that one, and one's own is the
// identity's; a device that the newest list does not name is not kept, and one's own list is the identity's.
import {
  accountOf,
  addressOf,
  type AccountId,
  type DeviceAddress,
  type FrameOf,
  type Time,
} from "@lethe/protocol";
import {
  accountFingerprint,
  addressOfIdentity,
  encodePeer,
  equal,
  type PeerDevice,
  type PinnedAccount,
  verifyPeer,
} from "@lethe/crypto";
import type { Write } from "../delivery/events.ts";
import { type KeyState, putKey, removeKey } from "./key-rows.ts";

type Listed =
  | { readonly code: "ok"; readonly writes: readonly Write[]; readonly gone: readonly DeviceAddress[] }
  | { readonly code: string & {}; readonly writes?: undefined };

export class KnownPeers {
  readonly #keys: Pick<KeyState, "identity" | "peers" | "linked">;
  /** Counts what becomes known or is forgotten, for whoever keeps what follows from it. */
  changes = 0;
  readonly #devices = new Map<AccountId, Set<DeviceAddress>>();

  constructor(keys: Pick<KeyState, "identity" | "peers" | "linked">) {
    this.#keys = keys;
    for (const address of keys.peers.keys()) this.#index(address);
  }

  #index(address: DeviceAddress): void {
    const account = accountOf(address);
    const known = this.#devices.get(account) ?? new Set();
    this.#devices.set(account, known.add(address));
  }

  of(address: DeviceAddress): PeerDevice | undefined {
    return this.#keys.peers.get(address);
  }

  isOwn(account: AccountId): boolean {
    return account === this.#keys.identity.certificate.account;
  }

  /** The account key, with the newest list: of one's own account it is the identity's. */
  pinned(account: AccountId): PinnedAccount | undefined {
    const { certificate, list } = this.#keys.identity;
    if (this.isOwn(account)) return { accountKey: certificate.accountKey, list };
    let newest: PeerDevice | undefined;
    for (const address of this.#devices.get(account) ?? []) {
      const peer = this.#keys.peers.get(address);
      if (peer !== undefined && (newest === undefined || peer.list.version > newest.list.version))
        newest = peer;
    }
    return newest;
  }

  /** False: a contact link has promised another account key than this device's. */
  isExpected({ address, accountKey }: PeerDevice): boolean {
    const linked = this.#keys.linked.get(accountOf(address));
    return linked === undefined || equal(linked.fingerprint, accountFingerprint(accountKey));
  }

  keep(peer: PeerDevice): Write[] {
    if (this.#keys.peers.get(peer.address) === peer) return [];
    this.changes += 1;
    this.#keys.peers.set(peer.address, peer);
    this.#index(peer.address);
    return [putKey("peer", peer.address, encodePeer(peer))];
  }

  /** The devices of an account that mail is for: those of its newest list, except this one. */
  listed(account: AccountId): DeviceAddress[] {
    const self = addressOfIdentity(this.#keys.identity);
    const listed = this.pinned(account)?.list.devices.map(({ device }) => addressOf(account, device)) ?? [];
    return listed.filter((address) => address !== self);
  }

  /**
   * Takes the certificates of one's own other devices, by the list that the identity holds by now: the relay's may be an
   * older one. `gone`: devices that it names no more.
   */
  learnOwn(certificates: readonly Uint8Array[], now: Time): { writes: Write[]; gone: DeviceAddress[] } {
    const { identity, peers } = this.#keys;
    const { account } = identity.certificate;
    const listed = this.listed(account);
    const [deviceList, pinned] = [identity.list.bytes, this.pinned(account)];
    const writes: Write[] = [];
    for (const certificate of certificates) {
      const found = verifyPeer({ identity, certificate, deviceList, pinned, address: undefined, now });
      if (found.code !== "ok" || !listed.includes(found.peer.address)) continue;
      writes.push(...this.keep({ ...found.peer, sealing: peers.get(found.peer.address)?.sealing }));
    }
    const { gone, writes: forgotten } = this.dropUnlisted(account);
    return { writes: [...writes, ...forgotten], gone };
  }

  /** Takes an account's list and certificates, all of them or none. `gone`: devices that it names no more. */
  learn(account: AccountId, answer: FrameOf<"has-devices">, now: Time): Listed {
    const { identity, peers } = this.#keys;
    const learned: PeerDevice[] = [];
    for (const certificate of answer.certificates) {
      const pinned = learned[0] ?? this.pinned(account);
      const { deviceList } = answer;
      const found = verifyPeer({ identity, certificate, deviceList, pinned, address: undefined, now });
      if (found.code !== "ok") return { code: found.code };
      if (accountOf(found.peer.address) !== account) return { code: "wrong-account" };
      if (!this.isExpected(found.peer)) return { code: "account-key-changed" };
      learned.push({ ...found.peer, sealing: peers.get(found.peer.address)?.sealing });
    }
    const list = learned[0]?.list;
    const complete = list?.devices.every(({ device }) =>
      learned.some(({ address }) => address === addressOf(account, device)),
    );
    if (complete !== true) return { code: "device-not-listed" };
    const writes = learned.flatMap((peer) => this.keep(peer));
    const { gone, writes: forgotten } = this.dropUnlisted(account);
    return { code: "ok", writes: [...writes, ...forgotten], gone };
  }

  /** Forgets the devices that the account's newest list does not name. */
  dropUnlisted(account: AccountId): { gone: DeviceAddress[]; writes: Write[] } {
    const listed = this.listed(account);
    const gone = [...(this.#devices.get(account) ?? [])].filter((address) => !listed.includes(address));
    return { gone, writes: gone.map((address) => this.#forget(address)) };
  }

  #forget(address: DeviceAddress): Write {
    this.changes += 1;
    this.#keys.peers.delete(address);
    this.#devices.get(accountOf(address))?.delete(address);
    return removeKey("peer", address);
  }
}
