// What this package costs: the ratchet layer (header, padding, message), and whole envelopes with their seal. Every
// message is opened, and one that does not read as it was sent throws: it gives no number.
import { packContent, unpackContent } from "../../../crypto/content.ts";
import { receive, stepSending } from "../../../crypto/double-ratchet.ts";
import { HEADER_BYTES, isHeaderOf, readHeader, writeHeader } from "../../../crypto/header.ts";
import { open, type Ratchet, startRatchet, unseal } from "../../../crypto/index.ts";
import { MAX_JUMP } from "../../../crypto/limits.ts";
import { letheSuite } from "../../../crypto/suite.ts";
import { systemRandom } from "../../../crypto/random.ts";
import { sendFrom, lookAt, twoCores } from "../model.ts";
import { Device, START } from "../support.ts";
import { cpuOf } from "./cpu.ts";

const CONTEXT = new Uint8Array(32).fill(7);
const NO_NEWS = { sealing: undefined, deviceList: undefined };

function talking(): { alice: Device; bob: Device } {
  const [alice, bob] = [new Device(systemRandom), new Device(systemRandom)];
  alice.start(bob);
  const heard = [bob.read(alice.send(bob, "one")), alice.read(bob.send(alice, "two"))];
  if (heard.join() !== "one,two") throw new Error(heard.join());
  return { alice, bob };
}

/** A message without its seal. */
function write(from: Ratchet, plain: Uint8Array): { ratchet: Ratchet; message: Uint8Array } {
  const step = stepSending(letheSuite, from.core, systemRandom);
  if (step === undefined) throw new Error("chain exhausted");
  const fromInitiator = from.role === "initiator";
  const header = writeHeader(from, { counters: step.counters, first: false, fromInitiator });
  const padded = packContent(NO_NEWS, plain);
  const sealed = letheSuite.seal(step.key, [from.ad, header, CONTEXT], padded, systemRandom);
  step.key.fill(0);
  const message = new Uint8Array(header.length + sealed.length);
  message.set(header);
  message.set(sealed, header.length);
  return { ratchet: { ...from, core: step.core }, message };
}

function read(to: Ratchet, message: Uint8Array, plain: Uint8Array): Ratchet {
  const header = readHeader(message);
  if (!isHeaderOf(to, header)) throw new Error("header MAC");
  const ad = [to.ad, header.bytes, CONTEXT];
  const sealed = message.subarray(HEADER_BYTES);
  const received = receive(letheSuite, to.core, { counters: header.counters, ad, sealed, now: START });
  if (received.code !== "ok") throw new Error(received.code);
  if (unpackContent(received.plaintext)?.content.length !== plain.length) throw new Error("other text");
  return { ...to, core: received.core };
}

/** `turn`: whether the sides take turns, so that each message is a ratchet step. */
export function ratchetCost(times: number, plain: Uint8Array, turn: boolean): number {
  const { alice, bob } = talking();
  const sides: [Ratchet, Ratchet] = [alice.ratchet(bob), bob.ratchet(alice)];
  return cpuOf(times, (i) => {
    const from = turn && i % 2 === 1 ? 1 : 0;
    const { ratchet, message } = write(sides[from], plain);
    sides[from] = ratchet;
    sides[1 - from] = read(sides[1 - from] as Ratchet, message, plain);
  });
}

/** Confirmed ratchets with so many devices, on one side. */
export function ratchetsWith(count: number): Fan {
  const sender = new Device(systemRandom);
  const others = Array.from({ length: count }, () => new Device(systemRandom));
  for (const other of others) {
    sender.start(other);
    const heard = [other.read(sender.send(other, "one")), sender.read(other.send(sender, "two"))];
    if (heard.join() !== "one,two") throw new Error(heard.join());
  }
  return { sender, others };
}

export interface Fan {
  readonly sender: Device;
  readonly others: readonly Device[];
}

/** One message for all of them over their ratchets, without seals. */
export function fanOutCost(times: number, { sender, others }: Fan, plain: Uint8Array): number {
  const ratchets = others.map((other) => sender.ratchet(other));
  return cpuOf(times, () => {
    for (const [i, ratchet] of ratchets.entries()) ratchets[i] = write(ratchet, plain).ratchet;
  });
}

/** The same with seals: whole envelopes. */
export function sealedFanOutCost(times: number, { sender, others }: Fan, plain: Uint8Array): number {
  return cpuOf(times, () => {
    for (const other of others) sender.send(other, plain);
  });
}

export function sealedCost(times: number, plain: Uint8Array, turn: boolean): number {
  const { alice, bob } = talking();
  return cpuOf(times, (i) => {
    const [from, to] = turn && i % 2 === 1 ? [bob, alice] : [alice, bob];
    const outcome = to.receive(from.send(to, plain));
    if (outcome.code !== "ok" || outcome.plaintext.length !== plain.length) throw new Error(outcome.code);
  });
}

/** The sender's whole check of a message with a forged header, behind the seal: tag, header, MAC. */
export function forgedHeaderCost(times: number, plain: Uint8Array): number {
  const { alice, bob } = talking();
  const mail = alice.send(bob, plain);
  const asked = { identity: bob.identity, ciphertext: mail.ciphertext, envelope: mail.id, now: START };
  const opened = unseal(asked);
  if (opened.code !== "ok") throw new Error(opened.code);
  const message = opened.envelope.seal.message.slice();
  // Message number 25,000 under the same ratchet key, with the MAC of the genuine header.
  new DataView(message.buffer).setUint32(38, MAX_JUMP);
  const envelope = { ...opened.envelope, seal: { ...opened.envelope.seal, message } };
  const peer = bob.peer(alice);
  const given = { identity: bob.identity, peer, pinned: peer, prekeys: [], replayed: false, now: START };
  const ratchets = [bob.ratchet(alice)];
  return cpuOf(times, () => {
    const outcome = open({ ...given, envelope, ratchets });
    if (outcome.code !== "header-mac") throw new Error(outcome.code);
  });
}

/** A message that is 25,000 ahead, the most that is accepted. */
export function jumpCost(times: number): number {
  const sides = twoCores(systemRandom);
  let mail = sendFrom(sides, 0, 0);
  for (let number = 1; number <= MAX_JUMP; number++) mail = sendFrom(sides, 0, number);
  return cpuOf(times, () => {
    const { code } = lookAt(sides, mail);
    if (code !== "ok") throw new Error(code);
  });
}

/** PQXDH as the initiator, from a bundle that was verified. */
export function startCost(times: number): number {
  const [alice, bob] = [new Device(systemRandom), new Device(systemRandom)];
  const verified = alice.verifyBundle(bob, bob.bundle());
  if (verified.code !== "ok") throw new Error(verified.code);
  const { bundle } = verified;
  return cpuOf(times, () => {
    const { code } = startRatchet({ identity: alice.identity, bundle, random: systemRandom, now: START });
    if (code !== "ok") throw new Error(code);
  });
}

/** A first message behind its seal: signatures of its introduction, PQXDH as the responder, the message itself. */
export function firstMessageCost(times: number, plain: Uint8Array): number {
  const [alice, bob] = [new Device(systemRandom), new Device(systemRandom)];
  alice.start(bob);
  const mail = alice.send(bob, plain);
  const { identity } = bob;
  const opened = unseal({ identity, ciphertext: mail.ciphertext, envelope: mail.id, now: START });
  if (opened.code !== "ok") throw new Error(opened.code);
  const { envelope } = opened;
  const prekeys = (envelope.first?.prekeys ?? []).flatMap((id) => bob.prekeys.get(id) ?? []);
  const stranger = { peer: undefined, pinned: undefined, ratchets: [], replayed: false };
  return cpuOf(times, () => {
    const { code } = open({ identity, envelope, ...stranger, prekeys, now: START });
    if (code !== "ok") throw new Error(code);
  });
}
