// Receiving: first the seal is opened, which says what is needed from the store; then the message, with that. Pure and
// total: any bytes give an outcome, and nothing in it is to be remembered unless the outcome carries it.
import type { DeviceAddress, EnvelopeId, Time } from "@lethe/protocol";
import type { Identity } from "./identity.ts";
import { OUTCOMES, type OutcomeCode } from "./outcomes.ts";
import type { ContentKind } from "./pairwise.ts";
import type { PeerDevice, PinnedAccount } from "./peer.ts";
import type { PrekeyId, PrekeyRecord } from "./prekeys.ts";
import type { Ratchet } from "./state.ts";

/** A device list by its version and the first 16 bytes of its hash. */
export interface ListView {
  readonly version: number;
  readonly hash: Uint8Array;
}

/** An envelope whose seal is open. Nothing in it is proved yet. */
export interface UnsealedEnvelope {
  readonly sender: DeviceAddress;
  readonly content: ContentKind;
  /** What a first message asks of the store; undefined for a message of a ratchet that the sender takes as known. */
  readonly first: FirstMessageNeeds | undefined;
  /** Id of the sealing key that was used. */
  readonly sealingId: string;
  readonly inner: unknown;
}

export interface FirstMessageNeeds {
  /** Ids of the private prekeys to look up; those not found are left out. */
  readonly prekeys: readonly PrekeyId[];
  /** 16 bytes: whether this is among the replay tags kept decides `replayed`. */
  readonly replayTag: string;
}

export type Unsealed =
  | { readonly code: "ok"; readonly envelope: UnsealedEnvelope }
  | { readonly code: "malformed" | "not-sealed-for-us" | "key-expired" };

/** Opens the seal (HPKE, RFC 9180). */
export function unseal(_input: {
  readonly identity: Identity;
  readonly ciphertext: Uint8Array;
  readonly envelope: EnvelopeId;
  readonly now: Time;
}): Unsealed {
  throw new Error("not built yet");
}

export interface Opening {
  readonly identity: Identity;
  readonly envelope: UnsealedEnvelope;
  /** The sender's device as stored; undefined where it is not known yet. */
  readonly peer: PeerDevice | undefined;
  /** What is pinned of the sender's account, if anything: `peer`, or another device of that account. */
  readonly pinned: PinnedAccount | undefined;
  /** Every ratchet with that device that is kept, the one used for sending first. */
  readonly ratchets: readonly Ratchet[];
  /** The private prekeys that `first` names, as far as they are still there. */
  readonly prekeys: readonly PrekeyRecord[];
  /** Whether `first.replayTag` is kept. */
  readonly replayed: boolean;
  readonly now: Time;
}

/** How the list version and hash that a message names stand to the list that we hold. */
export type ListStanding = "same" | "older" | "newer" | "forked";

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
  /** A tag to keep until then: the same first message again is a duplicate. */
  readonly replayTag: { readonly tag: string; readonly until: Time } | undefined;
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
}

export type Outcome = Opened | OpenedWithoutContent | NotOpened;

/** Opens the message of an unsealed envelope. See `OUTCOMES` for what each code means for the acknowledgement. */
export function open(_opening: Opening): Outcome {
  throw new Error("not built yet");
}

/** Whether a resend may be asked for after this outcome. */
export function mayAskResend(outcome: Outcome): boolean {
  return OUTCOMES[outcome.code].resend && "tagVerified" in outcome && outcome.tagVerified;
}
