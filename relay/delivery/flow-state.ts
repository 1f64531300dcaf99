// What an accepting node keeps of each recipient device, and what a flow asks of its node.
// Always true: a flow's items are those of its window, in order; `fresh` are those of them that wait for a route.
import type { DeviceAddress } from "@lethe/protocol";
import type { Envelope, Owner, PayloadId } from "@lethe/queue";
import type { Answer, Connection, DeliveryLimits, DeliveryRules, Instant } from "./types.ts";
import { Window } from "./window.ts";

/** A ciphertext that envelopes of many flows share, while any of them is not settled. */
export interface Shared {
  readonly payload: PayloadId;
  readonly ciphertext: Uint8Array;
  /** Of how many envelopes in all flows. */
  items: number;
}

export interface Item {
  readonly envelope: Envelope;
  readonly shared: Shared | undefined;
  /** Where the answer goes: the connection that asked last. */
  connection: Connection;
  at: "new" | "looking" | "offered" | "appending";
  to: Owner | undefined;
  since: Instant;
}

export interface Flow {
  readonly address: DeviceAddress;
  /** Unsettled items, in the order in which they came. */
  readonly items: Window<Item>;
  /** Items that wait for a route, in order. */
  fresh: Item[];
  /** Look-ups and appends under way. */
  busy: number;
  /** The owner that offers go to, as long as nothing speaks against it. */
  route: Owner | undefined;
  bytes: number;
  /** Of its bytes, those of ciphertexts that others share: the node counts them apart. */
  sharedBytes: number;
  /** Of its other bytes, those that the node has counted. */
  counted: number;
  /** Holds or waits for something, as far as the node has counted. */
  active: boolean;
  idleSince: Instant;
}

/** What a flow asks of its node. */
export interface FlowPort {
  readonly limits: DeliveryLimits;
  readonly rules: DeliveryRules;
  readonly now: Instant;
  /** There are no other nodes: an owner would be here, so nobody is looked up before an append. */
  readonly alone: boolean;
  alive(owner: Owner): boolean;
  lookUp(flow: Flow, items: Item[]): void;
  append(flow: Flow, items: Item[], suspect: Owner | undefined): void;
  offer(flow: Flow, items: Item[], owner: Owner): void;
  wake(flow: Flow, items: Item[], owner: Owner): void;
  /** The last envelope that shares it is settled. */
  unshared(shared: Shared): void;
  settled(flow: Flow, item: Item, how: "delivered" | "stored"): void;
  refused(flow: Flow, item: Item, code: Exclude<Answer, "delivered" | "stored" | "not-owner"> | "busy"): void;
}

/** Nothing is ever put into it: the first of each turn makes an array of its own. */
export const NONE: Item[] = [];

export function newFlow(address: DeviceAddress): Flow {
  return {
    address,
    items: new Window(),
    fresh: NONE,
    busy: 0,
    route: undefined,
    bytes: 0,
    sharedBytes: 0,
    counted: 0,
    active: false,
    idleSince: 0,
  };
}
