// A node's accepting side: its flows, one for each device that something is under way to, and the routes it remembers.
// Always true: what a flow holds is counted in `bytes`, and a ciphertext that envelopes share once, since it is in memory once,
// for as long as any of them is not settled; a flow that holds nothing and waits for nothing is gone within
// a second: making and dropping one for each message would cost more than the rest of its way.
import type { DeviceAddress, EnvelopeId, ProblemCode } from "@lethe/protocol";
import type { Envelope, NodeId, Owner, PayloadId } from "@lethe/queue";
import * as flows from "./flow.ts";
import type { AcceptingPurpose, NodeState } from "./node-state.ts";
import type {
  Addressed,
  Answer,
  Connection,
  Instant,
  SharedEnvelope,
  StoreResult,
  StoreResults,
} from "./types.ts";

type Flow = flows.Flow;

/** Owners remembered of devices that nothing is under way to: about 15 MB. */
const MAX_ROUTES = 100_000;
/** How long a flow is kept that nothing is under way in, ms. */
const REST_MS = 1_000;

export interface AcceptingPort {
  /** The session here that has claimed the mailbox, if any. */
  ownerHere(address: DeviceAddress): Owner | undefined;
  /** An offer to a session of this very node. */
  offeredHere(address: DeviceAddress, owner: Owner, envelopes: readonly Envelope[]): void;
  /** There are no other nodes and never will be. */
  readonly alone: boolean;
}

export class Accepting {
  readonly #state: NodeState;
  readonly #port: AcceptingPort;
  readonly #flows = new Map<DeviceAddress, Flow>();
  readonly #routes = new Map<DeviceAddress, Owner>();
  /** What envelopes share, while any of them is not settled. */
  readonly #shared = new Map<PayloadId, flows.Shared>();
  readonly #flowPort: flows.FlowPort & { now: Instant };
  #bytes = 0;
  #active = 0;

  constructor(state: NodeState, port: AcceptingPort) {
    this.#state = state;
    this.#port = port;
    this.#flowPort = this.#makeFlowPort();
  }

  /** Flows that hold or wait for something. */
  get flows(): number {
    return this.#active;
  }

  /** Bytes of all that is not settled. */
  get bytes(): number {
    return this.#bytes;
  }

  at(now: Instant): void {
    this.#flowPort.now = now;
  }

  nextDue(): Instant {
    let due = Number.POSITIVE_INFINITY;
    for (const flow of this.#flows.values())
      due = Math.min(due, flows.dueAt(flow, this.#state.limits.offerTimeout));
    return due;
  }

  /** The same ciphertext for each; an upload that is tried again shares the bytes that are here already. */
  submittedGroup(
    connection: Connection,
    { kind, expiry, ciphertext, payload }: SharedEnvelope,
    to: readonly Addressed[],
  ): void {
    for (const { address, id } of to) {
      const shared = this.#shared.get(payload) ?? { payload, ciphertext, items: 0 };
      const envelope = { id, kind, expiry, ciphertext: shared.ciphertext, payload };
      this.submitted(connection, address, envelope, shared);
    }
  }

  submitted(connection: Connection, address: DeviceAddress, envelope: Envelope, shared?: flows.Shared): void {
    let flow = this.#flows.get(address);
    const isHere = shared !== undefined && shared.items > 0;
    const isOver = !isHere && this.#bytes + envelope.ciphertext.length > this.#state.limits.nodeBytes;
    if (isOver && flow?.items.has(envelope.id) !== true) {
      this.#refused(connection, envelope.id, "busy");
      return;
    }
    if (flow === undefined) {
      flow = flows.newFlow(address);
      flow.route = this.#routes.size > 0 ? this.#routes.get(address) : undefined;
      this.#flows.set(address, flow);
    }
    if (!flow.active) this.#wake(flow);
    flows.submit(flow, envelope, connection, this.#flowPort, shared);
    if (shared !== undefined && !isHere && shared.items > 0) {
      this.#shared.set(shared.payload, shared);
      this.#bytes += shared.ciphertext.length;
    }
    this.#changed(flow);
  }

  #unshared(shared: flows.Shared): void {
    if (this.#shared.get(shared.payload) !== shared) return;
    this.#shared.delete(shared.payload);
    this.#bytes -= shared.ciphertext.length;
  }

  #wake(flow: Flow): void {
    const { route } = flow;
    // A session that has claimed here is the owner as far as this node can know; if it is not, it answers `not-owner`.
    flow.route = this.#port.ownerHere(flow.address) ?? (route?.node === this.#state.id ? undefined : route);
    flow.active = true;
    this.#active++;
  }

  answered(address: DeviceAddress, owner: Owner, ids: readonly EnvelopeId[], how: Answer): void {
    const flow = this.#flows.get(address);
    if (flow === undefined) return;
    flows.answered(flow, owner, ids, how, this.#flowPort);
    this.#changed(flow);
  }

  result(purpose: AcceptingPurpose, result: StoreResult): void {
    const { flow, items } = purpose;
    if (purpose.for === "lookUp") flows.found(flow, items, result as StoreResults["lookUp"], this.#flowPort);
    else if (purpose.for === "append")
      this.#appended(flow, items, result as StoreResults["appendUnlessOwned"]);
    else flows.woken(flow, items, this.#flowPort);
    this.#changed(flow);
  }

  #appended(flow: Flow, items: flows.Item[], result: StoreResults["appendUnlessOwned"]): void {
    if (result.is === "stored") this.#state.count("stored", numbersIn(result.outcomes));
    flows.appended(flow, items, result, this.#flowPort);
  }

  linkLost(peer: NodeId): void {
    this.#each((flow) => flows.linkLost(flow, peer, this.#flowPort));
  }

  tick(): void {
    this.#each((flow) => {
      if (flow.active) flows.overdue(flow, this.#flowPort);
      else if (this.#state.now - flow.idleSince >= REST_MS) this.#drop(flow);
    });
  }

  #each(act: (flow: Flow) => void): void {
    for (const flow of [...this.#flows.values()]) {
      act(flow);
      this.#changed(flow);
    }
  }

  // May be called again while a change is under way: an answer may come within the call that it answers.
  #changed(flow: Flow): void {
    const own = flow.bytes - flow.sharedBytes;
    this.#bytes += own - flow.counted;
    flow.counted = own;
    if (!flow.active || flow.items.size > 0 || flow.busy > 0) return;
    flow.active = false;
    flow.idleSince = this.#state.now;
    this.#active--;
  }

  #drop(flow: Flow): void {
    this.#flows.delete(flow.address);
    this.#keepRoute(flow);
  }

  /** The answer of a look-up is kept as long as nothing speaks against it; the oldest goes first. */
  #keepRoute({ address, route }: Flow): void {
    this.#routes.delete(address);
    if (route === undefined || route.node === this.#state.id) return;
    this.#routes.set(address, route);
    if (this.#routes.size <= MAX_ROUTES) return;
    for (const oldest of this.#routes.keys()) {
      this.#routes.delete(oldest);
      return;
    }
  }

  #refused(connection: Connection, id: EnvelopeId, code: ProblemCode): void {
    this.#state.effect({ do: "refused", connection, id, code });
    this.#state.count("refused", 1);
  }

  #makeFlowPort(): flows.FlowPort & { now: Instant } {
    const state = this.#state;
    return {
      limits: state.limits,
      rules: state.rules,
      now: 0,
      alone: this.#port.alone,
      alive: (owner) => owner.node === state.id || state.alive.has(owner.node),
      lookUp: (flow, items) =>
        state.call({ verb: "lookUp", arg: flow.address }, { for: "lookUp", flow, items }),
      append: (flow, items, suspect) => {
        const envelopes = items.map((item) => item.envelope);
        const arg = { address: flow.address, suspect, envelopes };
        state.call({ verb: "appendUnlessOwned", arg }, { for: "append", flow, items });
      },
      wake: (flow, items, owner) => {
        const arg = { node: owner.node, address: flow.address };
        state.call({ verb: "wake", arg }, { for: "wake", flow, items });
      },
      offer: (flow, items, owner) => this.#offer(flow, items, owner),
      unshared: (shared) => this.#unshared(shared),
      settled: (_flow, item, how) => {
        state.effect({ do: "accepted", connection: item.connection, id: item.envelope.id });
        state.count("accepted", 1);
        if (how === "delivered") state.count("delivered-live", 1);
      },
      refused: (_flow, item, code) => this.#refused(item.connection, item.envelope.id, code),
    };
  }

  // Most offers are one envelope: no closure for it.
  #offer({ address }: Flow, items: flows.Item[], owner: Owner): void {
    const [first] = items;
    const envelopes =
      items.length === 1 && first !== undefined ? [first.envelope] : items.map((item) => item.envelope);
    if (owner.node === this.#state.id) this.#port.offeredHere(address, owner, envelopes);
    else this.#state.links.send(owner.node, { is: "offer", owner, address, envelopes });
  }
}

function numbersIn(outcomes: readonly (number | string)[]): number {
  let numbers = 0;
  for (const outcome of outcomes) if (typeof outcome === "number") numbers++;
  return numbers;
}
