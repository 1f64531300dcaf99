// The core's `Cipher` on the real cryptography: which ratchet, which peer, which rows.
// Always true: every change of a key in memory stands in the writes that are given back; nothing changes where an
// envelope did not open; an account's key is pinned at first sight and never replaced here.
import {
  accountOf,
  addressOf,
  type AccountId,
  type DeviceAddress,
  encode,
  type FrameOf,
  proofTuple,
  type Time,
} from "@lethe/protocol";
import {
  accessKey,
  addressOfIdentity,
  encodePeer,
  encodeRatchet,
  encrypt,
  isCurrent,
  isRenewalDue,
  open,
  type Opened,
  type OpenedWithoutContent,
  OUTCOMES,
  type PeerDevice,
  type Random,
  type Ratchet,
  signAsDevice,
  startRatchet,
  unseal,
  type UnsealedEnvelope,
  verifyBundle,
  verifyPeer,
} from "@lethe/crypto";
import { readContent, writeContent } from "../content/content.ts";
import type {
  Cipher,
  CipherOutcome,
  Learned,
  OpenRequest,
  PeerState,
  Proof,
  Sealed,
  SealRequest,
  Write,
} from "../delivery/events.ts";
import {
  type KeyState,
  MAX_ARCHIVED,
  putKey,
  putOrder,
  putTime,
  type Ratchets,
  removeKey,
  removePrekey,
} from "./key-rows.ts";

export interface PairwiseConfig {
  readonly keys: KeyState;
  readonly random: Random;
  /** The name that contacts are told. */
  readonly name: string;
  /** The relay's name as pinned at registration: proofs are signed for it, whatever the relay says of itself. */
  readonly relay: string;
  /** The sender has shown us another list of our devices or of its own than we hold. */
  readonly alarm: (code: "list-forked", about: AccountId) => void;
}

type Committed = Opened | OpenedWithoutContent;

export class PairwiseCipher implements Cipher {
  readonly #config: PairwiseConfig;
  readonly #keys: KeyState;
  readonly #devices = new Map<AccountId, Set<DeviceAddress>>();
  /** Accounts that named a newer list than the one we hold. */
  readonly #outdated = new Set<AccountId>();

  constructor(config: PairwiseConfig) {
    this.#config = config;
    this.#keys = config.keys;
    for (const address of this.#keys.peers.keys()) this.#index(address);
  }

  #index(address: DeviceAddress): void {
    const account = accountOf(address);
    const known = this.#devices.get(account) ?? new Set();
    this.#devices.set(account, known.add(address));
  }

  #pinned(account: AccountId): PeerDevice | undefined {
    let newest: PeerDevice | undefined;
    for (const address of this.#devices.get(account) ?? []) {
      const peer = this.#keys.peers.get(address);
      if (peer !== undefined && (newest === undefined || peer.list.version > newest.list.version))
        newest = peer;
    }
    return newest;
  }

  peer(account: AccountId, now: Time): PeerState | undefined {
    const pinned = this.#pinned(account);
    if (pinned === undefined || this.#outdated.has(account) || !isCurrent(pinned.list, now)) return undefined;
    const devices = [];
    for (const { device } of pinned.list.devices) {
      const peer = this.#keys.peers.get(addressOf(account, device));
      if (peer === undefined) return undefined;
      devices.push({ device, ready: this.#isReady(peer, now) });
    }
    return { listVersion: pinned.list.version, devices };
  }

  #isReady(peer: PeerDevice, now: Time): boolean {
    const ratchets = this.#keys.ratchets.get(peer.address);
    const ratchet = ratchets?.sending === true ? ratchets.all[0] : undefined;
    if (ratchet === undefined || isRenewalDue(ratchet, now)) return false;
    return peer.sealing !== undefined && now < peer.sealing.expiresAt;
  }

  learnDevices(account: AccountId, answer: FrameOf<"has-devices">, now: Time): Learned {
    const { identity, peers } = this.#keys;
    const learned: PeerDevice[] = [];
    for (const certificate of answer.certificates) {
      const pinned = learned[0] ?? this.#pinned(account);
      const { deviceList } = answer;
      const found = verifyPeer({ identity, certificate, deviceList, pinned, address: undefined, now });
      if (found.code !== "ok") return { code: found.code };
      if (accountOf(found.peer.address) !== account) return { code: "wrong-account" };
      learned.push({ ...found.peer, sealing: peers.get(found.peer.address)?.sealing });
    }
    const list = learned[0]?.list;
    const complete = list?.devices.every(({ device }) =>
      learned.some(({ address }) => address === addressOf(account, device)),
    );
    if (complete !== true) return { code: "device-not-listed" };
    this.#outdated.delete(account);
    return {
      code: "ok",
      writes: [...learned.map((peer) => this.#keepPeer(peer)), ...this.#dropUnlisted(account)],
    };
  }

  /** Devices that the newest list has no more: nothing is kept for them. */
  #dropUnlisted(account: AccountId): Write[] {
    const writes: Write[] = [];
    const listed = this.#pinned(account)?.list.devices.map(({ device }) => addressOf(account, device)) ?? [];
    for (const address of this.#devices.get(account) ?? []) {
      if (listed.includes(address)) continue;
      this.#keys.peers.delete(address);
      this.#devices.get(account)?.delete(address);
      writes.push(removeKey("peer", address), ...this.#setRatchets(address, undefined));
    }
    return writes;
  }

  #keepPeer(peer: PeerDevice): Write {
    this.#keys.peers.set(peer.address, peer);
    this.#index(peer.address);
    return putKey("peer", peer.address, encodePeer(peer));
  }

  learnPrekeys(address: DeviceAddress, answer: FrameOf<"has-prekeys">, now: Time): Learned {
    const { identity, peers } = this.#keys;
    const peer = peers.get(address);
    if (peer === undefined) return { code: "device-not-listed" };
    const checked = verifyBundle({ peer, bundle: answer, now });
    if (checked.code !== "ok") return { code: checked.code };
    const started = startRatchet({ identity, bundle: checked.bundle, random: this.#config.random, now });
    if (started.code !== "ok") return { code: started.code };
    const { ratchet } = started;
    const kept = this.#keys.ratchets.get(address)?.all ?? [];
    return {
      code: "ok",
      writes: [
        this.#keepPeer(checked.peer),
        putKey("ratchet", address + ratchet.id, encodeRatchet(ratchet)),
        ...this.#setRatchets(address, { sending: true, all: [ratchet, ...kept] }),
      ],
    };
  }

  /** Puts the ratchets of a device in this order; what is over the cap, or left out, is destroyed. */
  #setRatchets(address: DeviceAddress, next: Ratchets | undefined): Write[] {
    const before = this.#keys.ratchets.get(address)?.all ?? [];
    const all = next?.all.slice(0, MAX_ARCHIVED + 1) ?? [];
    const writes = before
      .filter(({ id }) => !all.some((kept) => kept.id === id))
      .map(({ id }) => removeKey("ratchet", address + id));
    if (next === undefined) {
      this.#keys.ratchets.delete(address);
      return [...writes, removeKey("ratchet-order", address)];
    }
    const kept = { sending: next.sending, all };
    this.#keys.ratchets.set(address, kept);
    return [...writes, putOrder(address, kept)];
  }

  seal(request: SealRequest): Sealed {
    const { identity, peers, ratchets } = this.#keys;
    const peer = peers.get(request.to);
    const known = ratchets.get(request.to);
    const ratchet = known?.sending === true ? known.all[0] : undefined;
    if (peer === undefined || ratchet === undefined) return { code: "not-sealable" };
    const sealed = encrypt({
      identity,
      peer,
      ratchet,
      plaintext: writeContent(request, { accessKey: accessKey(identity), name: this.#config.name }),
      content: request.content.kind === "message" ? "lasting" : "passing",
      envelope: request.id,
      random: this.#config.random,
      now: request.now,
    });
    if (sealed.code !== "ok") return { code: sealed.code };
    return { code: "ok", ciphertext: sealed.ciphertext, writes: [this.#replace(sealed.ratchet)] };
  }

  /** The ratchet of the same id, one step further. Its place among the others stays. */
  #replace(ratchet: Ratchet): Write {
    const known = this.#keys.ratchets.get(ratchet.peer);
    if (known !== undefined)
      this.#keys.ratchets.set(ratchet.peer, {
        ...known,
        all: known.all.map((kept) => (kept.id === ratchet.id ? ratchet : kept)),
      });
    return putKey("ratchet", ratchet.peer + ratchet.id, encodeRatchet(ratchet));
  }

  open({ id, kind, ciphertext, now }: OpenRequest): CipherOutcome {
    if (kind === "group") return { outcome: "poison", code: "unknown-kind", writes: [] };
    const { identity, peers, ratchets, prekeys, replay } = this.#keys;
    const unsealed = unseal({ identity, ciphertext, envelope: id, now });
    if (unsealed.code !== "ok") return { outcome: "poison", code: unsealed.code, writes: [] };
    const { envelope } = unsealed;
    const outcome = open({
      identity,
      envelope,
      peer: peers.get(envelope.sender),
      pinned: this.#pinned(accountOf(envelope.sender)),
      ratchets: ratchets.get(envelope.sender)?.all ?? [],
      prekeys:
        envelope.first?.prekeys.map((key) => prekeys.get(key)).filter((key) => key !== undefined) ?? [],
      replayed: envelope.first !== undefined && replay.has(envelope.first.replayTag),
      now,
    });
    if (outcome.code !== "ok" && outcome.code !== "malformed-content")
      return OUTCOMES[outcome.code].inbox === "silent"
        ? { outcome: "duplicate" }
        : { outcome: "poison", code: outcome.code, writes: [] };
    return this.#opened(envelope, outcome);
  }

  #opened({ sender }: UnsealedEnvelope, opened: Committed): CipherOutcome {
    const writes = this.#commit(sender, opened);
    const read = opened.code === "ok" ? readContent(opened.plaintext) : undefined;
    if (read === undefined) return { outcome: "poison", code: "malformed-content", writes };
    return { outcome: "ok", from: sender, ...read, writes };
  }

  /** Everything that an opened envelope proves, kept. */
  #commit(sender: DeviceAddress, opened: Committed): Write[] {
    const { ratchet, peer, consumed, replayTag, isNew } = opened;
    const writes = this.#keys.peers.get(sender) === peer ? [] : [this.#keepPeer(peer)];
    if (isNew) writes.push(...this.#addRatchet(ratchet));
    writes.push(this.#replace(ratchet));
    for (const id of consumed) {
      this.#keys.prekeys.delete(id);
      this.#keys.pending.delete(id);
      this.#keys.unlisted.delete(id);
      writes.push(...removePrekey(id));
    }
    if (replayTag !== undefined) {
      this.#keys.replay.set(replayTag.tag, replayTag.until);
      writes.push(putTime("replay", replayTag.tag, replayTag.until));
    }
    const account = accountOf(sender);
    if (opened.theirList === "newer") this.#outdated.add(account);
    if (opened.theirList === "forked" || opened.ourList === "forked")
      this.#config.alarm("list-forked", account);
    return writes;
  }

  /**
   * A ratchet that the peer has begun. While our own is unconfirmed both sides have begun one, and both use the one
   * with the lower id; otherwise the peer's newer one wins (crypto.md 1.7).
   */
  #addRatchet(fresh: Ratchet): Write[] {
    const { sending, all } = this.#keys.ratchets.get(fresh.peer) ?? { sending: false, all: [] };
    const own = sending ? all[0] : undefined;
    const keepsOwn = own?.standing.at === "unconfirmed" && own.id < fresh.id;
    const next = keepsOwn ? [own, fresh, ...all.slice(1)] : [fresh, ...all];
    return this.#setRatchets(fresh.peer, { sending: true, all: next });
  }

  suspect(): Write[] {
    const writes: Write[] = [];
    for (const [address, { all }] of this.#keys.ratchets) {
      const suspect = { sending: false, all };
      this.#keys.ratchets.set(address, suspect);
      writes.push(putOrder(address, suspect));
    }
    return writes;
  }

  prove({ nonce, epoch, version }: Proof): Uint8Array {
    const { identity } = this.#keys;
    const address = addressOfIdentity(identity);
    return signAsDevice(
      identity,
      "connect",
      encode(proofTuple, { relay: this.#config.relay, nonce, address, epoch, version }),
    );
  }

  /** Tags and keys past their time. */
  sweep(now: Time): Write[] {
    const writes: Write[] = [];
    for (const [tag, until] of this.#keys.replay) {
      if (until > now) continue;
      this.#keys.replay.delete(tag);
      writes.push(removeKey("replay", tag));
    }
    return writes;
  }
}
