// Receiving: first the seal is opened, which says what is needed from the store; then the message, with that. Pure and
// total: any bytes give an outcome, and nothing in it is to be remembered unless the outcome carries it.
import { type DeviceAddress, decodeAll, type Time } from "@lethe/protocol";
import { type News, unpackContent } from "./content.ts";
import type { DeviceList } from "./device-list.ts";
import { receive } from "./double-ratchet.ts";
import {
  type ContentKind,
  type ListView,
  type OpeningSeal,
  type OpenSeal,
  openSeal,
  readIntroduction,
  tagIsGood,
  viewOf,
} from "./envelope.ts";
import { HEADER_BYTES, type Header, isHeaderOf, readHeader } from "./header.ts";
import { addressOfIdentity, type Identity } from "./identity.ts";
import { total } from "./layout.ts";
import { mayBeResent, type OutcomeCode } from "./outcomes.ts";
import { isRemoved, learn, type PeerDevice, type PinnedAccount } from "./peer.ts";
import { type Prelude, prelude, replayTagOf } from "./pqxdh.ts";
import type { PrekeyId, PrekeyRecord } from "./prekeys.ts";
import { begin } from "./respond.ts";
import { equal } from "./primitives.ts";
import { behindEnd } from "./replaced.ts";
import type { Ratchet, RatchetId } from "./state.ts";
import { letheSuite } from "./suite.ts";

/** An envelope whose seal is open. Nothing in it is proved yet. */
export interface UnsealedEnvelope {
  readonly sender: DeviceAddress;
  readonly content: ContentKind;
  /** What a first message asks of the store; undefined for a message of a ratchet that the sender takes as known. */
  readonly first: FirstMessageNeeds | undefined;
  /** For `open` only. */
  readonly seal: OpenSeal;
}

export interface FirstMessageNeeds {
  /** Ids of the private prekeys to look up; those not found are left out. */
  readonly prekeys: readonly PrekeyId[];
  /** 16 bytes, one character a byte: whether it is among the replay tags kept decides `replayed`. */
  readonly replayTag: string;
  /** For `open` only. */
  readonly prelude: Prelude;
}

export type Unsealed =
  | { readonly code: "ok"; readonly envelope: UnsealedEnvelope }
  | { readonly code: "malformed" | "not-sealed-for-us" | "key-expired" };

/** Opens the seal (HPKE, RFC 9180). About 0.25 ms. */
export function unseal(opening: OpeningSeal): Unsealed {
  const seal = openSeal(opening);
  if (typeof seal === "string") return { code: seal };
  const { sender, content, opening: starts } = seal.head;
  if (starts === undefined) return { code: "ok", envelope: { sender, content, first: undefined, seal } };
  const said = total(() => decodeAll(prelude, starts.prelude));
  if (said === undefined) return { code: "malformed" };
  const prekeys = [said.signed, ...(said.oneTime === undefined ? [] : [said.oneTime]), said.kem];
  const first = { prekeys, replayTag: replayTagOf(said), prelude: said };
  return { code: "ok", envelope: { sender, content, first, seal } };
}

export interface Opening {
  readonly identity: Identity;
  readonly envelope: UnsealedEnvelope;
  /** The sender's device as stored; undefined where it is not known yet. */
  readonly peer: PeerDevice | undefined;
  /** What is pinned of the sender's account, if anything: `peer`, or another device of that account. */
  readonly pinned: PinnedAccount | undefined;
  /** Every ratchet with that device that is kept; the header's MAC picks one. The likeliest first saves time. */
  readonly ratchets: readonly Ratchet[];
  /** The private prekeys that `first` names, as far as they are still there. */
  readonly prekeys: readonly PrekeyRecord[];
  /** Whether `first.replayTag` is kept. */
  readonly replayed: boolean;
  readonly now: Time;
}

/** How the list version and hash that a message names stand to the list that we hold. */
export type ListStanding = "same" | "older" | "newer" | "forked";

/** A tag to keep until then: the same first message again is a duplicate. */
export interface ReplayTag {
  readonly tag: string;
  readonly until: Time;
}

/** All of it is committed in one transaction, then the envelope is acknowledged. */
export interface Opened {
  readonly code: "ok";
  readonly content: ContentKind;
  readonly plaintext: Uint8Array;
  /** Replaces the ratchet of the same id, or is new (`isNew`). */
  readonly ratchet: Ratchet;
  readonly isNew: boolean;
  /** The sender's device: to be stored; at `firstSight` its account key is pinned by that. */
  readonly peer: PeerDevice;
  readonly firstSight: boolean;
  /** One-time prekeys to delete. */
  readonly consumed: readonly PrekeyId[];
  readonly replayTag: ReplayTag | undefined;
  /** The sender's own list as it names it, against the one we hold: `newer` asks for a fetch, `forked` is an alarm. */
  readonly theirList: ListStanding;
  /** Our list as the sender has seen it: `older` mends itself, `newer` and `forked` are an alarm. */
  readonly ourList: ListStanding;
}

/** Decrypted, but without content: everything is committed as for `ok`, except that there is nothing to deliver. */
export type OpenedWithoutContent = Omit<Opened, "code" | "plaintext"> & {
  readonly code: "malformed-content";
};

/** Nothing is to be remembered. `tagVerified`: the sender tag is that of the device named, so a resend may be asked. */
export interface NotOpened {
  readonly code: Exclude<OutcomeCode, "ok" | "malformed-content">;
  readonly tagVerified: boolean;
  /** What a resend request names, where the header could be read. */
  readonly failed?: Failed;
}

export interface Failed {
  /** The ratchet whose key the header has; undefined where none that is kept. */
  readonly ratchet: RatchetId | undefined;
  /** The ratchet key in the header, 32 bytes. */
  readonly ratchetKey: Uint8Array;
}

export type Outcome = Opened | OpenedWithoutContent | NotOpened;

/**
 * Opens the message of an unsealed envelope. `OUTCOMES` says what each code means for the client.
 * @throws RangeError if `peer` is not the device that `envelope.sender` names.
 */
export function open(opening: Opening): Outcome {
  const { envelope, peer } = opening;
  const { seal, sender } = envelope;
  if (peer !== undefined && peer.address !== sender) throw new RangeError(); // not the sender's device
  if (sender === addressOfIdentity(opening.identity)) return { code: "untrusted-device", tagVerified: false };
  if (peer !== undefined && !tagIsGood(peer.tagKey.reveal(), seal))
    return { code: "bad-sender-tag", tagVerified: false };
  if (peer !== undefined && isRemoved(peer, opening.pinned?.list))
    return { code: "untrusted-device", tagVerified: false };
  const header = total(() => readHeader(seal.message));
  if (header === undefined || header.first !== (envelope.first !== undefined))
    return { code: "malformed", tagVerified: peer !== undefined };
  const ratchet = opening.ratchets.find((kept) => kept.peer === sender && isHeaderOf(kept, header));
  if (ratchet !== undefined && peer !== undefined)
    return advance(opening, header, { ratchet, peer, fresh: undefined });
  if (envelope.first !== undefined) return openFirst(opening, header, envelope.first);
  const known = opening.ratchets.length > 0;
  const failed = failedWith(undefined, header);
  return { code: known ? "header-mac" : "unknown-session", tagVerified: peer !== undefined, failed };
}

function failedWith(ratchet: RatchetId | undefined, header: Header): Failed {
  return { ratchet, ratchetKey: header.counters.publicKey };
}

function openFirst(opening: Opening, header: Header, first: FirstMessageNeeds): Outcome {
  const begun = begin(opening, first);
  const failed = failedWith(undefined, header);
  if (begun.code !== "ok") return { ...begun, failed };
  if (!isHeaderOf(begun.ratchet, header)) return { code: "header-mac", tagVerified: true, failed };
  return advance(opening, header, { ratchet: begun.ratchet, peer: begun.peer, fresh: begun.fresh });
}

/** What a new ratchet brings with it. */
export interface Fresh {
  readonly firstSight: boolean;
  readonly consumed: readonly PrekeyId[];
  readonly replayTag: ReplayTag | undefined;
}

interface Advancing {
  readonly ratchet: Ratchet;
  readonly peer: PeerDevice;
  readonly fresh: Fresh | undefined;
}

/** Decrypts on a copy of the ratchet. From here on the header is the peer's. */
function advance(opening: Opening, header: Header, { ratchet, peer, fresh }: Advancing): Outcome {
  const { seal } = opening.envelope;
  const { publicKey, n } = header.counters;
  const failed = failedWith(fresh === undefined ? ratchet.id : undefined, header);
  const refusal = behindEnd(ratchet, publicKey, n);
  if (refusal !== undefined) return { code: refusal, tagVerified: true, failed };
  const received = receive(letheSuite, ratchet.core, {
    counters: header.counters,
    ad: [ratchet.ad, header.bytes, seal.context],
    sealed: seal.message.subarray(HEADER_BYTES),
    now: opening.now,
  });
  if (received.code !== "ok") return { code: received.code, tagVerified: true, failed };
  const parts = unpackContent(received.plaintext, header.first);
  const known = learn(peer, newsIn(seal, parts), opening.now);
  const committed = {
    content: opening.envelope.content,
    ratchet: heard(ratchet, received.core, seal),
    isNew: fresh !== undefined,
    peer: known,
    firstSight: fresh?.firstSight ?? false,
    consumed: fresh?.consumed ?? [],
    replayTag: fresh?.replayTag,
    theirList: standing(seal.head.senderList, known.list),
    ourList: standing(seal.head.recipientList, opening.identity.list),
  };
  if (parts === undefined) return { code: "malformed-content", ...committed };
  return { code: "ok", plaintext: parts.content, ...committed };
}

const NOTHING: News = { sealing: undefined, deviceList: undefined };

/** News of the sender: in its introduction as long as there is one, inside the message later. */
function newsIn(seal: OpenSeal, parts: News | undefined): News {
  const { opening } = seal.head;
  if (opening === undefined) return parts ?? NOTHING;
  return total(() => readIntroduction(opening.introduction)) ?? NOTHING;
}

/** The peer has the ratchet, has read up to here, and knows of us what it used. */
function heard(ratchet: Ratchet, core: Ratchet["core"], seal: OpenSeal): Ratchet {
  const peerKnows = { sealing: seal.sealingId, listVersion: seal.head.recipientList.version };
  return { ...ratchet, core, standing: { at: "confirmed" }, unanswered: 0, peerKnows };
}

function standing(said: ListView, held: DeviceList): ListStanding {
  if (said.version !== held.version) return said.version < held.version ? "older" : "newer";
  return equal(said.hash, viewOf(held).hash) ? "same" : "forked";
}

/** Whether a resend may be asked for after this outcome. */
export function mayAskResend(outcome: Outcome): boolean {
  return mayBeResent(outcome.code) && "tagVerified" in outcome && outcome.tagVerified;
}
