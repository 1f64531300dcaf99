// What goes into and comes out of a node's delivery machines: events, effects, store calls, link frames. All of it is
// data; sockets, timers and stores at the edge carry effects out and decide nothing.
import type { DeviceAddress, EnvelopeId, ProblemCode } from "@lethe/protocol";
import type {
  AppendUnlessOwned,
  AppendUnlessOwnedResult,
  Claim,
  ClaimResult,
  Envelope,
  EnvelopeKind,
  LookResult,
  LookUpResult,
  NoDevice,
  NodeId,
  Owner,
  OwnerAppend,
  OwnerAppendResult,
  PayloadId,
  Read,
  ReadResult,
  Remove,
  StoreFailure,
} from "@lethe/queue";

/** A client's connection at this node, numbered by the edge; never used again. */
export type Connection = number;

/** Milliseconds on the node's monotonic clock. Wall-clock time is only the store's. */
export type Instant = number;

/** How an offer was settled, or why it comes back. `not-owner` means: store it yourself. */
export type Answer =
  | "delivered"
  | "stored"
  | "not-owner"
  | "mailbox-full"
  | "expired"
  | "storage-full"
  | "storage-failed"
  | "no-device";

/** Node to node. Offers and answers of one link keep their order; a broken link loses what was in it. */
export type LinkFrame =
  | {
      readonly is: "offer";
      readonly owner: Owner;
      readonly address: DeviceAddress;
      readonly envelopes: readonly Envelope[];
    }
  | {
      readonly is: "answer";
      readonly owner: Owner;
      readonly address: DeviceAddress;
      readonly ids: readonly EnvelopeId[];
      readonly how: Answer;
    }
  | { readonly is: "displace"; readonly owner: Owner; readonly address: DeviceAddress }
  | {
      readonly is: "signal";
      readonly address: DeviceAddress;
      readonly id: EnvelopeId;
      readonly ciphertext: Uint8Array;
    };

/** The calls that the machines make of a store, one item each: the edge gathers them into batches. */
export type StoreCall =
  | { readonly verb: "lookUp"; readonly arg: DeviceAddress }
  | { readonly verb: "claim"; readonly arg: Claim }
  | { readonly verb: "appendUnlessOwned"; readonly arg: AppendUnlessOwned }
  | { readonly verb: "appendAsOwner"; readonly arg: OwnerAppend }
  | { readonly verb: "appendAndRelease"; readonly arg: OwnerAppend }
  | { readonly verb: "read"; readonly arg: Read }
  | { readonly verb: "remove"; readonly arg: Remove }
  | { readonly verb: "look"; readonly arg: DeviceAddress }
  | { readonly verb: "wake"; readonly arg: { readonly node: NodeId; readonly address: DeviceAddress } };

export interface StoreResults {
  lookUp: LookUpResult | NoDevice | StoreFailure;
  claim: ClaimResult;
  appendUnlessOwned: AppendUnlessOwnedResult;
  appendAsOwner: OwnerAppendResult;
  appendAndRelease: OwnerAppendResult;
  read: ReadResult;
  remove: { readonly is: "done" } | StoreFailure;
  look: LookResult;
  wake: { readonly is: "done" } | StoreFailure;
}

export type Verb = StoreCall["verb"];
export type StoreResult = StoreResults[Verb];

/** What the envelopes of one upload have in common. */
export type SharedEnvelope = Omit<Envelope, "id" | "payload"> & { readonly payload: PayloadId };

/** One of them: for which device, under which id. */
export interface Addressed {
  readonly address: DeviceAddress;
  readonly id: EnvelopeId;
}

export type NodeEvent =
  /** A device has proved itself and said its connection epoch. */
  | {
      readonly is: "connected";
      readonly connection: Connection;
      readonly address: DeviceAddress;
      readonly epoch: number;
    }
  /** A device's connection has ended, for whatever reason. */
  | { readonly is: "gone"; readonly connection: Connection }
  /** A permitted submit of one envelope for one device. */
  | {
      readonly is: "submitted";
      readonly connection: Connection;
      readonly address: DeviceAddress;
      readonly envelope: Envelope;
    }
  /** Permitted submits of one ciphertext for many devices, each of which settles alone. */
  | {
      readonly is: "submitted-group";
      readonly connection: Connection;
      readonly shared: SharedEnvelope;
      readonly to: readonly Addressed[];
    }
  | {
      readonly is: "signalled";
      readonly address: DeviceAddress;
      readonly id: EnvelopeId;
      readonly ciphertext: Uint8Array;
    }
  | { readonly is: "acked"; readonly connection: Connection; readonly ids: readonly EnvelopeId[] }
  /** The answer to effect `call` of the same number. */
  | { readonly is: "result"; readonly call: number; readonly result: StoreResult }
  | { readonly is: "wakes"; readonly addresses: readonly DeviceAddress[] }
  | { readonly is: "link-up"; readonly peer: NodeId }
  | { readonly is: "link-down"; readonly peer: NodeId }
  | { readonly is: "link-frame"; readonly peer: NodeId; readonly frame: LinkFrame }
  /** The nodes whose leases live, as far as this node knows. */
  | { readonly is: "leases"; readonly alive: ReadonlySet<NodeId> }
  /** The node's own lease is lost: every session closes. `renamed` follows with the new id. */
  | { readonly is: "fenced" }
  | { readonly is: "renamed"; readonly node: NodeId }
  /** The store's connection was lost or the store failed over: positions and claims known so far may not hold. */
  | { readonly is: "store-moved" }
  /** The node is going down: every session spills and releases. */
  | { readonly is: "closing" }
  /** Time passes: every 50 ms or so. */
  | { readonly is: "tick" };

export type Effect =
  | { readonly do: "call"; readonly call: number; readonly on: StoreCall }
  | { readonly do: "welcome"; readonly connection: Connection }
  | { readonly do: "epoch-behind"; readonly connection: Connection; readonly last: number }
  | {
      readonly do: "push";
      readonly connection: Connection;
      readonly id: EnvelopeId;
      readonly kind: EnvelopeKind | "signal";
      readonly ciphertext: Uint8Array;
    }
  | { readonly do: "drained"; readonly connection: Connection }
  | { readonly do: "accepted"; readonly connection: Connection; readonly id: EnvelopeId }
  | {
      readonly do: "refused";
      readonly connection: Connection;
      readonly id: EnvelopeId;
      readonly code: ProblemCode;
    }
  /** The edge sends what it has for the connection, then the code, then ends it; `gone` need not follow. */
  | { readonly do: "end"; readonly connection: Connection; readonly code: ProblemCode }
  | { readonly do: "link-open"; readonly peer: NodeId }
  | { readonly do: "link-send"; readonly peer: NodeId; readonly frame: LinkFrame }
  | { readonly do: "presence"; readonly address: DeviceAddress; readonly online: boolean }
  | { readonly do: "count"; readonly what: Counted; readonly by: number };

/** What the machines count for the operator. */
export type Counted =
  | "accepted"
  | "delivered-live"
  | "stored"
  | "spilled"
  | "pushed"
  | "drained"
  | "refused"
  | "unresolved";

/** Limits and times of the delivery machines. */
export interface DeliveryLimits {
  /** Unsettled envelopes and their bytes for one recipient device at one accepting node; over it: `busy`. */
  readonly flowEnvelopes: number;
  readonly flowBytes: number;
  /** Bytes of all unsettled envelopes at one node, a ciphertext that many share counted once; over it: `busy`. */
  readonly nodeBytes: number;
  /** Pushed and not acknowledged, per session. */
  readonly pushEnvelopes: number;
  readonly pushBytes: number;
  /** Live window: start, lower and upper bound, ms. Start 0: store first. */
  readonly liveStart: number;
  readonly liveMin: number;
  readonly liveMax: number;
  /** Longer than `liveMax` and an append together, ms. */
  readonly offerTimeout: number;
  /** Envelopes that one tick spills before it leaves who else is due to the next: many readers may freeze at once. */
  readonly tickSpills: number;
  /** How often a live session looks at its own mailbox, ms. */
  readonly lookEvery: number;
  /** Pause before a failed removal or read is tried again, ms. */
  readonly retryEvery: number;
}

export const DELIVERY_LIMITS: DeliveryLimits = {
  flowEnvelopes: 4_096,
  flowBytes: 16 * 1_048_576,
  nodeBytes: 256 * 1_048_576,
  pushEnvelopes: 64,
  pushBytes: 262_144,
  liveStart: 2_000,
  liveMin: 400,
  liveMax: 5_000,
  offerTimeout: 12_000,
  tickSpills: 2_000, // 25 ms of work, and half of the time to the next tick
  lookEvery: 60_000,
  retryEvery: 500,
};

/** Rules that a test build switches off one at a time, to see that the checks notice. All are on in the relay. */
export interface DeliveryRules {
  readonly wake: boolean;
  readonly look: boolean;
  readonly acceptedAfterStored: boolean;
  readonly removeOnAck: boolean;
  readonly spillOnClose: boolean;
  readonly appendInOrder: boolean;
  /** Only a read that returns nothing makes a session live. */
  readonly liveOnEmptyRead: boolean;
  /** `stored` is answered when the store has said so, not before. */
  readonly storedAfterAppend: boolean;
  /** What is pushed and not acknowledged is not pushed again on the same connection. */
  readonly pushOnce: boolean;
  /** No more is pushed than the window holds. */
  readonly window: boolean;
  /** An offer to a live session is pushed at once, and touches no store. */
  readonly liveFirst: boolean;
}

export const ALL_DELIVERY_RULES: DeliveryRules = {
  wake: true,
  look: true,
  acceptedAfterStored: true,
  removeOnAck: true,
  spillOnClose: true,
  appendInOrder: true,
  liveOnEmptyRead: true,
  storedAfterAppend: true,
  pushOnce: true,
  window: true,
  liveFirst: true,
};

export function sameOwner(a: Owner | undefined, b: Owner | undefined): boolean {
  return a !== undefined && b !== undefined && a.session === b.session && a.node === b.node;
}
