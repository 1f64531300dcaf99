// The record of small interfaces that a backend is, and what else the relay needs of it: signs of life and deferred work.
import type { Time } from "@lethe/protocol";
import type { Directory } from "./directory.ts";
import type { LinkingMailboxes } from "./linking.ts";
import type { Mailbox, NodeId } from "./mailbox.ts";
import type { MediaLedger } from "./media.ts";

/**
 * Nodes' signs of life, by the store's clock.
 * - L1: a node is alive from a `renew` until `ttl` ms after its last one, or until `release`.
 * - L2: a renewal after the lease ran out answers `lost`: the id never comes back to life.
 */
export interface Leases {
  /** `address` is where other nodes reach this one; empty where there are no others. */
  renew(node: NodeId, address: string, ttl: number): Promise<"held" | "lost">;
  release(node: NodeId): Promise<void>;
  alive(nodes: readonly NodeId[]): Promise<readonly boolean[]>;
  addresses(): Promise<ReadonlyMap<NodeId, string>>;
}

export type ChoreHandler = (payload: string) => Promise<void>;

/** A chore's payload, bytes: a word or a number, never an envelope and never a person's id, since it lies about in the clear. */
export const MAX_PAYLOAD_BYTES = 256;

/** @throws RangeError */
export function checkPayload(payload: string): void {
  if (Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES)
    throw new RangeError(`a chore's payload has at most ${MAX_PAYLOAD_BYTES} bytes`);
}

/**
 * Deferred work, at least once, never on a message's way.
 * - C1: a chore that was scheduled runs at or after its time, also after a restart, until its handler has resolved.
 * - C2: one that fails runs again later, with growing pauses; scheduling the same key again replaces it.
 * - C3: where several relays share a store, one of them runs a chore, and no two at the same time.
 * - C4: a payload is short (MAX_PAYLOAD_BYTES); a longer one is refused by a RangeError.
 */
export interface Chores {
  /** One handler a name; set before `start`. */
  handle(name: string, handler: ChoreHandler): void;
  schedule(chore: { name: string; key: string; at: Time; payload: string }): Promise<void>;
  start(): void;
}

export interface Backend {
  readonly mailbox: Mailbox;
  readonly directory: Directory;
  readonly leases: Leases;
  readonly linking: LinkingMailboxes;
  readonly media: MediaLedger;
  readonly chores: Chores;
  /** What of the store's own configuration contradicts what is promised of it; empty where nothing does. */
  doubts(): Promise<readonly Doubt[]>;
  /** The store's own clock, by which mail expires and leases end. */
  clock(): Promise<Time>;
  /** Has files let go of what was removed, where the store does not do so by itself: how many were rewritten. @throws StoreFailedError */
  readonly rewriteFiles?: () => Promise<number>;
  /** Settles what was begun and closes everything, in reverse order of opening. */
  close(): Promise<void>;
}

/** A setting of the store that is not what the promises need. */
export interface Doubt {
  /** Stable, for programs. */
  readonly code:
    | "evicts"
    | "no-append-only-file"
    | "not-synced"
    | "snapshots"
    | "rewrites-by-itself"
    | "large-nodes"
    | "replicas-missing"
    | "not-readable";
  /** `broken`: what was accepted may be lost although nothing fails. `weak`: it may be when something does, or is kept longer. */
  readonly is: "broken" | "weak";
  readonly says: string;
  readonly mend: string;
}

/** Limits of mailboxes; each has its refusal. */
export interface MailboxLimits {
  /** Undelivered envelopes of a device. */
  readonly envelopes: number;
  /** Undelivered ciphertext bytes of a device. */
  readonly bytes: number;
}

export const DEFAULT_MAILBOX_LIMITS: MailboxLimits = { envelopes: 10_000, bytes: 64 * 1_048_576 };

export interface EmbeddedConfig {
  readonly kind: "embedded";
  /** The data folder; created if missing, locked while open. */
  readonly folder: string;
  readonly now: () => Time;
  readonly limits: MailboxLimits;
  /** Reports of the store's own health: codes and counts, never content. */
  readonly report: (event: StoreEvent) => void;
}

export interface RedisConfig {
  readonly kind: "redis";
  /** `redis://`, `rediss://`, `redis-sentinel://host:port,host:port/master` or `redis-cluster://host:port,host:port`. */
  readonly url: string;
  /** Recorded in a store when it is first opened: 256 unless said otherwise. */
  readonly shards?: number;
  /** Replicas that must have a write before it is answered: the k of WAIT. */
  readonly replicas: number;
  readonly limits: MailboxLimits;
  /** Only for tests: the store's own clock where it is left out. */
  readonly now?: () => Time;
  /** Time-out of every call, ms. */
  readonly commandMs?: number;
  /** Reports of the store's own health: codes and counts, never content. */
  readonly report: (event: StoreEvent) => void;
}

export type StoreEvent =
  | { readonly is: "recovered"; readonly envelopes: number; readonly segments: number; readonly ms: number }
  | { readonly is: "torn-tail"; readonly segment: string; readonly bytes: number }
  | { readonly is: "corrupt-record"; readonly segment: string; readonly count: number }
  /** Envelopes whose payload is gone, found and removed. */
  | { readonly is: "payload-missing"; readonly count: number }
  | { readonly is: "storage-full" }
  | { readonly is: "storage-room-again" }
  | { readonly is: "sync-failed"; readonly code: string }
  | { readonly is: "storage-failed"; readonly code: string }
  /** A connection to the store was lost and is back, perhaps to another server: what was known of the store may not hold. */
  | { readonly is: "store-moved" };
