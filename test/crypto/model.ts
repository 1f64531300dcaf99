// Two Double Ratchets and a hostile network between them, with an oracle that is nothing but sets: what was sent, what
// arrived, what was reported lost. Chance decides who sends, what arrives next, twice or never.
import type { Time } from "@lethe/protocol";
import { Secret, systemRandom } from "../../crypto/index.ts";
import {
  type Counters,
  type Received,
  receive,
  startReceiving,
  startSending,
  stepSending,
} from "../../crypto/double-ratchet.ts";
import type { DoubleRatchet } from "../../crypto/state.ts";
import { letheSuite } from "../../crypto/suite.ts";
import { seededRandom, START } from "./support.ts";

export interface Flying {
  readonly to: 0 | 1;
  readonly number: number;
  readonly counters: Counters;
  readonly sealed: Uint8Array;
}

/** One side's core, and what it has to do with the network. */
export interface Sides {
  cores: [DoubleRatchet, DoubleRatchet];
}

const AD = [new Uint8Array(32)];

/** Two cores after a key agreement: side 0 has started, side 1 holds the signed prekey. */
export function twoCores(random = systemRandom): Sides {
  const root = random.bytes(32);
  const signed = letheSuite.generate(random);
  return {
    cores: [
      startSending(new Secret(root.slice()), signed.publicKey),
      startReceiving(new Secret(root.slice()), signed),
    ],
  };
}

export function sendFrom(sides: Sides, from: 0 | 1, number: number, random = systemRandom): Flying {
  const step = stepSending(letheSuite, sides.cores[from], random);
  if (step === undefined) throw new Error("cannot send");
  sides.cores[from] = step.core;
  const plain = new TextEncoder().encode(String(number));
  const sealed = letheSuite.seal(step.key, AD, plain, random);
  return { to: from === 0 ? 1 : 0, number, counters: step.counters, sealed };
}

/** Opens without keeping the new state. */
export function lookAt(sides: Sides, flying: Flying, now: Time = START): Received {
  const { counters, sealed, to } = flying;
  return receive(letheSuite, sides.cores[to], { counters, ad: AD, sealed, now });
}

export function deliver(sides: Sides, flying: Flying, now: Time = START): Received {
  const received = lookAt(sides, flying, now);
  if (received.code === "ok") sides.cores[flying.to] = received.core;
  return received;
}

export interface Tally {
  sent: number;
  delivered: number;
  repeats: number;
  reported: number;
  dropped: number;
}

/** Runs one random schedule and checks it against the oracle after every step. @throws Error where they disagree. */
export function runSchedule(seed: number, options: { steps: number; inFlight: number }): Tally {
  const random = seededRandom(seed);
  const sides = twoCores(random);
  const flying: Flying[] = [];
  const arrived = new Set<number>();
  const reported = new Set<number>();
  const dropped = new Set<number>();
  const tally: Tally = { sent: 0, delivered: 0, repeats: 0, reported: 0, dropped: 0 };
  // The responder has nothing to send with before the first message has come.
  let begun = false;
  const arrive = (mail: Flying): void => {
    const received = deliver(sides, mail);
    if (received.code === "ok") {
      if (arrived.has(mail.number)) throw new Error(`seed ${seed}: message ${mail.number} delivered twice`);
      if (new TextDecoder().decode(received.plaintext) !== String(mail.number)) throw new Error("other text");
      arrived.add(mail.number);
      tally.delivered++;
      begun ||= mail.to === 1;
    } else if (arrived.has(mail.number)) tally.repeats++;
    else if (received.code === "key-expired" || received.code === "aead-fail") reported.add(mail.number);
    else throw new Error(`seed ${seed}: message ${mail.number} lost without a report (${received.code})`);
  };
  // Bursts of one side make long chains; short ones make many ratchet steps.
  let sender: 0 | 1 = 0;
  for (let step = 0; step < options.steps; step++) {
    if (random.below(8) === 0) sender = begun && random.below(2) === 1 ? 1 : 0;
    if (random.below(2) === 0 && flying.length < options.inFlight) {
      flying.push(sendFrom(sides, sender, tally.sent++, random));
      continue;
    }
    const at = random.below(3) === 0 ? random.below(flying.length) : 0;
    const mail = flying[at];
    if (mail === undefined) continue;
    const fate = random.below(20);
    if (fate > 1) flying.splice(at, 1);
    if (fate === 2) dropped.add(mail.number);
    else arrive(mail);
  }
  for (const mail of flying) arrive(mail);
  for (let number = 0; number < tally.sent; number++) {
    if (arrived.has(number)) continue;
    if (reported.has(number)) tally.reported++;
    else if (dropped.has(number)) tally.dropped++;
    else throw new Error(`seed ${seed}: message ${number} lost in silence`);
  }
  return tally;
}
