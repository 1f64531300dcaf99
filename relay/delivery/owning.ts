// A node's owning side: its sessions, one for each connected device. Always true: a session is found by its number
// alone, so an offer that names another owner is answered `not-owner`; a removal that failed is tried again.
import type { DeviceAddress, EnvelopeId, ProblemCode } from "@lethe/protocol";
import type { Envelope, Owner } from "@lethe/queue";
import type { NodeState, OwningPurpose, Removal } from "./node-state.ts";
import * as sessions from "./session.ts";
import {
  type Answer,
  type Connection,
  type Instant,
  sameOwner,
  type StoreResult,
  type StoreResults,
} from "./types.ts";

type Session = sessions.Session;

export interface OwningPort {
  /** An answer to this node's own flow. */
  answeredHere(address: DeviceAddress, owner: Owner, ids: readonly EnvelopeId[], how: Answer): void;
}

export class Owning {
  readonly #state: NodeState;
  readonly #port: OwningPort;
  readonly #sessions = new Map<number, Session>();
  readonly #byConnection = new Map<Connection, Session>();
  readonly #byAddress = new Map<DeviceAddress, Session>();
  readonly #sessionPort: sessions.SessionPort & { now: Instant };
  #retries: { at: Instant; removal: Removal }[] = [];
  #nextSession = 1;

  constructor(state: NodeState, port: OwningPort) {
    this.#state = state;
    this.#port = port;
    this.#sessionPort = this.#makeSessionPort();
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  get idle(): boolean {
    return this.#sessions.size === 0 && this.#retries.length === 0;
  }

  at(now: Instant): void {
    this.#sessionPort.now = now;
  }

  nextDue(): Instant {
    let due = Number.POSITIVE_INFINITY;
    for (const session of this.#sessions.values()) {
      due = Math.min(due, sessions.dueAt(session, this.#state.limits));
      if (this.#state.rules.look && session.phase === "live") due = Math.min(due, session.lookAt);
    }
    for (const { at } of this.#retries) due = Math.min(due, at);
    return due;
  }

  ownerHere(address: DeviceAddress): Owner | undefined {
    return this.#byAddress.get(address)?.me;
  }

  phaseOf(connection: Connection): sessions.Phase | undefined {
    return this.#byConnection.get(connection)?.phase;
  }

  connected(connection: Connection, address: DeviceAddress, epoch: number): void {
    const { id, now, limits } = this.#state;
    const me = { node: id, session: this.#nextSession++ };
    const spread = (me.session * 7_919) % limits.lookEvery;
    const firstLook = now + limits.lookEvery / 2 + spread / 2;
    const session = sessions.newSession(me, address, connection, epoch, firstLook);
    this.#sessions.set(me.session, session);
    this.#byConnection.set(connection, session);
    this.#state.call({ verb: "claim", arg: { address, owner: me, epoch } }, { for: "claim", session });
  }

  gone(connection: Connection): void {
    const session = this.#byConnection.get(connection);
    if (session !== undefined) sessions.close(session, undefined, this.#sessionPort);
  }

  closeAll(code: ProblemCode): void {
    for (const session of [...this.#sessions.values()]) sessions.close(session, code, this.#sessionPort);
  }

  acked(connection: Connection, ids: readonly EnvelopeId[]): void {
    const session = this.#byConnection.get(connection);
    if (session !== undefined) sessions.acked(session, ids, this.#sessionPort);
  }

  wakes(addresses: readonly DeviceAddress[]): void {
    for (const address of addresses) {
      const session = this.#byAddress.get(address);
      if (session !== undefined) sessions.wake(session, this.#sessionPort);
    }
  }

  /** The store may have forgotten or brought back what it had: every session reads from the start. */
  wakeAll(): void {
    for (const session of [...this.#sessions.values()]) sessions.wake(session, this.#sessionPort);
  }

  offered(
    address: DeviceAddress,
    owner: Owner,
    envelopes: readonly Envelope[],
    from: sessions.Offerer,
  ): void {
    const session = this.#sessions.get(owner.session);
    if (owner.node === this.#state.id && session !== undefined && session.address === address) {
      sessions.offered(session, envelopes, from, this.#sessionPort);
      return;
    }
    const ids = envelopes.map((envelope) => envelope.id);
    this.#answer(address, owner, ids, "not-owner", from);
    // An owner record of this node that no session stands behind is given free.
    const arg = { address, owner, envelopes: [] };
    this.#state.call({ verb: "appendAndRelease", arg }, { for: "nothing" });
  }

  displaced(owner: Owner): void {
    const session = this.#sessions.get(owner.session);
    if (session !== undefined && sameOwner(session.me, owner))
      sessions.close(session, "displaced", this.#sessionPort);
  }

  signalled(address: DeviceAddress, id: EnvelopeId, ciphertext: Uint8Array): void {
    const session = this.#byAddress.get(address);
    const state = this.#state;
    if (session !== undefined)
      state.effect({ do: "push", connection: session.connection, id, kind: "signal", ciphertext });
    else if (state.alive.size > 1)
      state.call({ verb: "lookUp", arg: address }, { for: "signal", address, id, ciphertext });
  }

  result(purpose: OwningPurpose, result: StoreResult): void {
    const port = this.#sessionPort;
    switch (purpose.for) {
      case "claim":
        return sessions.claimed(purpose.session, result as StoreResults["claim"], port);
      case "ownerAppend": {
        const { session, batch, pushed } = purpose;
        return sessions.appendedAsOwner(
          session,
          batch,
          pushed,
          result as StoreResults["appendAsOwner"],
          port,
        );
      }
      case "release":
        return sessions.released(
          purpose.session,
          purpose.batch,
          result as StoreResults["appendAndRelease"],
          port,
        );
      case "read":
        return sessions.page(purpose.session, result as StoreResults["read"], port);
      case "look":
        return sessions.looked(purpose.session, result as StoreResults["look"], port);
      case "remove":
        return this.#removed(purpose.removal, result as StoreResults["remove"]);
      case "signal":
        return this.#signalFound(purpose, result as StoreResults["lookUp"]);
      case "nothing":
        return;
    }
  }

  tick(): void {
    const { now, limits, rules } = this.#state;
    let spilled = 0;
    // A session that its tick closes leaves the map while it is walked, which a Map allows; none is added.
    for (const session of this.#sessions.values()) {
      if (spilled < limits.tickSpills && sessions.mayBeDue(session))
        spilled += sessions.tick(session, this.#sessionPort);
      if (!rules.look || session.phase !== "live" || now < session.lookAt) continue;
      session.lookAt = now + limits.lookEvery;
      this.#state.call({ verb: "look", arg: session.address }, { for: "look", session });
    }
    const due = this.#retries.filter((retry) => retry.at <= now);
    if (due.length === 0) return;
    this.#retries = this.#retries.filter((retry) => retry.at > now);
    for (const { removal } of due) this.#remove(removal);
  }

  #remove(removal: Removal): void {
    this.#state.call({ verb: "remove", arg: removal }, { for: "remove", removal });
  }

  #removed(removal: Removal, result: StoreResults["remove"]): void {
    const { now, limits } = this.#state;
    if (result.is === "failed") this.#retries.push({ at: now + limits.retryEvery, removal });
  }

  #signalFound(signal: Extract<OwningPurpose, { for: "signal" }>, result: StoreResults["lookUp"]): void {
    const { id: here, alive, links } = this.#state;
    if (result.is !== "found" || result.owner === undefined || result.owner.node === here) return;
    if (!alive.has(result.owner.node)) return;
    const { address, id, ciphertext } = signal;
    links.send(result.owner.node, { is: "signal", address, id, ciphertext });
  }

  #answer(
    address: DeviceAddress,
    owner: Owner,
    ids: readonly EnvelopeId[],
    how: Answer,
    to: sessions.Offerer,
  ): void {
    if (to === "here") this.#port.answeredHere(address, owner, ids, how);
    else this.#state.links.sendIfOpen(to, { is: "answer", owner, address, ids, how });
  }

  #answerItems(s: Session, items: readonly sessions.Offered[], how: Answer): void {
    if (how === "stored") this.#state.count("stored", items.length);
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

  #makeSessionPort(): sessions.SessionPort & { now: Instant } {
    const state = this.#state;
    return {
      limits: state.limits,
      rules: state.rules,
      now: 0,
      claim: (session) => {
        const arg = { address: session.address, owner: session.me, epoch: session.epoch };
        state.call({ verb: "claim", arg }, { for: "claim", session });
      },
      appendAsOwner: (session, batch, pushed) => {
        const arg = ownerAppend(session, batch);
        state.call({ verb: "appendAsOwner", arg }, { for: "ownerAppend", session, batch, pushed });
      },
      appendAndRelease: (session, batch) => {
        const arg = ownerAppend(session, batch);
        state.call({ verb: "appendAndRelease", arg }, { for: "release", session, batch });
      },
      read: (session, maxEntries, maxBytes) => {
        const arg = { address: session.address, after: session.cursor, maxEntries, maxBytes };
        state.call({ verb: "read", arg }, { for: "read", session });
      },
      remove: (session, entries) => this.#remove({ address: session.address, entries }),
      welcome: (session) => this.#welcome(session),
      epochBehind: ({ connection }, last) => state.effect({ do: "epoch-behind", connection, last }),
      displace: (session, previous) => this.#displace(session.address, previous),
      push: ({ connection }, { id, kind, ciphertext }) => {
        state.effect({ do: "push", connection, id, kind, ciphertext });
        state.count("pushed", 1);
      },
      drained: ({ connection }) => {
        state.effect({ do: "drained", connection });
        state.count("drained", 1);
      },
      end: ({ connection }, code) => state.effect({ do: "end", connection, code }),
      answer: (session, items, how) => this.#answerItems(session, items, how),
      spilled: (_session, count) => state.count("spilled", count),
      closed: (session) => this.#closed(session),
    };
  }

  #welcome(session: Session): void {
    this.#byAddress.set(session.address, session);
    this.#state.effect({ do: "welcome", connection: session.connection });
    this.#state.effect({ do: "presence", address: session.address, online: true });
  }

  // Best effort: a displaced owner finds out anyway, at its next fenced call or its socket's end.
  #displace(address: DeviceAddress, previous: Owner): void {
    const { id, alive, links } = this.#state;
    if (previous.node === id) return this.displaced(previous);
    const frame = { is: "displace", owner: previous, address } as const;
    if (alive.has(previous.node)) links.send(previous.node, frame);
    else links.sendIfOpen(previous.node, frame); // so new that its lease has not been read yet
  }

  #closed(session: Session): void {
    this.#sessions.delete(session.me.session);
    this.#byConnection.delete(session.connection);
    if (this.#byAddress.get(session.address) !== session) return;
    this.#byAddress.delete(session.address);
    this.#state.effect({ do: "presence", address: session.address, online: false });
  }
}

function ownerAppend({ address, me: owner }: Session, batch: sessions.Offered[]) {
  return { address, owner, envelopes: batch.map((item) => item.envelope) };
}
