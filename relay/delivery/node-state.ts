// What the two sides of one node share: who it is, which nodes live, its links, the instant of the event under way, the
// effects that it brings forth, and what each store call's result is for. Always true: a call's purpose is taken once.
import type { DeviceAddress, EnvelopeId, Position } from "@lethe/protocol";
import type { NodeId } from "@lethe/queue";
import type { Flow, Item } from "./flow.ts";
import { Links } from "./link.ts";
import type { Offered, Session } from "./session.ts";
import type { Counted, DeliveryLimits, DeliveryRules, Effect, Instant, StoreCall } from "./types.ts";

export interface Removal {
  readonly address: DeviceAddress;
  readonly entries: { position: Position; id: EnvelopeId }[];
}

/** What a store call of the accepting side is for. */
export type AcceptingPurpose =
  | { readonly for: "lookUp"; readonly flow: Flow; readonly items: Item[] }
  | { readonly for: "append"; readonly flow: Flow; readonly items: Item[] }
  | { readonly for: "wake"; readonly flow: Flow; readonly items: Item[] };

/** What a store call of the owning side is for. */
export type OwningPurpose =
  | { readonly for: "claim"; readonly session: Session }
  | {
      readonly for: "ownerAppend";
      readonly session: Session;
      readonly batch: Offered[];
      readonly pushed: number;
    }
  | { readonly for: "release"; readonly session: Session; readonly batch: Offered[] }
  | { readonly for: "read"; readonly session: Session }
  | { readonly for: "look"; readonly session: Session }
  | { readonly for: "remove"; readonly removal: Removal }
  | {
      readonly for: "signal";
      readonly address: DeviceAddress;
      readonly id: EnvelopeId;
      readonly ciphertext: Uint8Array;
    }
  | { readonly for: "nothing" };

export type Purpose = AcceptingPurpose | OwningPurpose;

export interface NodeStateOptions {
  readonly id: NodeId;
  readonly limits: DeliveryLimits;
  readonly rules: DeliveryRules;
  readonly linkLost: (peer: NodeId) => void;
}

/**
 * A call's number is a running number and its slot. Slots and not a Map: entries that come and go make a Map rebuild its
 * table again and again, and each table left behind keeps alive what stood in it until the whole heap is collected.
 */
const CALL_SLOTS = 2 ** 20;
/** Nothing is ever put into it. */
const NO_EFFECTS: Effect[] = [];

export class NodeState {
  id: NodeId;
  readonly limits: DeliveryLimits;
  readonly rules: DeliveryRules;
  /** The nodes whose leases live, as far as is known. */
  alive: ReadonlySet<NodeId>;
  readonly links: Links;
  now: Instant = 0;
  #effects: Effect[] = NO_EFFECTS;
  readonly #counts = new Map<Counted, number>();
  /** Purposes of the calls under way, each in a slot; and the calls that the slots belong to now. */
  readonly #purposes: (Purpose | undefined)[] = [];
  readonly #callIn: number[] = [];
  readonly #freeSlots: number[] = [];
  #called = 0;

  constructor({ id, limits, rules, linkLost }: NodeStateOptions) {
    this.id = id;
    this.limits = limits;
    this.rules = rules;
    this.alive = new Set([id]);
    this.links = new Links({
      open: (peer) => this.effect({ do: "link-open", peer }),
      send: (peer, frame) => this.effect({ do: "link-send", peer, frame }),
      lost: linkLost,
    });
  }

  get calls(): number {
    return this.#purposes.length - this.#freeSlots.length;
  }

  // Most events bring forth one effect: an array of one is a tenth of what an empty one grows to.
  effect(effect: Effect): void {
    if (this.#effects.length === 0) this.#effects = [effect];
    else this.#effects.push(effect);
  }

  takeEffects(): readonly Effect[] {
    const effects = this.#effects;
    this.#effects = NO_EFFECTS;
    return effects;
  }

  /** Counts are gathered and told at the next tick: on a message's way they would be most of the effects. */
  count(what: Counted, by: number): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + by);
  }

  tellCounts(): void {
    for (const [what, by] of this.#counts) this.effect({ do: "count", what, by });
    this.#counts.clear();
  }

  call(on: StoreCall, purpose: Purpose): void {
    const slot = this.#freeSlots.pop() ?? this.#purposes.length;
    const call = ++this.#called * CALL_SLOTS + slot;
    this.#purposes[slot] = purpose;
    this.#callIn[slot] = call;
    this.effect({ do: "call", call, on });
  }

  /** What the result of a call is for; undefined for one that was answered before. */
  takeCall(call: number): Purpose | undefined {
    const slot = call % CALL_SLOTS;
    const purpose = this.#purposes[slot];
    if (purpose === undefined || this.#callIn[slot] !== call) return undefined;
    this.#purposes[slot] = undefined;
    this.#freeSlots.push(slot);
    return purpose;
  }
}
