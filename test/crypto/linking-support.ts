// A linking for tests: both sides with deterministic chance and clock, each step as the applications would take it, and a
// secret that counts how often it was asked for.
import type { DeviceNumber, Time, UserName } from "@lethe/protocol";
import {
  acceptGrant,
  answerOffer,
  type AwaitingGrant,
  type Comparing,
  confirmLinking,
  createIdentity,
  hearJoining,
  type Identity,
  LABELS,
  linkingText,
  offerAccount,
  type Offering,
  type Random,
  Secret,
  type ShowingCode,
  showLinkingCode,
} from "../../crypto/index.ts";
import { provePossession } from "../../crypto/certificate.ts";
import type { HpkeContext } from "../../crypto/hpke.ts";
import { encode } from "../../crypto/layout.ts";
import { encodeLinkingCode, type LinkingCode } from "../../crypto/linking-code.ts";
import {
  encodeOffer,
  joinBody,
  joinFront,
  type OfferBody,
  offerBytes,
  sealAnswer,
} from "../../crypto/linking-messages.ts";
import { ed25519Public, ed25519Sign } from "../../crypto/primitives.ts";
import { makeSealingKey } from "../../crypto/sealing-key.ts";
import { seededRandom, START } from "./support.ts";

export const RELAY = "relay.example";
export const ANNA = "anna" as UserName;
export const SECOND = 2 as DeviceNumber;

/** What a step gave, where it has to be good. */
export function good<T extends { readonly code: string }>(step: T): Extract<T, { readonly code: "ok" }> {
  if (step.code !== "ok") throw new Error(step.code);
  return step as Extract<T, { readonly code: "ok" }>;
}

export class Watched extends Secret {
  reveals = 0;

  override reveal(): Uint8Array {
    this.reveals++;
    return super.reveal();
  }
}

/** The identity with seeds that count what they are used for. */
export function watched(identity: Identity): { identity: Identity; account: Watched; signing: Watched } {
  const account = new Watched((identity.accountSeed as Secret).reveal());
  const signing = new Watched(identity.signingSeed.reveal());
  return { identity: { ...identity, accountSeed: account, signingSeed: signing }, account, signing };
}

export interface Scanning {
  readonly identity: Identity;
  readonly random: Random;
  readonly now?: Time;
  readonly device?: DeviceNumber;
  readonly name?: UserName;
  readonly text: string;
}

export function scan({ now = START, device = SECOND, name = ANNA, ...rest }: Scanning) {
  return offerAccount({ ...rest, relay: RELAY, name, device, now });
}

export interface Shown {
  readonly primary: Identity;
  readonly random: Random & { below(bound: number): number };
  readonly showing: ShowingCode;
  readonly text: string;
}

/** A seed, or chance of another making. */
type Seed = number | Shown["random"];

export function shown(seed: Seed, relay = RELAY): Shown {
  const random = typeof seed === "number" ? seededRandom(seed) : seed;
  const primary = createIdentity({ random, now: START });
  const showing = showLinkingCode({ relay, random, now: START });
  return { primary, random, showing, text: linkingText(showing.code) };
}

export interface InOffer extends Shown {
  readonly offering: Offering;
  readonly offer: Uint8Array;
}

export function inOffer(seed: Seed): InOffer {
  const before = shown(seed);
  const { state, message } = good(scan({ ...before, identity: before.primary }));
  return { ...before, offering: state, offer: message };
}

export interface Answered extends InOffer {
  readonly awaiting: AwaitingGrant;
  readonly join: Uint8Array;
}

export function answered(seed: Seed): Answered {
  const before = inOffer(seed);
  const { random } = before;
  const { state, message } = good(answerOffer(before.showing, { message: before.offer, random, now: START }));
  return { ...before, awaiting: state, join: message };
}

export interface Compared extends Answered {
  readonly comparing: Comparing;
}

export function compared(seed: Seed): Compared {
  const before = answered(seed);
  return {
    ...before,
    comparing: good(hearJoining(before.offering, { message: before.join, now: START })).state,
  };
}

export interface Done extends Compared {
  /** The primary device's identity with the new list, the new device's, and the grant. */
  readonly after: Identity;
  readonly linked: Identity;
  readonly grant: Uint8Array;
  readonly certificate: Uint8Array;
}

export function done(seed: Seed): Done {
  const before = compared(seed);
  const { primary, random, comparing, awaiting } = before;
  const confirmed = good(confirmLinking(comparing, { identity: primary, random, now: START }));
  const { message: grant, identity: after, certificate } = confirmed;
  const linked = good(acceptGrant(awaiting, { message: grant, now: START })).identity;
  return { ...before, after, linked, grant, certificate };
}

/** A further device of an account that is there already: the account's identity with it on its list, and its own. */
export function linkDevice(
  primary: Identity,
  device: DeviceNumber,
  random: Shown["random"],
  now: Time,
): { after: Identity; linked: Identity } {
  const showing = showLinkingCode({ relay: RELAY, random, now });
  const offer = good(scan({ identity: primary, random, now, device, text: linkingText(showing.code) }));
  const answer = good(answerOffer(showing, { message: offer.message, random, now }));
  const { state } = good(hearJoining(offer.state, { message: answer.message, now }));
  const { message, identity: after } = good(confirmLinking(state, { identity: primary, random, now }));
  return { after, linked: good(acceptGrant(answer.state, { message, now })).identity };
}

/** Every way to flip one bit. */
export function flips(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length * 8 }, (_, bit) => {
    const out = bytes.slice();
    out[bit >> 3] = (out[bit >> 3] as number) ^ (1 << (bit & 7));
    return out;
  });
}

/** An offer for a code as one makes it who knows what `known` holds of it. */
export function offerFor(
  code: LinkingCode,
  offer: OfferBody,
  context: HpkeContext,
  random: Random,
): Uint8Array {
  const sender = context.sender(code.key, random.bytes(32));
  if (sender === undefined) throw new Error("no key");
  return offerBytes(sender.enc, sender.seal(encodeLinkingCode(code), encodeOffer(offer)));
}

/** What the genuine primary device offers. */
export function offerOf({ primary }: Shown): OfferBody {
  const { account, accountKey } = primary.certificate;
  return { account, accountKey, device: SECOND, name: ANNA, relay: RELAY };
}

export interface Forging {
  readonly front: Parameters<typeof joinFront.write>[1];
  readonly seed: Uint8Array;
}

/** A genuine new device's answer with another content: its signature is made again, over what `change` leaves. */
export function joinWith(
  one: InOffer,
  change: (forging: Forging) => Forging["front"],
  soFar = one.offering.soFar,
): Uint8Array {
  const { random, offering, showing } = one;
  const opening = showing.opening.reveal().slice();
  const seed = random.bytes(32);
  const front = {
    opening,
    signingKey: ed25519Public(seed),
    dhKey: shown(99).showing.code.key,
    sealing: makeSealingKey(offering.offered, new Secret(seed), random, START).record,
    possession: provePossession(offering.offered, seed),
  };
  const changed = change({ front, seed });
  const signature = ed25519Sign(seed, LABELS.signLinking, soFar, encode(joinFront, changed));
  return sealAnswer("join", offering, encode(joinBody, { ...changed, signature }), random);
}
