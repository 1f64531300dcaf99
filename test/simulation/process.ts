// One node process between its start and its end: the real delivery node, with its store line, its links, and its
// front to the clients. Always true: nothing reaches a process that has ended, or stands still.
import type { ConnectionKind, DeviceAddress, EnvelopeId, ProblemCode } from "@lethe/protocol";
import type { NodeId } from "@lethe/queue";
import { DeliveryNode } from "../../relay/delivery/node.ts";
import type { Effect, LinkFrame, NodeEvent, StoreCall, StoreResult } from "../../relay/delivery/types.ts";
import type { Planned } from "./agenda.ts";
import { Dice, mix, takes } from "./chance.ts";
import type { ClientPipe } from "./client-run.ts";
import { Front } from "./front.ts";
import { BrokenPromise } from "./ledger.ts";
import { NodeLink } from "./node-link.ts";
import { indexOf, personAt } from "./people.ts";
import type { Trouble } from "./plan.ts";
import { StoreLine } from "./store-line.ts";
import type { World } from "./world.ts";

export class NodeProcess {
  readonly name: string;
  readonly index: number;
  readonly #world: World;
  readonly #dice: Dice;
  readonly #node: DeliveryNode;
  readonly #store: StoreLine;
  readonly #front: Front;
  readonly links = new Map<NodeId, NodeLink>();
  /** Made at its start: the monotonic clock begins anywhere. */
  readonly #clock: number;
  /** When each envelope that is not settled here came, counted. */
  readonly #came = new Map<EnvelopeId, number>();
  #comings = 0;
  #depth = 0;
  #tick: Planned | undefined;
  #tickAt = Number.POSITIVE_INFINITY;
  id: NodeId;
  up = true;
  /** Its lease is lost and it has not noticed, or has not taken a new one. */
  fenced = false;
  closing = false;
  /** What waits for a process that stands still. */
  #held: (() => void)[] | undefined;

  constructor(world: World, { index, name, boot }: { index: number; name: string; boot: number }) {
    this.#world = world;
    this.index = index;
    this.name = name;
    this.id = `${name}${boot}` as NodeId;
    this.#dice = new Dice(mix(world.plan.seed, 400 + index, boot));
    this.#clock = this.#dice.below(1_000_000);
    this.#node = new DeliveryNode({
      node: this.id,
      limits: world.plan.weather.limits,
      rules: world.rules.node,
      // A node that is alone may know that it is.
      cluster: world.plan.nodes > 1 || world.plan.seed % 2 === 0,
    });
    this.#store = new StoreLine(world, new Dice(mix(world.plan.seed, 500 + index, boot)), {
      name,
      answer: (call, on, result) => this.#enter(() => this.#answered(call, on, result)),
    });
    this.#front = new Front(world, {
      line: (socket) => this.#line(socket),
      enter: (act) => this.#enter(act),
      step: (event) => this.step(event),
      came: (envelope) => this.#cameIn(envelope),
      refuse: (connection, envelope, code) => this.#refuse(connection, envelope, code),
    });
  }

  sizes(): ReturnType<DeliveryNode["sizes"]> {
    return this.#node.sizes();
  }

  get idle(): boolean {
    return this.#node.idle;
  }

  // --- standing still ------------------------------------------------------------------------------------------------

  get paused(): boolean {
    return this.#held !== undefined;
  }

  pause(): void {
    this.#held ??= [];
  }

  resume(): void {
    const held = this.#held;
    this.#held = undefined;
    for (const act of held ?? []) this.#enter(act);
  }

  /** Everything that comes from outside comes in by here. */
  #enter(act: () => void): void {
    if (!this.up) return;
    if (this.#held === undefined) act();
    else this.#held.push(act);
  }

  // --- the machine ---------------------------------------------------------------------------------------------------

  step(event: NodeEvent): void {
    if (!this.up) return;
    this.#depth++;
    for (const effect of this.#node.step(event, this.#world.now + this.#clock)) this.#carry(effect, event);
    this.#depth--;
    if (event.is === "submitted" || event.is === "submitted-group") this.#keepsItsCap();
    if (this.#depth > 0) return;
    this.#front.flush();
    this.#planTick();
  }

  #keepsItsCap(): void {
    const { unsettledBytes } = this.#node.sizes();
    if (unsettledBytes > this.#world.plan.weather.limits.nodeBytes)
      throw new BrokenPromise(
        "caps are respected",
        `${this.name} holds ${unsettledBytes} bytes in its flows`,
      );
  }

  /** A tick comes when the machine has something to do by the passing of time, up to 50 ms late. */
  #planTick(): void {
    const due = this.#node.nextDue();
    if (due === this.#tickAt) return;
    if (this.#tick !== undefined) this.#tick.act = undefined;
    this.#tickAt = due;
    if (due === Number.POSITIVE_INFINITY) return;
    this.#tick = this.#world.agenda.at(due - this.#clock + this.#dice.between(0, 50), () => {
      this.#enter(() => {
        this.#tickAt = Number.POSITIVE_INFINITY;
        this.step({ is: "tick" });
      });
    });
  }

  #carry(effect: Effect, event: NodeEvent): void {
    if (!this.up) return;
    switch (effect.do) {
      case "call":
        this.#noteAppend(effect.on, event);
        return this.#store.make(effect.call, effect.on);
      case "push":
        return this.#push(effect);
      case "accepted":
        this.#came.delete(effect.id);
        this.#world.ledger.accepted(effect.id);
        return this.#front.accepted(effect.connection, effect.id);
      case "refused":
        return this.#refuse(effect.connection, effect.id, effect.code);
      case "welcome":
        return this.#front.welcome(effect.connection);
      case "drained":
        return this.#front.send(effect.connection, { frame: "drained" });
      case "epoch-behind":
        this.#world.cover.count("epoch behind");
        return this.#front.send(effect.connection, { frame: "epoch-behind", last: effect.last });
      case "end":
        return this.#front.end(effect.connection, effect.code);
      case "link-open":
        return this.#openLink(effect.peer);
      case "link-send":
        return this.#sendOver(effect.peer, effect.frame);
      case "presence":
        return;
      case "count":
        return this.#count(effect);
    }
  }

  #noteAppend(on: StoreCall, event: NodeEvent): void {
    const { cover } = this.#world;
    if (on.verb === "appendAndRelease" && on.arg.envelopes.length > 0)
      cover.count("closed with mail in flight");
    if (on.verb !== "appendUnlessOwned") return;
    if (event.is === "tick") cover.count("offer timed out");
    this.#inOrder(on.arg.envelopes);
  }

  /** What a flow stores together is in the order in which it came. */
  #inOrder(envelopes: readonly { readonly id: EnvelopeId }[]): void {
    let last = 0;
    for (const { id } of envelopes) {
      const came = this.#came.get(id) ?? last;
      if (came < last) throw new BrokenPromise("a flow stores in its order", this.name);
      last = came;
    }
  }

  #count({ what, by }: Effect & { do: "count" }): void {
    const { cover } = this.#world;
    if (what === "spilled") cover.count("spilled", by);
    else if (what === "delivered-live") cover.count("delivered live", by);
    else if (what === "drained") cover.count("drained", by);
  }

  #push({ connection, id, kind, ciphertext }: Effect & { do: "push" }): void {
    const address = this.#front.find(connection)?.address;
    if (address === undefined) return;
    if (kind !== "signal") this.#world.ledger.pushed(this.#line(connection), address, { id, ciphertext });
    this.#front.send(connection, { frame: "push", id, kind, ciphertext });
  }

  /** Names this process, whatever its id becomes. */
  get key(): string {
    return `${this.name}#${this.#clock}`;
  }

  #line(socket: number): string {
    return `${this.key}/${socket}`;
  }

  #linkFrom(peer: NodeId): string {
    return `${peer}>${this.key}`;
  }

  #cameIn(id: EnvelopeId): void {
    if (!this.#came.has(id)) this.#came.set(id, ++this.#comings);
  }

  #refuse(connection: number, id: EnvelopeId, code: ProblemCode): void {
    const { cover } = this.#world;
    cover.count("refused");
    this.#came.delete(id);
    if (code === "mailbox-full") cover.count("mailbox full");
    if (code === "busy") cover.count("busy");
    if (code === "expired") cover.count("refused as expired");
    if (code === "no-device") cover.count("no device");
    this.#front.refused(connection, id, code);
  }

  // --- store ---------------------------------------------------------------------------------------------------------

  trouble(mode: Trouble, often: number, ms: number): void {
    this.#store.trouble(mode, often, ms);
  }

  get stalledUntil(): number {
    return this.#store.stalledUntil;
  }

  #answered(call: number, on: StoreCall, result: StoreResult): void {
    const { cover, ledger } = this.#world;
    if (result.is === "fenced") cover.count("fenced append");
    if (result.is === "owned") cover.count("owned append");
    if (result.is === "claimed") {
      cover.count("claimed");
      if (result.previous !== undefined) cover.count("displaced");
    }
    if (on.verb === "remove" && result.is === "failed") cover.count("removal tried again");
    if (on.verb === "look" && result.is === "seen") {
      cover.count("looked");
      const line = this.#liveLine(on.arg);
      if (result.waiting > 0 && line !== undefined) ledger.looked(line, on.arg, this.#world.now);
    }
    this.step({ is: "result", call, result });
  }

  #liveLine(address: DeviceAddress): string | undefined {
    for (const socket of this.#front.sockets)
      if (socket.address === address && this.#node.sessionPhase(socket.number) === "live")
        return this.#line(socket.number);
    return undefined;
  }

  // --- clients -------------------------------------------------------------------------------------------------------

  accept(pipe: ClientPipe, kind: ConnectionKind): void {
    this.#front.accept(pipe, kind);
  }

  // --- links ---------------------------------------------------------------------------------------------------------

  #openLink(peer: NodeId): void {
    this.#world.agenda.in(takes(this.#dice, this.#world.plan.weather.network), () => {
      if (!this.up || this.links.has(peer)) return;
      if (this.paused) return this.#enter(() => this.#openLink(peer));
      const other = this.#world.cluster.processOf(peer);
      if (other === undefined || other.paused || this.#world.cluster.isApart(this.index, other.index)) {
        this.step({ is: "link-down", peer });
        return;
      }
      other.linkGone(this.id); // it may still believe in an older one
      NodeLink.between(this.#world, this, other);
      this.step({ is: "link-up", peer });
      other.step({ is: "link-up", peer: this.id });
    });
  }

  #sendOver(peer: NodeId, frame: LinkFrame): void {
    const link = this.links.get(peer);
    if (link === undefined) return;
    if (frame.is === "answer") this.#world.ledger.answered(this.#linkFrom(peer), frame.owner, frame.ids);
    link.send(this, frame);
  }

  linkFrame(peer: NodeId, link: NodeLink, frame: LinkFrame): void {
    this.#enter(() => {
      if (this.links.get(peer) === link) this.#linkFrame(peer, frame);
    });
  }

  #linkFrame(peer: NodeId, frame: LinkFrame): void {
    if (frame.is === "offer")
      this.#world.ledger.offered(
        this.#linkFrom(peer),
        frame.owner,
        frame.envelopes.map((e) => e.id),
      );
    if (frame.is === "answer" && frame.how === "not-owner") this.#world.cover.count("not owner");
    this.step({ is: "link-frame", peer, frame });
  }

  /** This side has heard of a link's end. */
  linkEnded(peer: NodeId, link: NodeLink): void {
    this.#enter(() => {
      if (this.links.get(peer) === link) this.linkGone(peer);
    });
  }

  linkGone(peer: NodeId): void {
    if (!this.links.delete(peer)) return;
    this.#world.cover.count("link broken");
    this.#world.ledger.linkEnded(this.#linkFrom(peer));
    this.step({ is: "link-down", peer });
  }

  // --- its life ------------------------------------------------------------------------------------------------------

  wakes(addresses: readonly DeviceAddress[]): void {
    if (addresses.length === 0) return;
    this.#world.cover.count("woken", addresses.length);
    this.#enter(() => this.step({ is: "wakes", addresses }));
  }

  leases(alive: ReadonlySet<NodeId>): void {
    this.#enter(() => this.step({ is: "leases", alive }));
  }

  storeMoved(): void {
    this.#enter(() => this.step({ is: "store-moved" }));
  }

  /** The power is gone. */
  crash(): void {
    this.up = false;
    if (this.#tick !== undefined) this.#tick.act = undefined;
    this.#store.die();
    this.#front.die(() => this.#dice.happens(0.7));
    for (const link of [...this.links.values()]) link.die(this, this.#dice.happens(0.8));
    this.links.clear();
  }

  /** It notices that its lease is lost: closes its sessions, ends its links, takes a new id. */
  notice(id: NodeId): void {
    this.step({ is: "fenced" });
    for (const [peer, link] of [...this.links]) {
      link.leave(this);
      this.linkGone(peer);
    }
    this.id = id;
    this.step({ is: "renamed", node: id });
  }

  /** It is told to go: sessions spill and release, then connections end. */
  close(): void {
    this.closing = true;
    this.step({ is: "closing" });
    this.#front.goaway(() => this.#dice.below(1_000));
  }

  endAll(): void {
    this.#front.endAll();
  }

  describe(): string {
    return [...this.#front.sockets]
      .filter((s) => s.address !== undefined)
      .map(
        (s) => `${personAt(indexOf(s.address as DeviceAddress))} ${this.#node.sessionPhase(s.number) ?? "-"}`,
      )
      .join(", ");
  }

  /** Whether a device's session at this node is up to date. */
  isLive(address: DeviceAddress): boolean {
    return this.#liveLine(address) !== undefined;
  }
}
