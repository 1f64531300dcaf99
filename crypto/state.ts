// The state of one ratchet between two devices. Immutable: every step returns a new one, which the caller commits or
// drops. Always true: a state that came out of a step has been proved by an AEAD tag, or is one's own sending.
import type { DeviceAddress, Time } from "@lethe/protocol";
import type { Secret } from "./secret.ts";

declare const brand: unique symbol;
/** 16 bytes from the key agreement, the same on both sides. */
export type RatchetId = string & { readonly [brand]: "RatchetId" };

/** An X25519 key pair of a ratchet step. */
export interface KeyPair {
  readonly secret: Secret;
  readonly publicKey: Uint8Array;
}

/** Our half: due for a new key at the next sending, or in a chain. */
export type Sending =
  | { readonly at: "due"; readonly previousCount: number }
  | {
      readonly at: "chain";
      readonly own: KeyPair;
      readonly key: Secret;
      readonly next: number;
      readonly previousCount: number;
    };

/** The peer's half: only its key known, or in a chain. */
export type Receiving =
  | { readonly at: "none"; readonly peer: Uint8Array }
  | {
      readonly at: "chain";
      readonly peer: Uint8Array;
      readonly key: Secret;
      readonly next: number;
      /** Message numbers below this one may have been dropped unopened. */
      readonly lostBelow: number;
      /** Tags of the last messages opened, oldest first, at most `TAG_RING`. */
      readonly tags: readonly SeenTag[];
    };

export interface SeenTag {
  readonly n: number;
  /** First 8 bytes of the AEAD tag. */
  readonly tag: Uint8Array;
}

/** A key kept for a message that has not arrived yet. */
export interface SkippedKey {
  /** Ratchet key of its chain. */
  readonly peer: Uint8Array;
  readonly n: number;
  readonly key: Secret;
  readonly since: Time;
}

/** A receiving chain that has ended. */
export interface PastChain {
  readonly peer: Uint8Array;
  /** How many messages it had, as far as we know. */
  readonly next: number;
  readonly lostBelow: number;
  /** Kept for the newest past chain, empty in older ones. */
  readonly tags: readonly SeenTag[];
}

/** The Double Ratchet itself, without what it is bound to. */
export interface DoubleRatchet {
  readonly root: Secret;
  readonly sending: Sending;
  readonly receiving: Receiving;
  /** Oldest first, at most `MAX_SKIPPED`. */
  readonly skipped: readonly SkippedKey[];
  /** Oldest first, at most `MAX_PAST_CHAINS`. */
  readonly past: readonly PastChain[];
  /** The chains before those by name (`past-chains.ts`), oldest first, at most `MAX_OLDER_CHAINS`. */
  readonly older: Uint8Array;
}

/** Whether the peer has proved that it has the ratchet: until then the initiator repeats how it was started. */
export type Standing =
  | { readonly at: "unconfirmed"; readonly prelude: Uint8Array }
  | { readonly at: "confirmed" };

/** Where a peer has ended a ratchet: nothing genuine on it has a later number, or a newer ratchet key. */
export interface ChainEnd {
  /** Ratchet key of its last chain; undefined: the last one that the reader knows, which the reader has answered. */
  readonly key: Uint8Array | undefined;
  /** How many messages that chain has. */
  readonly count: number;
}

/** What a new ratchet takes the place of, as its initiator says: the ratchet it would have used for sending. */
export interface Replaced {
  readonly id: RatchetId;
  /** The highest generation that the initiator knows with that device: the new ratchet's is above it. */
  readonly generation: number;
  /** Undefined where the initiator cannot know: its store was restored. */
  readonly end: ChainEnd | undefined;
}

export interface Ratchet {
  readonly id: RatchetId;
  readonly peer: DeviceAddress;
  readonly role: "initiator" | "responder";
  readonly standing: Standing;
  readonly headerKey: Secret;
  /** AD0: bound to both identities and to the whole key agreement, in every message's associated data. */
  readonly ad: Uint8Array;
  readonly createdAt: Time;
  /** Said by the initiator, known to both sides; undefined where it knew of none. */
  readonly replaces: Replaced | undefined;
  /** Where the peer has ended it; its `key` is always given. */
  readonly ended: ChainEnd | undefined;
  /** Messages sent since the peer was last heard on this ratchet. */
  readonly unanswered: number;
  /** What the peer has shown to know of us: id of our sealing key ("" for none), version of our device list (0: none). */
  readonly peerKnows: { readonly sealing: string; readonly listVersion: number };
  readonly core: DoubleRatchet;
}
