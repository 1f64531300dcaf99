// Linking, the primary device's side: it answers a code that it has scanned, shows the digits, and makes the new device
// one of the account. Always true: no key of the account or of this device signs anything before `confirmLinking`; what
// fails leaves the state as it was; one run makes one device, and is wiped then.
import { decodeAll, type DeviceNumber, type Of, type Time, type UserName } from "@lethe/protocol";
import { certificateHash, certify, possessionIsGood } from "./certificate.ts";
import { type AddingRefusal, refuseAdding, succeed } from "./device-list.ts";
import type { HpkeExporter } from "./hpke.ts";
import { accountSeedOf, type Identity } from "./identity.ts";
import { LABELS } from "./labels.ts";
import { encode, total } from "./layout.ts";
import { type CodeRefusal, encodeLinkingCode, type LinkingMailbox, readLinkingText } from "./linking-code.ts";
import {
  digitsOf,
  encodeOffer,
  grantBody,
  isOver,
  joinBody,
  joinFront,
  linkingContext,
  offerBytes,
  type OfferedAccount,
  openAnswer,
  sealAnswer,
  secretOf,
  transcript,
} from "./linking-messages.ts";
import { ed25519Verify, equal } from "./primitives.ts";
import type { Random } from "./random.ts";
import { type SealingRecord, sealingRecordIsGood } from "./sealing-key.ts";
import type { Secret } from "./secret.ts";

/** The offer is on its way. */
export interface Offering {
  readonly at: "offering";
  /** Where at the relay the two leave their messages. */
  readonly mailbox: LinkingMailbox;
  readonly offered: OfferedAccount;
  /** S, which the new device's answer must open. */
  readonly secret: Secret;
  readonly exporter: HpkeExporter;
  /** Transcript so far. */
  readonly soFar: Uint8Array;
  readonly startedAt: Time;
}

/** The new device has answered: the digits are on the screen, and nothing is signed yet. */
export interface Comparing {
  readonly at: "comparing";
  readonly mailbox: LinkingMailbox;
  /** Six digits, to be compared with those of the new device. */
  readonly digits: string;
  readonly offered: OfferedAccount;
  readonly joining: JoiningDevice;
  readonly exporter: HpkeExporter;
  readonly soFar: Uint8Array;
  readonly startedAt: Time;
}

export type PrimaryDevice = Offering | Comparing | { readonly at: "over" };

/** The new device's public keys, and its proof that it holds them. */
export interface JoiningDevice {
  readonly signingKey: Uint8Array;
  readonly dhKey: Uint8Array;
  readonly sealing: SealingRecord;
  readonly possession: Uint8Array;
}

const OVER = { at: "over" } as const;

/**
 * `used`: not what this state waits for. `expired`: 120 s after the code was scanned. `not-authentic`: not by the device
 * that showed the code, or changed on the way. `bad-opening`: it is not bound to what it showed. `bad-key`: the code's
 * key is none. `bad-signature`: it does not hold the keys that it names. `other-account`: not the account that was offered.
 */
export type PrimaryRefusal =
  | "used"
  | "expired"
  | "malformed"
  | "not-authentic"
  | "bad-opening"
  | "bad-key"
  | "bad-signature"
  | "other-account"
  | CodeRefusal
  | AddingRefusal;

export interface ScannedCode {
  readonly identity: Identity;
  /** What was scanned or pasted in the view for linking a device, and nowhere else: a code out of a link is not taken. */
  readonly text: string;
  /** Name of our relay, as pinned. */
  readonly relay: string;
  readonly name: UserName;
  /** The number for the new device: one that the account has never used. */
  readonly device: DeviceNumber;
  readonly random: Random;
  readonly now: Time;
}

export type Offered =
  | { readonly code: "ok"; readonly state: Offering; readonly message: Uint8Array }
  | { readonly code: PrimaryRefusal };

/** Answers a code with an offer of the account. @throws Error on a linked device. */
export function offerAccount(scanned: ScannedCode): Offered {
  const { identity, relay, name, device, random, now } = scanned;
  if (identity.accountSeed === undefined) throw new Error("only the primary device links others");
  const refusal = refuseAdding(identity.list, device);
  if (refusal !== undefined) return { code: refusal };
  const read = readLinkingText(scanned.text, relay);
  if (read.code !== "ok") return read;
  const { mailbox, key, secret } = read.linking;
  const made = linkingContext(read.linking).exportingSender(key, random.bytes(32));
  if (made === undefined) return { code: "bad-key" };
  const { account, accountKey } = identity.certificate;
  const offered = { account, accountKey, device, name };
  const code = encodeLinkingCode(read.linking);
  const { sender, exporter } = made;
  const message = offerBytes(sender.enc, sender.seal(code, encodeOffer({ ...offered, relay })));
  const soFar = transcript(code, message);
  code.fill(0);
  const state = { mailbox, offered, secret, exporter, soFar, startedAt: now };
  return { code: "ok", state: { at: "offering", ...state }, message };
}

export type HeardJoining =
  | { readonly code: "ok"; readonly state: Comparing }
  | { readonly code: PrimaryRefusal };

/** Takes the new device's answer: its digits are to be compared by the person who holds both. */
export function hearJoining(
  state: PrimaryDevice,
  { message, now }: { readonly message: Uint8Array; readonly now: Time },
): HeardJoining {
  if (state.at !== "offering" || state.exporter.wiped || state.secret.wiped) return { code: "used" };
  if (isOver(state.startedAt, now)) return { code: "expired" };
  const plain = openAnswer("join", state, message);
  if (typeof plain === "string") return { code: plain };
  const joining = total(() => decodeAll(joinBody, plain));
  plain.fill(0);
  if (joining === undefined) return { code: "malformed" };
  if (!equal(secretOf(joining.opening), state.secret.reveal())) return { code: "bad-opening" };
  if (!isProved(state, joining, now)) return { code: "bad-signature" };
  const digits = digitsOf(state.exporter, joining.opening);
  const { signingKey, dhKey, sealing, possession } = joining;
  state.secret.wipe();
  const { mailbox, offered, exporter, startedAt } = state;
  const next = { mailbox, offered, exporter, startedAt, digits, soFar: transcript(state.soFar, message) };
  return {
    code: "ok",
    state: { at: "comparing", ...next, joining: { signingKey, dhKey, sealing, possession } },
  };
}

/** The device has the private half of DS: under its number, for its sealing key, and for what was said so far. */
function isProved({ offered, soFar }: Offering, joining: Of<typeof joinBody>, now: Time): boolean {
  const { signingKey, sealing, possession, signature } = joining;
  const said = encode(joinFront, joining);
  const good =
    ed25519Verify(signingKey, signature, LABELS.signLinking, soFar, said) &&
    possessionIsGood(offered, signingKey, possession) &&
    sealingRecordIsGood(sealing, offered, signingKey, now);
  said.fill(0);
  return good;
}

export interface Confirming {
  /** As it is now: its list may have been issued again since the code was scanned. */
  readonly identity: Identity;
  readonly random: Random;
  readonly now: Time;
}

export type Confirmed =
  | {
      readonly code: "ok";
      readonly state: { readonly at: "over" };
      /** With the new list: stored, then published with the certificate, before the message is sent. */
      readonly identity: Identity;
      readonly certificate: Uint8Array;
      /** The new device's sealing key, verified. */
      readonly sealing: SealingRecord;
      /** The grant. */
      readonly message: Uint8Array;
    }
  | { readonly code: PrimaryRefusal };

/** The person has compared the digits and said yes: only now is anything signed. @throws Error on a linked device. */
export function confirmLinking(state: PrimaryDevice, { identity, random, now }: Confirming): Confirmed {
  if (state.at !== "comparing" || state.exporter.wiped) return { code: "used" };
  if (isOver(state.startedAt, now)) return { code: "expired" };
  const { offered, joining } = state;
  const { account, accountKey } = identity.certificate;
  if (account !== offered.account || !equal(accountKey, offered.accountKey)) return { code: "other-account" };
  const { device } = offered;
  const refusal = refuseAdding(identity.list, device);
  if (refusal !== undefined) return { code: refusal };
  const accountSeed = accountSeedOf(identity);
  const { signingKey, dhKey, possession } = joining;
  const said = { account, device, accountKey, signingKey, dhKey, createdAt: now };
  const certificate = certify(said, accountSeed, possession);
  const devices = [...identity.list.devices, { device, certificateHash: certificateHash(certificate) }];
  const list = succeed(identity.list, devices, { accountSeed, now });
  const granted = { certificate, deviceList: list.bytes, profileKey: identity.profileKey };
  const message = sealAnswer("grant", state, encode(grantBody, granted, 2_048), random);
  state.exporter.wipe();
  const { sealing } = joining;
  return { code: "ok", state: OVER, identity: { ...identity, list }, certificate, sealing, message };
}

/** Ends the run: the digits differ, or the person thinks better of it. Nothing was signed. */
export function abandonLinking(state: PrimaryDevice): { readonly at: "over" } {
  if (state.at !== "over") state.exporter.wipe();
  if (state.at === "offering") state.secret.wipe();
  return OVER;
}
