// One node's delivery: its flows, sessions and links, put together. Events in, effects out, nothing else: no clock, no
// chance, no promise. Always true: every store call's result comes back as one event; a session is found by its number
// alone, so an offer that names another owner is answered `not-owner`.
import type { AccountId, DeviceAddress, EnvelopeId, Position, ProblemCode } from "@lethe/protocol";
import type { Envelope, NodeId, Owner } from "@lethe/queue";
import * as flows from "./flow.ts";
import { Links } from "./link.ts";
import * as sessions from "./session.ts";
import {
  ALL_DELIVERY_RULES,
  type Answer,
  type Connection,
  type Counted,
  DELIVERY_LIMITS,
  type DeliveryLimits,
  type DeliveryRules,
  type Effect,
  type Instant,
  type LinkFrame,
  type NodeEvent,
  sameOwner,
  type StoreCall,
  type StoreResult,
  type StoreResults,
} from "./types.ts";

type Flow = flows.Flow;
type Session = sessions.Session;

/** What a store call's result is for. */
type Pending =
  | { readonly for: "lookUp"; readonly flow: Flow; readonly items: flows.Item[] }
  | { readonly for: "append"; readonly flow: Flow; readonly items: flows.Item[] }
  | { readonly for: "wake"; readonly flow: Flow; readonly items: flows.Item[] }
  | { readonly for: "claim"; readonly session: Session }
  | {
      readonly for: "ownerAppend";
      readonly session: Session;
      readonly batch: sessions.Offered[];
      readonly pushed: number;
    }
  | { readonly for: "release"; readonly session: Session; readonly batch: sessions.Offered[] }
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

interface Removal {
  readonly address: DeviceAddress;
  readonly entries: { position: Position; id: EnvelopeId }[];
}

/** Owners remembered of devices that nothing is under way to: about 15 MB. */
const MAX_ROUTES = 100_000;

export interface DeliveryNodeOptions {
  readonly node: NodeId;
  readonly limits?: DeliveryLimits;
  readonly rules?: DeliveryRules;
  /** False where there are no other nodes and never will be: what has no owner here is stored without a look-up. */
  readonly cluster?: boolean;
}

export class DeliveryNode {
  #id: NodeId;
  readonly #limits: DeliveryLimits;
  readonly #rules: DeliveryRules;
  readonly #cluster: boolean;
  #alive: ReadonlySet<NodeId>;
  readonly #flows = new Map<DeviceAddress, Flow>();
  readonly #routes = new Map<DeviceAddress, Owner>();
  readonly #sessions = new Map<number, Session>();
  readonly #byConnection = new Map<Connection, Session>();
  readonly #byAddress = new Map<DeviceAddress, Session>();
  readonly #calls = new Map<number, Pending>();
  readonly #links: Links;
  readonly #flowPort: flows.FlowPort & { now: Instant };
  readonly #sessionPort: sessions.SessionPort & { now: Instant };
  #retries: { at: Instant; removal: Removal }[] = [];
  #effects: Effect[] = [];
  readonly #counts = new Map<Counted, number>();
  #now: Instant = 0;
  #nextCall = 1;
  #nextSession = 1;
  #bytes = 0;
  #accepting = true;
  /** Without a lease: nobody may become an owner here. */
  #fenced = false;

  constructor(options: DeliveryNodeOptions) {
    this.#id = options.node;
    this.#limits = options.limits ?? DELIVERY_LIMITS;
    this.#rules = options.rules ?? ALL_DELIVERY_RULES;
    this.#cluster = options.cluster ?? true;
    this.#alive = new Set([options.node]);
    this.#links = new Links({
      open: (peer) => this.#effect({ do: "link-open", peer }),
      send: (peer, frame) => this.#effect({ do: "link-send", peer, frame }),
      lost: (peer) => this.#linkLost(peer),
    });
    this.#flowPort = this.#makeFlowPort();
    this.#sessionPort = this.#makeSessionPort();
  }

  get id(): NodeId {
    return this.#id;
  }

  /** What the operator sees: sizes, never whose. */
  sizes(): { sessions: number; flows: number; unsettledBytes: number; calls: number } {
    return {
      sessions: this.#sessions.size,
      flows: this.#flows.size,
      unsettledBytes: this.#bytes,
      calls: this.#calls.size,
    };
  }

  /** True when nothing is under way: every session closed, every call answered. */
  get idle(): boolean {
    return (
      this.#sessions.size === 0 &&
      this.#calls.size === 0 &&
      this.#flows.size === 0 &&
      this.#retries.length === 0
    );
  }

  /** Whether a device's session at this node is online, for presence. */
  isOnline(account: AccountId, devices: readonly DeviceAddress[]): boolean {
    return devices.some(
      (address) => address.startsWith(account) && this.#byAddress.get(address)?.phase !== undefined,
    );
  }

  sessionPhase(connection: Connection): sessions.Phase | undefined {
    return this.#byConnection.get(connection)?.phase;
  }

  /** When a `tick` has something to do, as far as this node knows now; infinity: not before something else happens. */
  nextDue(): Instant {
    let due = Number.POSITIVE_INFINITY;
    for (const flow of this.#flows.values())
      due = Math.min(due, flows.dueAt(flow, this.#limits.offerTimeout));
    for (const session of this.#sessions.values()) {
      due = Math.min(due, sessions.dueAt(session, this.#limits));
      if (this.#rules.look && session.phase === "live") due = Math.min(due, session.lookAt);
    }
    for (const { at } of this.#retries) due = Math.min(due, at);
    return due;
  }

  /** One event, at one instant of the node's monotonic clock. The effects are the caller's to carry out, in order. */
  step(event: NodeEvent, now: Instant): Effect[] {
    this.#now = now;
    this.#flowPort.now = now;
    this.#sessionPort.now = now;
    this.#handle(event);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #handle(event: NodeEvent): void {
    switch (event.is) {
      case "connected":
        return this.#connected(event.connection, event.address, event.epoch);
      case "gone":
        return this.#closeConnection(event.connection);
      case "submitted":
        return this.#submitted(event.connection, event.address, event.envelope);
      case "signalled":
        return this.#signalled(event.address, event.id, event.ciphertext);
      case "acked":
        return this.#acked(event.connection, event.ids);
      case "result":
        return this.#result(event.call, event.result);
      case "wakes":
        return this.#wakes(event.addresses);
      case "link-up":
        return this.#links.up(event.peer);
      case "link-down":
        return this.#links.down(event.peer);
      case "link-frame":
        return this.#linkFrame(event.peer, event.frame);
      case "leases":
        this.#alive = event.alive;
        return;
      case "fenced":
        this.#fenced = true;
        return this.#closeAll("fenced");
      case "renamed":
        this.#id = event.node;
        this.#fenced = false;
        return;
      case "store-moved":
        for (const session of [...this.#sessions.values()]) sessions.wake(session, this.#sessionPort);
        return;
      case "closing":
        this.#accepting = false;
        return this.#closeAll("shutting-down");
      case "tick":
        this.#tellCounts();
        return this.#tick();
    }
  }

  #effect(effect: Effect): void {
    this.#effects.push(effect);
  }

  /** Counts are gathered and told at the next tick: on a message's way they would be most of the effects. */
  #count(what: Counted, by: number): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + by);
  }

  #tellCounts(): void {
    for (const [what, by] of this.#counts) this.#effect({ do: "count", what, by });
    this.#counts.clear();
  }

  #call<V extends StoreCall["verb"]>(on: Extract<StoreCall, { verb: V }>, pending: Pending): void {
    const call = this.#nextCall++;
    this.#calls.set(call, pending);
    this.#effects.push({ do: "call", call, on });
  }

  // --- connections ---------------------------------------------------------------------------------------------------

  #connected(connection: Connection, address: DeviceAddress, epoch: number): void {
    if (!this.#accepting) {
      this.#effect({ do: "end", connection, code: "shutting-down" });
      return;
    }
    if (this.#fenced) {
      this.#effect({ do: "end", connection, code: "fenced" });
      return;
    }
    const me = { node: this.#id, session: this.#nextSession++ };
    const spread = (me.session * 7_919) % this.#limits.lookEvery;
    const session = sessions.newSession(
      me,
      address,
      connection,
      epoch,
      this.#now + this.#limits.lookEvery / 2 + spread / 2,
    );
    this.#sessions.set(me.session, session);
    this.#byConnection.set(connection, session);
    this.#call({ verb: "claim", arg: { address, owner: me, epoch } }, { for: "claim", session });
  }

  #closeConnection(connection: Connection): void {
    const session = this.#byConnection.get(connection);
    if (session !== undefined) sessions.close(session, undefined, this.#sessionPort);
  }

  #closeAll(code: ProblemCode): void {
    for (const session of [...this.#sessions.values()]) sessions.close(session, code, this.#sessionPort);
  }

  #acked(connection: Connection, ids: readonly EnvelopeId[]): void {
    const session = this.#byConnection.get(connection);
    if (session !== undefined) sessions.acked(session, ids, this.#sessionPort);
  }

  #wakes(addresses: readonly DeviceAddress[]): void {
    for (const address of addresses) {
      const session = this.#byAddress.get(address);
      if (session !== undefined) sessions.wake(session, this.#sessionPort);
    }
  }

  // --- submits -------------------------------------------------------------------------------------------------------

  #submitted(connection: Connection, address: DeviceAddress, envelope: Envelope): void {
    let flow = this.#flows.get(address);
    if (
      this.#bytes + envelope.ciphertext.length > this.#limits.nodeBytes &&
      flow?.items.has(envelope.id) !== true
    ) {
      this.#refused(connection, envelope.id, "busy");
      return;
    }
    if (flow === undefined) {
      flow = flows.newFlow(address);
      flow.route = this.#knownRoute(address);
      this.#flows.set(address, flow);
    }
    flows.submit(flow, envelope, connection, this.#flowPort);
    this.#flowChanged(flow);
  }

  // A session that has claimed here is the owner as far as this node can know; if it is not, it answers `not-owner`.
  #knownRoute(address: DeviceAddress): Owner | undefined {
    return this.#byAddress.get(address)?.me ?? this.#routes.get(address);
  }

  // May be called again while a change is under way: an answer may come within the call that it answers.
  #flowChanged(flow: Flow): void {
    this.#bytes += flow.bytes - flow.counted;
    flow.counted = flow.bytes;
    if (flow.items.size > 0 || flow.busy > 0 || this.#flows.get(flow.address) !== flow) return;
    this.#flows.delete(flow.address);
    this.#keepRoute(flow);
  }

  /** The answer of a look-up is kept as long as nothing speaks against it; the oldest goes first. */
  #keepRoute({ address, route }: Flow): void {
    this.#routes.delete(address);
    if (route === undefined || route.node === this.#id) return;
    this.#routes.set(address, route);
    if (this.#routes.size <= MAX_ROUTES) return;
    for (const oldest of this.#routes.keys()) {
      this.#routes.delete(oldest);
      return;
    }
  }

  #withFlow(flow: Flow, act: () => void): void {
    act();
    this.#flowChanged(flow);
  }

  #refused(connection: Connection, id: EnvelopeId, code: ProblemCode): void {
    this.#effect({ do: "refused", connection, id, code });
    this.#count("refused", 1);
  }

  #makeFlowPort(): flows.FlowPort & { now: Instant } {
    return {
      limits: this.#limits,
      rules: this.#rules,
      now: 0,
      alive: (owner) => owner.node === this.#id || this.#alive.has(owner.node),
      alone: !this.#cluster,
      lookUp: (flow, items) =>
        this.#call({ verb: "lookUp", arg: flow.address }, { for: "lookUp", flow, items }),
      append: (flow, items, suspect) =>
        this.#call(
          {
            verb: "appendUnlessOwned",
            arg: { address: flow.address, suspect, envelopes: items.map((i) => i.envelope) },
          },
          { for: "append", flow, items },
        ),
      wake: (flow, items, owner) =>
        this.#call(
          { verb: "wake", arg: { node: owner.node, address: flow.address } },
          { for: "wake", flow, items },
        ),
      offer: (flow, items, owner) => this.#offer(flow, items, owner),
      settled: (_flow, item, how) => {
        this.#effect({ do: "accepted", connection: item.connection, id: item.envelope.id });
        this.#count("accepted", 1);
        if (how === "delivered") this.#count("delivered-live", 1);
      },
      refused: (_flow, item, code) => this.#refused(item.connection, item.envelope.id, code),
    };
  }

  #offer(flow: Flow, items: flows.Item[], owner: Owner): void {
    const envelopes = items.map((item) => item.envelope);
    if (owner.node === this.#id) this.#offeredHere(flow.address, owner, envelopes, "here");
    else this.#links.send(owner.node, { is: "offer", owner, address: flow.address, envelopes });
  }

  #offeredHere(
    address: DeviceAddress,
    owner: Owner,
    envelopes: readonly Envelope[],
    from: sessions.Offerer,
  ): void {
    const session = this.#sessions.get(owner.session);
    if (owner.node === this.#id && session !== undefined && session.address === address) {
      sessions.offered(session, envelopes, from, this.#sessionPort);
      return;
    }
    this.#answer(
      address,
      owner,
      envelopes.map((e) => e.id),
      "not-owner",
      from,
    );
    this.#release(address, owner);
  }

  /** An owner record of this node that no session stands behind is given free. */
  #release(address: DeviceAddress, owner: Owner): void {
    this.#call({ verb: "appendAndRelease", arg: { address, owner, envelopes: [] } }, { for: "nothing" });
  }

  #answer(
    address: DeviceAddress,
    owner: Owner,
    ids: readonly EnvelopeId[],
    how: Answer,
    to: sessions.Offerer,
  ): void {
    if (to !== "here") {
      this.#links.sendIfOpen(to, { is: "answer", owner, address, ids, how });
      return;
    }
    const flow = this.#flows.get(address);
    if (flow !== undefined) this.#withFlow(flow, () => flows.answered(flow, owner, ids, how, this.#flowPort));
  }

  #signalled(address: DeviceAddress, id: EnvelopeId, ciphertext: Uint8Array): void {
    const session = this.#byAddress.get(address);
    if (session !== undefined)
      this.#effect({ do: "push", connection: session.connection, id, kind: "signal", ciphertext });
    else if (this.#alive.size > 1)
      this.#call({ verb: "lookUp", arg: address }, { for: "signal", address, id, ciphertext });
  }

  // --- sessions ------------------------------------------------------------------------------------------------------

  #makeSessionPort(): sessions.SessionPort & { now: Instant } {
    return {
      limits: this.#limits,
      rules: this.#rules,
      now: 0,
      claim: (s) =>
        this.#call(
          { verb: "claim", arg: { address: s.address, owner: s.me, epoch: s.epoch } },
          { for: "claim", session: s },
        ),
      appendAsOwner: (s, batch, pushed) =>
        this.#call(
          {
            verb: "appendAsOwner",
            arg: { address: s.address, owner: s.me, envelopes: batch.map((i) => i.envelope) },
          },
          { for: "ownerAppend", session: s, batch, pushed },
        ),
      appendAndRelease: (s, batch) =>
        this.#call(
          {
            verb: "appendAndRelease",
            arg: { address: s.address, owner: s.me, envelopes: batch.map((i) => i.envelope) },
          },
          { for: "release", session: s, batch },
        ),
      read: (s, maxEntries, maxBytes) =>
        this.#call(
          { verb: "read", arg: { address: s.address, after: s.cursor, maxEntries, maxBytes } },
          { for: "read", session: s },
        ),
      remove: (s, entries) => this.#remove({ address: s.address, entries }),
      welcome: (s) => this.#welcome(s),
      epochBehind: (s, last) => this.#effect({ do: "epoch-behind", connection: s.connection, last }),
      displace: (s, previous) => this.#displace(s.address, previous),
      push: (s, envelope) => {
        this.#effect({
          do: "push",
          connection: s.connection,
          id: envelope.id,
          kind: envelope.kind,
          ciphertext: envelope.ciphertext,
        });
        this.#count("pushed", 1);
      },
      drained: (s) => {
        this.#effect({ do: "drained", connection: s.connection });
        this.#count("drained", 1);
      },
      end: (s, code) => this.#effect({ do: "end", connection: s.connection, code }),
      answer: (s, items, how) => this.#answerItems(s, items, how),
      spilled: (_s, count) => this.#count("spilled", count),
      closed: (s) => this.#closed(s),
    };
  }

  #remove(removal: Removal): void {
    this.#call({ verb: "remove", arg: removal }, { for: "remove", removal });
  }

  #welcome(s: Session): void {
    this.#byAddress.set(s.address, s);
    this.#effect({ do: "welcome", connection: s.connection });
    this.#effect({ do: "presence", address: s.address, online: true });
  }

  // Best effort: a displaced owner finds out anyway, at its next fenced call or its socket's end.
  #displace(address: DeviceAddress, previous: Owner): void {
    if (previous.node !== this.#id) {
      if (this.#alive.has(previous.node))
        this.#links.send(previous.node, { is: "displace", owner: previous, address });
      return;
    }
    const session = this.#sessions.get(previous.session);
    if (session !== undefined) sessions.close(session, "displaced", this.#sessionPort);
  }

  #answerItems(s: Session, items: readonly sessions.Offered[], how: Answer): void {
    if (how === "stored") this.#count("stored", items.length);
    if (items.length === 1) {
      const item = items[0] as sessions.Offered;
      for (const to of item.from) this.#answer(s.address, s.me, [item.envelope.id], how, to);
      return;
    }
    const byOfferer = new Map<sessions.Offerer, EnvelopeId[]>();
    for (const item of items)
      for (const to of item.from) {
        const ids = byOfferer.get(to);
        if (ids === undefined) byOfferer.set(to, [item.envelope.id]);
        else ids.push(item.envelope.id);
      }
    for (const [to, ids] of byOfferer) this.#answer(s.address, s.me, ids, how, to);
  }

  #closed(s: Session): void {
    this.#sessions.delete(s.me.session);
    this.#byConnection.delete(s.connection);
    if (this.#byAddress.get(s.address) !== s) return;
    this.#byAddress.delete(s.address);
    this.#effect({ do: "presence", address: s.address, online: false });
  }

  // --- store results -------------------------------------------------------------------------------------------------

  #result(call: number, result: StoreResult): void {
    const pending = this.#calls.get(call);
    if (pending === undefined) return;
    this.#calls.delete(call);
    switch (pending.for) {
      case "lookUp":
        return this.#withFlow(pending.flow, () =>
          flows.found(pending.flow, pending.items, result as StoreResults["lookUp"], this.#flowPort),
        );
      case "append":
        return this.#appended(pending.flow, pending.items, result as StoreResults["appendUnlessOwned"]);
      case "wake":
        return this.#withFlow(pending.flow, () => flows.woken(pending.flow, pending.items, this.#flowPort));
      case "claim":
        return sessions.claimed(pending.session, result as StoreResults["claim"], this.#sessionPort);
      case "ownerAppend":
        return sessions.appendedAsOwner(
          pending.session,
          pending.batch,
          pending.pushed,
          result as StoreResults["appendAsOwner"],
          this.#sessionPort,
        );
      case "release":
        return sessions.released(
          pending.session,
          pending.batch,
          result as StoreResults["appendAndRelease"],
          this.#sessionPort,
        );
      case "read":
        return sessions.page(pending.session, result as StoreResults["read"], this.#sessionPort);
      case "look":
        return sessions.looked(pending.session, result as StoreResults["look"], this.#sessionPort);
      case "remove":
        if ((result as StoreResults["remove"]).is === "failed")
          this.#retries.push({ at: this.#now + this.#limits.retryEvery, removal: pending.removal });
        return;
      case "signal":
        return this.#signalFound(pending, result as StoreResults["lookUp"]);
      case "nothing":
        return;
    }
  }

  #appended(flow: Flow, items: flows.Item[], result: StoreResults["appendUnlessOwned"]): void {
    if (result.is === "stored")
      this.#count("stored", result.outcomes.filter((o) => typeof o === "number").length);
    this.#withFlow(flow, () => flows.appended(flow, items, result, this.#flowPort));
  }

  #signalFound(signal: Extract<Pending, { for: "signal" }>, result: StoreResults["lookUp"]): void {
    if (result.is !== "found" || result.owner === undefined || result.owner.node === this.#id) return;
    if (!this.#alive.has(result.owner.node)) return;
    this.#links.send(result.owner.node, {
      is: "signal",
      address: signal.address,
      id: signal.id,
      ciphertext: signal.ciphertext,
    });
  }

  // --- links ---------------------------------------------------------------------------------------------------------

  #linkFrame(peer: NodeId, frame: LinkFrame): void {
    switch (frame.is) {
      case "offer":
        return this.#offeredHere(frame.address, frame.owner, frame.envelopes, peer);
      case "answer": {
        const flow = this.#flows.get(frame.address);
        if (flow !== undefined)
          this.#withFlow(flow, () => flows.answered(flow, frame.owner, frame.ids, frame.how, this.#flowPort));
        return;
      }
      case "displace": {
        const session = this.#sessions.get(frame.owner.session);
        if (session !== undefined && sameOwner(session.me, frame.owner))
          sessions.close(session, "displaced", this.#sessionPort);
        return;
      }
      case "signal":
        return this.#signalled(frame.address, frame.id, frame.ciphertext);
    }
  }

  #linkLost(peer: NodeId): void {
    for (const flow of [...this.#flows.values()])
      this.#withFlow(flow, () => flows.linkLost(flow, peer, this.#flowPort));
  }

  // --- time ----------------------------------------------------------------------------------------------------------

  #tick(): void {
    for (const flow of [...this.#flows.values()])
      this.#withFlow(flow, () => flows.overdue(flow, this.#flowPort));
    for (const session of [...this.#sessions.values()]) {
      sessions.tick(session, this.#sessionPort);
      if (this.#rules.look && session.phase === "live" && this.#now >= session.lookAt) {
        session.lookAt = this.#now + this.#limits.lookEvery;
        this.#call({ verb: "look", arg: session.address }, { for: "look", session });
      }
    }
    const due = this.#retries.filter((retry) => retry.at <= this.#now);
    if (due.length === 0) return;
    this.#retries = this.#retries.filter((retry) => retry.at > this.#now);
    for (const retry of due) this.#remove(retry.removal);
  }
}
