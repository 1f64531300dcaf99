// Linking, the new device's side: it shows a code, answers the one offer that proves to have seen it, and becomes a device
// of the account by the grant. Always true: what fails leaves the state as it was; one code is answered once; when a step
// succeeds, the secrets that it has used up are wiped, so a state that somebody kept from before is `used`.
import { decodeAll, fromBytes, ID_BYTES, type Time } from "@lethe/protocol";
import { type Certificate, certificateHash, provePossession, verifyCertificate } from "./certificate.ts";
import { type DeviceList, isCurrent, lists, verifyDeviceList } from "./device-list.ts";
import type { HpkeExporter } from "./hpke.ts";
import type { Identity } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { encode, total } from "./layout.ts";
import { encodeLinkingCode, type LinkingCode } from "./linking-code.ts";
import {
  decodeOffer,
  digitsOf,
  grantBody,
  isOver,
  joinBody,
  joinFront,
  linkingContext,
  type OfferBody,
  type OfferedAccount,
  openAnswer,
  readOffer,
  sealAnswer,
  secretOf,
  transcript,
} from "./linking-messages.ts";
import { ed25519Public, ed25519Sign, equal, x25519Base } from "./primitives.ts";
import type { Random } from "./random.ts";
import { makeSealingKey, type SealingKey } from "./sealing-key.ts";
import { Secret } from "./secret.ts";

/** The code is on the screen. */
export interface ShowingCode {
  readonly at: "showing";
  /** `linkingText` of it is what the screen shows. */
  readonly code: LinkingCode;
  /** Private half of the code's key. */
  readonly key: Secret;
  /** r, which S is the hash of. */
  readonly opening: Secret;
  readonly startedAt: Time;
}

/** An offer was answered: the digits are on the screen until the grant comes. */
export interface AwaitingGrant {
  readonly at: "awaiting-grant";
  /** Six digits, to be compared with those of the primary device. */
  readonly digits: string;
  /** Whose device this is about to be. */
  readonly offered: OfferedAccount;
  readonly own: OwnKeys;
  readonly exporter: HpkeExporter;
  /** Transcript so far. */
  readonly soFar: Uint8Array;
  /** When the offer was answered: what the primary device signs within its time comes in time here. */
  readonly startedAt: Time;
}

export type NewDevice = ShowingCode | AwaitingGrant | { readonly at: "over" };

interface OwnKeys {
  readonly signingSeed: Secret;
  readonly dhSecret: Secret;
  readonly sealing: SealingKey;
}

const OVER = { at: "over" } as const;

/**
 * `used`: not what this state waits for. `expired`: 120 s after the code was made, or an offer answered. `not-authentic`: not by a device that
 * has seen the code, or changed on the way. `other-relay`: the account is at another one. `bad-grant`: what the account
 * key has signed does not make this device one of the account offered.
 */
export type NewDeviceRefusal =
  | "used"
  | "expired"
  | "malformed"
  | "not-authentic"
  | "other-relay"
  | "bad-grant";

/** A code for one linking, from 16 + 32 + 32 random bytes. */
export function showLinkingCode(given: {
  readonly relay: string;
  readonly random: Random;
  readonly now: Time;
}): ShowingCode {
  const { relay, random, now } = given;
  const mailbox = fromBytes<LinkingCode["mailbox"]>(random.bytes(ID_BYTES));
  const [key, opening] = [new Secret(random.bytes(32)), new Secret(random.bytes(32))];
  const secret = new Secret(secretOf(opening.reveal()));
  const code = { mailbox, key: x25519Base(key.reveal()), secret, relay };
  return { at: "showing", code, key, opening, startedAt: now };
}

export type AnsweredOffer =
  | { readonly code: "ok"; readonly state: AwaitingGrant; readonly message: Uint8Array }
  | { readonly code: NewDeviceRefusal };

export interface Hearing {
  readonly message: Uint8Array;
  readonly now: Time;
}

/** Answers the primary device's offer with keys of this device's own: 32 random bytes each for DS, DI and SEAL. */
export function answerOffer(state: NewDevice, hearing: Hearing & { readonly random: Random }): AnsweredOffer {
  const { message, now, random } = hearing;
  if (state.at !== "showing" || state.key.wiped) return { code: "used" };
  if (isOver(state.startedAt, now)) return { code: "expired" };
  const code = encodeLinkingCode(state.code);
  const opened = openOffer(state, code, message);
  const soFar = transcript(code, message);
  code.fill(0);
  if (typeof opened === "string") return { code: opened };
  const { offer, exporter } = opened;
  const signingSeed = new Secret(random.bytes(32));
  const dhSecret = new Secret(random.bytes(32));
  const own = { signingSeed, dhSecret, sealing: makeSealingKey(offer, signingSeed, random, now) };
  const plain = joinPlain(state.opening, own, offer, soFar);
  const answer = sealAnswer("join", { exporter, soFar }, plain, random);
  const digits = digitsOf(exporter, state.opening.reveal());
  for (const used of [state.key, state.opening, state.code.secret]) used.wipe();
  const { relay: _, ...offered } = offer;
  const next = { offered, own, digits, exporter, soFar: transcript(soFar, answer), startedAt: now };
  return { code: "ok", state: { at: "awaiting-grant", ...next }, message: answer };
}

function openOffer(
  state: ShowingCode,
  code: Uint8Array,
  message: Uint8Array,
): { readonly offer: OfferBody; readonly exporter: HpkeExporter } | NewDeviceRefusal {
  const read = readOffer(message);
  if (read === undefined) return "malformed";
  const keys = { secret: state.key.reveal(), recipient: state.code.key };
  const opened = linkingContext(state.code).openExporting({ ...read, ...keys, aad: code });
  if (opened === undefined) return "not-authentic";
  const { exporter } = opened;
  const offer = total(() => decodeOffer(opened.plain));
  if (offer?.relay === state.code.relay) return { offer, exporter };
  exporter.wipe();
  return offer === undefined ? "malformed" : "other-relay";
}

/** r, the device's keys, DS's proof of possession, and DS over all of it and the transcript. */
function joinPlain(opening: Secret, own: OwnKeys, offer: OfferedAccount, soFar: Uint8Array): Uint8Array {
  const seed = own.signingSeed.reveal();
  const front = {
    opening: opening.reveal(),
    signingKey: ed25519Public(seed),
    dhKey: x25519Base(own.dhSecret.reveal()),
    sealing: own.sealing.record,
    possession: provePossession(offer, seed),
  };
  const said = encode(joinFront, front);
  const signature = ed25519Sign(seed, LABELS.signLinking, soFar, said);
  said.fill(0);
  return encode(joinBody, { ...front, signature });
}

export type Linked =
  | { readonly code: "ok"; readonly state: { readonly at: "over" }; readonly identity: Identity }
  | { readonly code: NewDeviceRefusal };

/** Becomes the device that the grant says: its identity, to be stored before anything else is done with it. */
export function acceptGrant(state: NewDevice, { message, now }: Hearing): Linked {
  if (state.at !== "awaiting-grant" || state.exporter.wiped) return { code: "used" };
  if (isOver(state.startedAt, now)) return { code: "expired" };
  const plain = openAnswer("grant", state, message);
  if (typeof plain === "string") return { code: plain };
  const granted = total(() => readGrant(state, plain, now));
  plain.fill(0);
  if (granted === undefined) return { code: "malformed" };
  if (granted === "bad-grant") return { code: granted };
  state.exporter.wipe();
  const { signingSeed, dhSecret, sealing } = state.own;
  const kept = { accountSeed: undefined, signingSeed, dhSecret, sealing: [sealing] };
  return { code: "ok", state: OVER, identity: { ...granted, ...kept } };
}

type Granted = Pick<Identity, "certificate" | "certificateBytes" | "list" | "profileKey">;

/** @throws MalformedError */
function readGrant(state: AwaitingGrant, plain: Uint8Array, now: Time): Granted | "bad-grant" {
  const { certificate: certificateBytes, deviceList, profileKey } = decodeAll(grantBody, plain);
  const certificate = verifyCertificate(certificateBytes);
  const list = verifyDeviceList(deviceList, state.offered.accountKey);
  if (certificate === undefined || list === undefined || !isOurs(state, certificate)) return "bad-grant";
  const good = isListedIn(list, certificate, certificateBytes) && isCurrent(list, now);
  return good ? { certificate, certificateBytes, list, profileKey } : "bad-grant";
}

function isOurs({ offered, own }: AwaitingGrant, certificate: Certificate): boolean {
  return (
    certificate.account === offered.account &&
    certificate.device === offered.device &&
    equal(certificate.accountKey, offered.accountKey) &&
    equal(certificate.signingKey, ed25519Public(own.signingSeed.reveal())) &&
    equal(certificate.dhKey, x25519Base(own.dhSecret.reveal()))
  );
}

function isListedIn(list: DeviceList, { account, device }: Certificate, bytes: Uint8Array): boolean {
  return list.account === account && lists(list, device, certificateHash(bytes));
}

/** Ends the run, by either person's wish or because its time is over: nothing of it can be used any more. */
export function endLinking(state: NewDevice): { readonly at: "over" } {
  if (state.at === "showing") for (const held of [state.key, state.opening, state.code.secret]) held.wipe();
  if (state.at === "awaiting-grant") {
    state.exporter.wipe();
    for (const held of [state.own.signingSeed, state.own.dhSecret, state.own.sealing.secret]) held.wipe();
  }
  return OVER;
}
