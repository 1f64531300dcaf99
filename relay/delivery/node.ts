// One node's delivery: its accepting and its owning side, put together. Events in, effects out, nothing else: no clock,
// no chance, no promise. Always true: every store call's result comes back as one event.
import type { DeviceAddress } from "@lethe/protocol";
import type { NodeId } from "@lethe/queue";
import { Accepting } from "./accepting.ts";
import { NodeState } from "./node-state.ts";
import { Owning } from "./owning.ts";
import type { Phase } from "./session.ts";
import {
  ALL_DELIVERY_RULES,
  type Connection,
  DELIVERY_LIMITS,
  type DeliveryLimits,
  type DeliveryRules,
  type Effect,
  type Instant,
  type LinkFrame,
  type NodeEvent,
  type StoreResult,
} from "./types.ts";

export interface DeliveryNodeOptions {
  readonly node: NodeId;
  readonly limits?: DeliveryLimits;
  readonly rules?: DeliveryRules;
  /** False where there are no other nodes and never will be: what has no owner here is stored without a look-up. */
  readonly cluster?: boolean;
}

export class DeliveryNode {
  readonly #state: NodeState;
  readonly #accepting: Accepting;
  readonly #owning: Owning;
  /** `fenced`: without a lease, nobody may become an owner here. */
  #admits: "all" | "none-fenced" | "none-closing" = "all";

  constructor(options: DeliveryNodeOptions) {
    this.#state = new NodeState({
      id: options.node,
      limits: options.limits ?? DELIVERY_LIMITS,
      rules: options.rules ?? ALL_DELIVERY_RULES,
      linkLost: (peer) => this.#accepting.linkLost(peer),
    });
    this.#owning = new Owning(this.#state, {
      answeredHere: (address, owner, ids, how) => this.#accepting.answered(address, owner, ids, how),
    });
    this.#accepting = new Accepting(this.#state, {
      alone: options.cluster === false,
      ownerHere: (address) => this.#owning.ownerHere(address),
      offeredHere: (address, owner, envelopes) => this.#owning.offered(address, owner, envelopes, "here"),
    });
  }

  get id(): NodeId {
    return this.#state.id;
  }

  /** What the operator sees: sizes, never whose. */
  sizes(): { sessions: number; flows: number; unsettledBytes: number; calls: number } {
    return {
      sessions: this.#owning.sessions,
      flows: this.#accepting.flows,
      unsettledBytes: this.#accepting.bytes,
      calls: this.#state.calls,
    };
  }

  /** True when nothing is under way: every session closed, every flow settled, every call answered. */
  get idle(): boolean {
    return this.#owning.idle && this.#state.calls === 0 && this.#accepting.flows === 0;
  }

  sessionPhase(connection: Connection): Phase | undefined {
    return this.#owning.phaseOf(connection);
  }

  /** When a `tick` has something to do, as far as this node knows now; infinity: not before something else happens. */
  nextDue(): Instant {
    return Math.min(this.#accepting.nextDue(), this.#owning.nextDue());
  }

  /** One event, at one instant of the node's monotonic clock. The effects are the caller's to carry out, in order. */
  step(event: NodeEvent, now: Instant): readonly Effect[] {
    this.#state.now = now;
    this.#accepting.at(now);
    this.#owning.at(now);
    this.#handle(event);
    return this.#state.takeEffects();
  }

  #handle(event: NodeEvent): void {
    switch (event.is) {
      case "connected":
        return this.#connected(event.connection, event.address, event.epoch);
      case "gone":
        return this.#owning.gone(event.connection);
      case "submitted":
        return this.#accepting.submitted(event.connection, event.address, event.envelope);
      case "submitted-group":
        return this.#accepting.submittedGroup(event.connection, event.shared, event.to);
      case "signalled":
        return this.#owning.signalled(event.address, event.id, event.ciphertext);
      case "acked":
        return this.#owning.acked(event.connection, event.ids);
      case "result":
        return this.#result(event.call, event.result);
      case "wakes":
        return this.#owning.wakes(event.addresses);
      case "link-up":
        return this.#state.links.up(event.peer);
      case "link-down":
        return this.#state.links.down(event.peer);
      case "link-frame":
        return this.#linkFrame(event.peer, event.frame);
      case "leases":
        this.#state.alive = event.alive;
        return;
      case "fenced":
        if (this.#admits === "all") this.#admits = "none-fenced";
        return this.#owning.closeAll("fenced");
      case "renamed":
        this.#state.id = event.node;
        if (this.#admits === "none-fenced") this.#admits = "all";
        return;
      case "store-moved":
        return this.#owning.wakeAll();
      case "closing":
        this.#admits = "none-closing";
        return this.#owning.closeAll("shutting-down");
      case "tick":
        return this.#tick();
    }
  }

  #connected(connection: Connection, address: DeviceAddress, epoch: number): void {
    if (this.#admits === "all") return this.#owning.connected(connection, address, epoch);
    const code = this.#admits === "none-fenced" ? "fenced" : "shutting-down";
    this.#state.effect({ do: "end", connection, code });
  }

  #result(call: number, result: StoreResult): void {
    const purpose = this.#state.takeCall(call);
    if (purpose === undefined) return;
    switch (purpose.for) {
      case "lookUp":
      case "append":
      case "wake":
        return this.#accepting.result(purpose, result);
      default:
        return this.#owning.result(purpose, result);
    }
  }

  #linkFrame(peer: NodeId, frame: LinkFrame): void {
    switch (frame.is) {
      case "offer":
        return this.#owning.offered(frame.address, frame.owner, frame.envelopes, peer);
      case "answer":
        return this.#accepting.answered(frame.address, frame.owner, frame.ids, frame.how);
      case "displace":
        return this.#owning.displaced(frame.owner);
      case "signal":
        return this.#owning.signalled(frame.address, frame.id, frame.ciphertext);
    }
  }

  #tick(): void {
    this.#state.tellCounts();
    this.#accepting.tick();
    this.#owning.tick();
  }
}
