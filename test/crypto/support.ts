// A device for tests: keeps its states in memory as the client library does, and commits an outcome only as a whole.
// Chance and time are given, so every run can be repeated.
import type { DeviceAddress, EnvelopeId, Time } from "@lethe/protocol";
import { fromBytes, toBytes } from "@lethe/protocol";
import {
  addressOfIdentity,
  type Bundle,
  type BundleResult,
  type ContentKind,
  createIdentity,
  encrypt,
  type Identity,
  makeOneTimePrekeys,
  makeSignedPrekeys,
  type Outcome,
  open,
  type PeerDevice,
  type PrekeyItem,
  type PrekeyRecord,
  publicIdentity,
  type Random,
  type Ratchet,
  startRatchet,
  unseal,
  type VerifiedPeer,
  verifyBundle,
  verifyPeer,
} from "../../crypto/index.ts";

export const START = 1_800_000_000_000 as Time;
export const DAY = 24 * 3_600_000;

export function later(now: Time, ms: number): Time {
  return (now + ms) as Time;
}

/** Deterministic bytes (sfc32): for tests only. */
export function seededRandom(seed: number): Random & { below(bound: number): number } {
  let [a, b, c, d] = [seed | 0, 0x9e3779b9 | 0, 0x243f6a88 | 0, 1];
  const next = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 20; i++) next();
  return {
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
    below: (bound) => next() % bound,
  };
}

/** The seed of a random test: from the environment, else a fixed one. It is printed. */
export function seedOf(test: string, fallback = 1): number {
  const seed = Number(process.env["SEED"] ?? fallback);
  console.info(`${test}: SEED=${seed}`);
  return seed;
}

export function text(said: string): Uint8Array {
  return new TextEncoder().encode(said);
}

export function hex(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits, "hex"));
}

export function itemOf(record: PrekeyRecord): PrekeyItem {
  return { id: toBytes(record.id), bytes: record.upload };
}

/** What goes over the relay. */
export interface Mail {
  readonly id: EnvelopeId;
  readonly ciphertext: Uint8Array;
}

/** The outcome of an envelope, the refusals of the seal included. */
export type Arrival = Outcome | { readonly code: "malformed" | "not-sealed-for-us" | "key-expired" };

export class Device {
  identity: Identity;
  readonly random: Random;
  now: Time = START;
  readonly prekeys = new Map<string, PrekeyRecord>();
  readonly peers = new Map<DeviceAddress, PeerDevice>();
  /** Newest first. */
  readonly ratchets = new Map<DeviceAddress, readonly Ratchet[]>();
  readonly replayTags = new Set<string>();

  constructor(random: Random, count = { curve: 3, kem: 2 }) {
    this.random = random;
    this.identity = createIdentity({ random, now: this.now });
    const making = { identity: this.identity, random, now: this.now };
    for (const record of [...makeSignedPrekeys(making), ...makeOneTimePrekeys(making, count)])
      this.prekeys.set(record.id, record);
  }

  get address(): DeviceAddress {
    return addressOfIdentity(this.identity);
  }

  prekey(kind: PrekeyRecord["kind"], at = 0): PrekeyRecord {
    const found = [...this.prekeys.values()].filter((record) => record.kind === kind)[at];
    if (found === undefined) throw new Error(`no prekey ${kind}`);
    return found;
  }

  /** A bundle as the relay hands it out. */
  bundle(with_: { oneTime: boolean; oneTimeKem: boolean } = { oneTime: true, oneTimeKem: true }): Bundle {
    return {
      signed: itemOf(this.prekey("signed")),
      lastResort: itemOf(this.prekey("lastResort")),
      oneTime: with_.oneTime ? itemOf(this.prekey("oneTime")) : undefined,
      oneTimeKem: with_.oneTimeKem ? itemOf(this.prekey("oneTimeKem")) : undefined,
    };
  }

  /** Verifies another device from what the relay would tell of it. */
  verify(other: Device): VerifiedPeer {
    const { certificate, deviceList } = publicIdentity(other.identity);
    const pinned = this.peers.get(other.address);
    return verifyPeer({
      identity: this.identity,
      certificate,
      deviceList,
      pinned,
      address: other.address,
      now: this.now,
    });
  }

  verifyBundle(other: Device, bundle: Bundle): BundleResult {
    const verified = this.verify(other);
    if (verified.code !== "ok") throw new Error(verified.code);
    return verifyBundle({ peer: verified.peer, bundle, now: this.now });
  }

  /** Starts a ratchet with another device and stores it. */
  start(other: Device, bundle: Bundle = other.bundle()): Ratchet {
    const verified = this.verifyBundle(other, bundle);
    if (verified.code !== "ok") throw new Error(verified.code);
    const started = startRatchet({
      identity: this.identity,
      bundle: verified.bundle,
      random: this.random,
      now: this.now,
    });
    if (started.code !== "ok") throw new Error(started.code);
    this.peers.set(other.address, verified.peer);
    this.keep(other.address, started.ratchet);
    return started.ratchet;
  }

  private keep(peer: DeviceAddress, ratchet: Ratchet): void {
    const others = (this.ratchets.get(peer) ?? []).filter((kept) => kept.id !== ratchet.id);
    this.ratchets.set(peer, [ratchet, ...others]);
  }

  ratchet(other: Device): Ratchet {
    const found = this.ratchets.get(other.address)?.[0];
    if (found === undefined) throw new Error("no ratchet");
    return found;
  }

  peer(other: Device): PeerDevice {
    const found = this.peers.get(other.address);
    if (found === undefined) throw new Error("no peer");
    return found;
  }

  send(other: Device, said: string | Uint8Array, content: ContentKind = "lasting"): Mail {
    const id = fromBytes<EnvelopeId>(this.random.bytes(16));
    const sent = encrypt({
      identity: this.identity,
      ratchet: this.ratchet(other),
      peer: this.peer(other),
      plaintext: typeof said === "string" ? text(said) : said,
      content,
      envelope: id,
      random: this.random,
      now: this.now,
    });
    if (sent.code !== "ok") throw new Error(sent.code);
    this.keep(other.address, sent.ratchet);
    return { id, ciphertext: sent.ciphertext };
  }

  /** Opens an envelope without keeping anything. `pinned`: what is known of the account, where not the sender's device. */
  look(mail: Mail, pinned?: PeerDevice): Arrival {
    const opened = unseal({
      identity: this.identity,
      ciphertext: mail.ciphertext,
      envelope: mail.id,
      now: this.now,
    });
    if (opened.code !== "ok") return opened;
    const { sender, first } = opened.envelope;
    const peer = this.peers.get(sender);
    return open({
      identity: this.identity,
      envelope: opened.envelope,
      peer,
      pinned: pinned ?? peer,
      ratchets: this.ratchets.get(sender) ?? [],
      prekeys: (first?.prekeys ?? [])
        .map((id) => this.prekeys.get(id))
        .filter((record) => record !== undefined),
      replayed: first !== undefined && this.replayTags.has(first.replayTag),
      now: this.now,
    });
  }

  /** Opens an envelope and commits what its outcome says. */
  receive(mail: Mail): Arrival {
    const outcome = this.look(mail);
    if (!("ratchet" in outcome)) return outcome;
    this.peers.set(outcome.peer.address, outcome.peer);
    this.keep(outcome.peer.address, outcome.ratchet);
    for (const id of outcome.consumed) this.prekeys.delete(id);
    if (outcome.replayTag !== undefined) this.replayTags.add(outcome.replayTag.tag);
    return outcome;
  }

  /** What an envelope says, or the code of why it does not. */
  read(mail: Mail): string {
    const outcome = this.receive(mail);
    return outcome.code === "ok" ? new TextDecoder().decode(outcome.plaintext) : `!${outcome.code}`;
  }
}

/** Two devices; `alice` has started a ratchet with `bob` and sent nothing. */
export function pair(seed: number): { alice: Device; bob: Device } {
  const random = seededRandom(seed);
  const [alice, bob] = [new Device(random), new Device(random)];
  alice.start(bob);
  return { alice, bob };
}

/** Two devices that have exchanged a message in both directions. */
export function talkingPair(seed: number): { alice: Device; bob: Device } {
  const two = pair(seed);
  const heard = [two.bob.read(two.alice.send(two.bob, "hello"))];
  heard.push(two.alice.read(two.bob.send(two.alice, "hello yourself")));
  if (heard.join() !== "hello,hello yourself") throw new Error(heard.join());
  return two;
}
