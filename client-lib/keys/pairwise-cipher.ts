// The core's `Cipher` on the real cryptography: which ratchet, which peer, which rows.
// Always true: every change of a key in memory stands in the writes that are given back; nothing changes where an
// envelope did not open, except that a ratchet whose state was copied is not sent on any more.
import {
  accountOf,
  type AccountId,
  type DeviceAddress,
  deviceOf,
  encode,
  type FrameOf,
  proofTuple,
  type Time,
} from "@lethe/protocol";
import {
  accessKey,
  addressOfIdentity,
  adoptList,
  type ContentKind,
  decodeControl,
  encodeControl,
  encodeIdentity,
  encrypt,
  equal,
  giveUp,
  giveUpOn,
  type Identity,
  isCurrent,
  isRenewalDue,
  isSilent,
  keepHeard,
  keepOwn,
  keepStep,
  type KeptRatchets,
  mayAskResend,
  type NotOpened,
  open,
  type Opened,
  type OpenedWithoutContent,
  type PeerDevice,
  type Random,
  type Ratchet,
  type RatchetId,
  ratchetsOf,
  renewSealing,
  replaceProfileKey,
  replacement,
  Secret,
  signAsDevice,
  startRatchet,
  unseal,
  type UnsealedEnvelope,
  verifyBundle,
} from "@lethe/crypto";
import { readContent, writeContent } from "../content/content.ts";
import type { GroupKeys } from "../groups/reach.ts";
import { isTelling } from "../groups/told.ts";
import type {
  Cipher,
  CipherOutcome,
  ControlRequest,
  Learned,
  OpenRequest,
  PeerState,
  ProfileKey,
  Proof,
  Sealed,
  SealRequest,
  Write,
} from "../delivery/events.ts";
import { isLater, type Made } from "../delivery/own-notes.ts";
import { KnownPeers } from "./known-peers.ts";
import {
  ACCESS_PENDING,
  type KeyState,
  LIST_PENDING,
  OWN,
  putKey,
  putProfileSince,
  putTime,
  putTrust,
  removeKey,
  removePrekey,
  REPLACE_PENDING,
} from "./key-rows.ts";
import { learnCertificates } from "./own-devices.ts";
import { RatchetStore } from "./ratchet-store.ts";
import { type Introducing, sayNothing, Told } from "./telling.ts";

/**
 * `list-forked`: a peer has shown another list of our devices, or of its own, than we hold. `store-copied`: a message
 * number was used twice, a ratchet behind its end, or a header is right and its message is not: a copy, or an older
 * state, of the peer's store (or of ours) is at work.
 */
export type Alarm = "list-forked" | "store-copied";

export interface PairwiseConfig {
  readonly keys: KeyState;
  readonly random: Random;
  /** The name that contacts are told. */
  readonly name: string;
  /** The relay's name as pinned at registration: proofs are signed for it, whatever the relay says of itself. */
  readonly relay: string;
  readonly alarm: (code: Alarm, about: AccountId) => void;
}

type Committed = Opened | OpenedWithoutContent;

/** How long it is not tried again to renew a ratchet that could not be renewed, ms. */
const GO_ON_MS = 3_600_000;
/** Accounts remembered as having named a newer list, and devices as not renewed; over it all are asked for again. */
const MAX_REMEMBERED = 10_000;

export class PairwiseCipher implements Cipher {
  readonly #config: PairwiseConfig;
  readonly #keys: KeyState;
  readonly #known: KnownPeers;
  readonly #ratchets: RatchetStore;
  readonly #told: Told;
  /** Accounts that named a newer list than the one we hold. */
  readonly #outdated = new Set<AccountId>();
  /** Devices whose renewal was refused, and until when that is not tried again. */
  readonly #goingOn = new Map<DeviceAddress, number>();

  constructor(config: PairwiseConfig) {
    this.#config = config;
    this.#keys = config.keys;
    this.#known = new KnownPeers(config.keys);
    this.#ratchets = new RatchetStore(config.keys);
    this.#told = new Told(config.keys, config.name);
  }

  /** What groups look at. */
  groupKeys(): GroupKeys & { readonly accessKey: () => Uint8Array } {
    const { random, name } = this.#config;
    return {
      random,
      name,
      identity: () => this.#keys.identity,
      lists: () => `${this.#known.changes}/${this.#keys.identity.list.version}`,
      accessKey: () => accessKey(this.#keys.identity),
      account: (account) => this.#known.pinned(account),
      signer: (device) => {
        const { identity } = this.#keys;
        return device === addressOfIdentity(identity)
          ? identity.certificate
          : this.#known.of(device)?.certificate;
      },
    };
  }

  /** The account key that is pinned; undefined before first sight. */
  accountKey(account: AccountId): Uint8Array | undefined {
    return this.#known.pinned(account)?.accountKey;
  }

  peer(account: AccountId, now: Time): PeerState | undefined {
    const pinned = this.#known.pinned(account);
    if (pinned === undefined || this.#outdated.has(account) || !isCurrent(pinned.list, now)) return undefined;
    const devices = [];
    for (const address of this.#known.listed(account)) {
      const peer = this.#known.of(address);
      if (peer === undefined) return undefined;
      const device = deviceOf(address);
      devices.push({ device, ready: this.#isReady(peer, now), stale: this.#isStale(address, now) });
    }
    return { listVersion: pinned.list.version, devices };
  }

  #isReady(peer: PeerDevice, now: Time): boolean {
    const { sending } = this.#ratchets.of(peer.address);
    return sending !== undefined && peer.sealing !== undefined && now < peer.sealing.expiresAt;
  }

  #isStale(address: DeviceAddress, now: Time): boolean {
    const { sending } = this.#ratchets.of(address);
    return sending !== undefined && isRenewalDue(sending, now) && now >= (this.#goingOn.get(address) ?? 0);
  }

  learnDevices(account: AccountId, answer: FrameOf<"has-devices">, now: Time): Learned {
    const adopted = this.#known.isOwn(account) ? this.#adopt(answer.deviceList) : undefined;
    adopted?.push(...learnCertificates(this.#keys.own, this.#keys.identity, answer.certificates));
    const learned =
      adopted === undefined
        ? this.#known.learn(account, answer, now)
        : { code: "ok", ...this.#known.learnOwn(answer.certificates, now) };
    if (learned.writes === undefined) return learned;
    this.#outdated.delete(account);
    const { writes, gone } = learned;
    return { code: "ok", writes: [...(adopted ?? []), ...writes, ...this.#drop(gone)] };
  }

  /** Nothing is kept of devices that are gone. */
  #drop(gone: readonly DeviceAddress[]): Write[] {
    return gone.flatMap((device) => [...this.#ratchets.drop(device), ...this.#told.forget(device)]);
  }

  forgetUnlisted(account: AccountId): Write[] {
    const { gone, writes } = this.#known.dropUnlisted(account);
    return [...writes, ...this.#drop(gone)];
  }

  learnPrekeys(address: DeviceAddress, answer: FrameOf<"has-prekeys">, now: Time): Learned {
    const { identity } = this.#keys;
    const peer = this.#known.of(address);
    if (peer === undefined) return { code: "device-not-listed" };
    const checked = verifyBundle({ peer, bundle: answer, now });
    if (checked.code !== "ok") return { code: checked.code };
    const { bundle } = checked;
    const kept = this.#ratchets.of(address);
    const { random } = this.#config;
    const started = startRatchet({ identity, bundle, replaces: replacement(kept), random, now });
    if (started.code !== "ok") return { code: started.code };
    this.#goingOn.delete(address);
    return {
      code: "ok",
      writes: [
        ...this.#known.keep(checked.peer),
        ...this.#ratchets.set(address, keepOwn(kept, started.ratchet, now)),
      ],
    };
  }

  newAccessKey(now: Time): { accessKey: Uint8Array; profileKey: ProfileKey; writes: Write[] } {
    const { certificate } = this.#keys.identity;
    const since = { at: Math.max(now, this.#keys.profileSince.at + 1), by: certificate.device };
    const identity = replaceProfileKey(this.#keys.identity, this.#config.random);
    const writes = [...this.#setProfileKey(identity, since), this.#accessPending()];
    const profileKey = { key: identity.profileKey.reveal().slice(), ...since };
    return { accessKey: accessKey(identity), profileKey, writes };
  }

  #setProfileKey(identity: Identity, since: Made): Write[] {
    this.#keys.identity = identity;
    this.#keys.profileSince = since;
    return [putKey("identity", OWN, encodeIdentity(identity)), putProfileSince(since)];
  }

  #accessPending(): Write {
    this.#keys.accessPending = true;
    return putKey("identity", ACCESS_PENDING, new Uint8Array());
  }

  adoptProfileKey({ key, ...made }: ProfileKey): ReturnType<Cipher["adoptProfileKey"]> {
    const { identity, profileSince } = this.#keys;
    const own = accessKey(identity);
    if (equal(identity.profileKey.reveal(), key)) return { is: "same", accessKey: own, writes: [] };
    // Theirs may have come to the relay behind ours.
    if (!isLater(made, profileSince)) return { is: "older", accessKey: own, writes: [this.#accessPending()] };
    const next = { ...identity, profileKey: new Secret(key.slice()) };
    return { is: "taken", accessKey: accessKey(next), writes: this.#setProfileKey(next, made) };
  }

  verified(account: AccountId): Uint8Array | undefined {
    return this.#keys.trust.get(account)?.verified;
  }

  /** The account key that is pinned here has to be the one that was compared. */
  verify(account: AccountId, verified: Uint8Array): Write[] {
    const [known, pinned] = [this.#keys.trust.get(account), this.accountKey(account)];
    if (known?.verified !== undefined || (pinned !== undefined && !equal(pinned, verified))) return [];
    const trust = { successor: known?.successor, verified };
    this.#keys.trust.set(account, trust);
    return [putTrust(account, trust)];
  }

  renew(address: DeviceAddress, now: Time): Write[] {
    return this.#ratchets.set(address, giveUp(this.#ratchets.of(address), now, true));
  }

  goOn(address: DeviceAddress, now: Time): boolean {
    if (this.#ratchets.of(address).sending === undefined) return false;
    if (this.#goingOn.size >= MAX_REMEMBERED) this.#goingOn.clear();
    this.#goingOn.set(address, now + GO_ON_MS);
    const peer = this.#known.of(address);
    return peer !== undefined && this.#isReady(peer, now);
  }

  seal(request: SealRequest): Sealed {
    const { sending } = this.#ratchets.of(request.to);
    if (sending === undefined) return { code: "not-sealable" };
    const { identity } = this.#keys;
    const isOwn = this.#known.isOwn(accountOf(request.to));
    const write = (self: Introducing) => writeContent(request, self);
    const { plaintext, told } = isOwn ? sayNothing(write) : this.#told.write(sending, identity, write);
    const kind = request.content.kind === "message" ? "lasting" : "passing";
    const sealed = this.#encrypt(request, sending, { plaintext, kind });
    if (sealed.code !== "ok") return { code: sealed.code };
    const { ciphertext, ratchet, writes } = sealed;
    if (isOwn) return { code: "ok", ciphertext, writes };
    return { code: "ok", ciphertext, writes: [...writes, ...this.#told.sealed(ratchet, identity, told)] };
  }

  sealControl(request: ControlRequest): Sealed {
    const { sending } = this.#ratchets.of(request.to);
    if (sending === undefined) return { code: "not-sealable" };
    const { control } = request;
    if (control.kind === "group")
      return this.#encrypt(request, sending, { plaintext: control.told, kind: "control" });
    const said = control.kind === "resend" ? { ...control, ratchet: control.ratchet as RatchetId } : control;
    return this.#encrypt(request, sending, { plaintext: encodeControl(said), kind: "control" });
  }

  #encrypt(
    { to, id, now }: Pick<SealRequest, "to" | "id" | "now">,
    ratchet: Ratchet,
    { plaintext, kind }: { readonly plaintext: Uint8Array; readonly kind: ContentKind },
  ) {
    const peer = this.#known.of(to);
    if (peer === undefined) return { code: "not-sealable" } as const;
    const { identity } = this.#keys;
    const { random } = this.#config;
    const sealing = { identity, peer, ratchet, plaintext, content: kind, envelope: id, random, now };
    const sealed = encrypt(sealing);
    if (sealed.code !== "ok") return sealed;
    const writes = this.#ratchets.set(to, keepStep(this.#ratchets.of(to), sealed.ratchet));
    return { ...sealed, writes };
  }

  open({ id, kind, ciphertext, now }: OpenRequest): CipherOutcome {
    if (kind === "group") return { outcome: "poison", code: "unknown-kind", writes: [] };
    const { identity, prekeys, replay } = this.#keys;
    const unsealed = unseal({ identity, ciphertext, envelope: id, now });
    if (unsealed.code !== "ok") return { outcome: "poison", code: unsealed.code, writes: [] };
    const { envelope } = unsealed;
    const { sender, first } = envelope;
    const kept = this.#ratchets.of(sender);
    const outcome = open({
      identity,
      envelope,
      peer: this.#known.of(sender),
      pinned: this.#known.pinned(accountOf(sender)),
      ratchets: ratchetsOf(kept),
      prekeys: first?.prekeys.map((key) => prekeys.get(key)).filter((key) => key !== undefined) ?? [],
      replayed: first !== undefined && replay.has(first.replayTag),
      now,
    });
    if (outcome.code !== "ok" && outcome.code !== "malformed-content")
      return this.#notOpened(envelope, outcome, now);
    if (!this.#known.isExpected(outcome.peer))
      return { outcome: "poison", code: "account-key-changed", writes: [] };
    return this.#opened(envelope, kept, outcome, now);
  }

  #notOpened({ sender, content }: UnsealedEnvelope, outcome: NotOpened, now: Time): CipherOutcome {
    const { code, failed } = outcome;
    if (isSilent(code)) return { outcome: "duplicate" };
    const writes: Write[] = [];
    // The seal was whole and the header is the peer's, so no relay has done it: one of the two states is a copy.
    const isCopy = code === "forked" || code === "superseded" || code === "aead-fail";
    if (isCopy && failed?.ratchet !== undefined) this.#config.alarm("store-copied", accountOf(sender));
    if (code === "forked" && failed?.ratchet !== undefined)
      writes.push(...this.#ratchets.set(sender, giveUpOn(this.#ratchets.of(sender), failed.ratchet, now)));
    const poison = { outcome: "poison", code, writes } as const;
    if (failed === undefined || content !== "lasting" || !mayAskResend(outcome)) return poison;
    return { ...poison, resend: { from: sender, ...failed } };
  }

  #opened(
    { sender, content }: UnsealedEnvelope,
    kept: KeptRatchets,
    opened: Committed,
    now: Time,
  ): CipherOutcome {
    const before = [accountOf(sender), this.#keys.identity.certificate.account].map(
      (account) => [account, this.#versionOf(account)] as const,
    );
    const writes = this.#commit(sender, kept, opened, now);
    const relisted = before.filter(([account, was]) => was !== this.#versionOf(account)).map(([of]) => of);
    for (const account of relisted) writes.push(...this.forgetUnlisted(account));
    const failed = { outcome: "poison", code: "malformed-content", writes } as const;
    if (opened.code !== "ok") return failed;
    if (content === "control" && isTelling(opened.plaintext)) {
      const control = { kind: "group", told: opened.plaintext.slice() } as const;
      return { outcome: "control", from: sender, control, relisted, writes };
    }
    if (content === "control") {
      const control = decodeControl(opened.plaintext);
      if (control === undefined) return failed;
      if (control.kind === "resend")
        writes.push(...this.#isAsked(sender, opened.ratchet, control.ratchet, now));
      return { outcome: "control", from: sender, control, relisted, writes };
    }
    const read = readContent(opened.plaintext);
    return read === undefined ? failed : { outcome: "ok", from: sender, ...read, relisted, writes };
  }

  /** The version of the newest list known; of one that is known to be outdated, another. */
  #versionOf(account: AccountId): number | undefined {
    const version = this.#known.pinned(account)?.list.version;
    return version !== undefined && this.#outdated.has(account) ? -version : version;
  }

  /** A resend request names a ratchet that the peer cannot use, and comes on another: the one named is given up. */
  #isAsked(sender: DeviceAddress, on: Ratchet, failed: RatchetId | undefined, now: Time): Write[] {
    const forgotten = this.#told.forget(sender);
    const kept = this.#ratchets.of(sender);
    // Without a name the peer has none of our ratchets but the one that this came on.
    const named = failed ?? (kept.sending?.id === on.id ? undefined : kept.sending?.id);
    if (named === undefined || named === on.id) return forgotten;
    return [...forgotten, ...this.#ratchets.set(sender, giveUpOn(kept, named, now))];
  }

  /** Everything that an opened envelope proves, kept. */
  #commit(sender: DeviceAddress, kept: KeptRatchets, opened: Committed, now: Time): Write[] {
    const { ratchet, peer, consumed, replayTag, isNew } = opened;
    const before = ratchetsOf(kept).find(({ id }) => id === ratchet.id);
    const writes = [
      ...this.#known.keep(peer),
      ...this.#ratchets.set(sender, keepHeard(kept, ratchet, now)),
      ...(before === undefined ? [] : this.#told.heard(before, ratchet)),
      ...(isNew ? this.#told.forget(sender) : []),
    ];
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
    if (this.#known.isOwn(accountOf(sender))) writes.push(...this.#adopt(peer.list.bytes));
    this.#compare(accountOf(sender), opened);
    return writes;
  }

  /** A newer list, theirs or ours, that somebody names: it is asked for before mail is sealed by the one we hold. */
  #compare(account: AccountId, { theirList, ourList }: Committed): void {
    if (this.#outdated.size >= MAX_REMEMBERED) this.#outdated.clear();
    if (theirList === "newer") this.#outdated.add(account);
    if (ourList === "newer") this.#outdated.add(this.#keys.identity.certificate.account);
    if (theirList === "forked" || ourList === "forked") this.#config.alarm("list-forked", account);
  }

  /**
   * Our store was restored: no ratchet of it is sent on, everything at the relay is replaced and the relay told our
   * access key, and peers are told all of it anew, with a sealing key that is newer than any they know.
   */
  suspect(now: Time): Write[] {
    const { random } = this.#config;
    this.#keys.identity = renewSealing(this.#keys.identity, { random, now });
    this.#keys.replacePending = true;
    return [
      putKey("identity", OWN, encodeIdentity(this.#keys.identity)),
      putKey("identity", REPLACE_PENDING, new Uint8Array()),
      this.#accessPending(),
      ...this.#ratchets.setAll((kept) => giveUp(kept, now, false)),
      ...this.#told.forgetAll(),
    ];
  }

  /** A list of our own devices, of the relay or of one of them: it may be newer than what we hold. */
  #adopt(deviceList: Uint8Array): Write[] {
    const identity = adoptList(this.#keys.identity, deviceList);
    if (identity === this.#keys.identity) return [];
    this.#keys.identity = identity;
    this.#keys.listPending = false;
    return [putKey("identity", OWN, encodeIdentity(identity)), removeKey("identity", LIST_PENDING)];
  }

  prove({ nonce, epoch, version }: Proof): Uint8Array {
    const { identity } = this.#keys;
    const tuple = { relay: this.#config.relay, nonce, address: addressOfIdentity(identity), epoch, version };
    return signAsDevice(identity, "connect", encode(proofTuple, tuple));
  }

  /** Tags, and ratchets that only receive, past their time. */
  sweep(now: Time): Write[] {
    const writes = this.#ratchets.sweep(now);
    for (const [tag, until] of this.#keys.replay) {
      if (until > now) continue;
      this.#keys.replay.delete(tag);
      writes.push(removeKey("replay", tag));
    }
    return writes;
  }
}
