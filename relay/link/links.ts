// This node's links to all others: whom it calls, whom it takes in, who is told. Always true: a link stands only between
// nodes whose leases live, as far as is known; frames of one link keep their order; what ends is told as `down`, once.
import type { Time } from "@lethe/protocol";
import type { NodeId } from "@lethe/queue";
import type { LinkFrame } from "../delivery/types.ts";
import {
  type DeliveryWireFrame,
  gatherDelivery,
  readDelivery,
  readGroup,
  writeDelivery,
} from "./delivery-frames.ts";
import type { LinkEnd, WireFrame } from "./frames.ts";
import { GatheredOffers } from "./gathered-offers.ts";
import { HEARTBEAT_MS, MAX_PEERS, OPENING_MS, SILENCE_MS } from "./limits.ts";
import type { Self } from "./opening.ts";
import { Pair, type PairPort } from "./pair.ts";
import type { LinkSocket, LinkSocketPort } from "./socket.ts";

/** What nodes tell each other beside delivery. */
export type Notice = Exclude<
  WireFrame,
  DeliveryWireFrame | { frame: "offer-group" | "hello" | "challenge" | "proof" | "ready" }
>;

export interface LinksPort {
  up(peer: NodeId): void;
  down(peer: NodeId): void;
  delivery(peer: NodeId, frame: LinkFrame): void;
  notice(peer: NodeId, frame: Notice): void;
  /** Something waits for the turn's end. */
  turn(): void;
  /** For the operator: why a link ended or did not come to stand. */
  ended(why: LinkEnd): void;
}

export interface LinksOptions {
  readonly self: Self;
  readonly port: LinksPort;
  /** Where the living nodes are reached, by the store. */
  readonly addresses: () => Promise<ReadonlyMap<NodeId, string>>;
  /** Opens a socket to an address. */
  readonly call: (self: Self, to: { id: NodeId; address: string }, port: LinkSocketPort) => LinkSocket;
  /** Monotonic and wall clock, ms. */
  readonly instant: () => number;
  readonly now: () => number;
  readonly nonce: () => Uint8Array;
  /** Devices whose sessions are here: for the operator of another node. */
  readonly sessions: () => number;
}

/** What is known of the other nodes: how many live, and what each that a link stands to has told. */
export interface Standing {
  readonly alive: number;
  readonly links: readonly LinkSocket["told"][];
}

export class Links {
  readonly #o: LinksOptions;
  readonly #pairs = new Map<NodeId, Pair>();
  /** Sockets that have come in and have not said who they are, oldest first. */
  readonly #strangers = new Set<LinkSocket>();
  #self: Self;
  #alive: ReadonlyMap<NodeId, string> = new Map();
  #dirty: LinkSocket[] = [];
  /** What is gathered for the turn's end, by link. */
  readonly #gathered = new Map<LinkSocket, GatheredOffers>();
  #beatAt = 0;
  #closed = false;

  constructor(options: LinksOptions) {
    this.#o = options;
    this.#self = options.self;
  }

  get self(): Self {
    return this.#self;
  }

  /** What a socket needs of this node as it is now. */
  socketPort(): LinkSocketPort {
    const { instant, nonce } = this.#o;
    const self = this.#self;
    return {
      self,
      instant,
      nonce,
      proved: (socket) => void this.#proved(socket),
      stands: (socket) => this.#pairOf(socket)?.stands(socket),
      frame: (socket, frame) => this.#frame(socket, frame),
      dirty: (socket) => {
        this.#dirty.push(socket);
        this.#o.port.turn();
      },
      ended: (socket, why) => this.#ended(socket, why),
    };
  }

  // --- what the node asks ----------------------------------------------------------------------------------------------

  /** Answered by `up` or `down`, later. */
  open(peer: NodeId): void {
    const pair = this.#pair(peer);
    pair.want();
    setImmediate(() => pair.settle());
  }

  send(peer: NodeId, frame: LinkFrame): void {
    const link = this.#pairs.get(peer)?.link;
    if (link === undefined) return;
    const ends = { me: link.me, peer };
    const write = (wire: WireFrame): void => link.send(wire);
    if (link.version < 2 || frame.is !== "offer") return writeDelivery(frame, ends, write);
    gatherDelivery(frame, ends, { offers: this.#gatheredFor(link), write });
  }

  #gatheredFor(link: LinkSocket): GatheredOffers {
    const known = this.#gathered.get(link);
    if (known !== undefined) return known;
    const offers = new GatheredOffers();
    this.#gathered.set(link, offers);
    this.#o.port.turn();
    return offers;
  }

  /** To one node, or to all that a link stands to. */
  tell(frame: Notice, to?: NodeId): void {
    if (to !== undefined) this.#pairs.get(to)?.link?.send(frame);
    else for (const { link } of this.#pairs.values()) link?.send(frame);
  }

  flush(): void {
    for (const [link, offers] of this.#gathered) offers.flush((frame) => link.send(frame));
    this.#gathered.clear();
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const socket of dirty) socket.flush();
  }

  /** The nodes whose leases live now. Every pair of them gets a link: the smaller id calls, the other one if that fails. */
  alive(addresses: ReadonlyMap<NodeId, string>): void {
    this.#alive = addresses;
    for (const [peer, pair] of this.#pairs) {
      pair.missing = addresses.has(peer) ? 0 : pair.missing + 1;
      if (pair.missing > 1) pair.end("not-alive");
      if (pair.empty && !addresses.has(peer)) this.#pairs.delete(peer);
    }
    for (const peer of addresses.keys()) {
      if (peer === this.#self.id) continue;
      const pair = this.#pair(peer);
      if (pair.link === undefined && (this.#self.id < peer || ++pair.apart > 1)) pair.open();
    }
  }

  /** This node is another one from now on: its links were the old one's. */
  rename(self: Self): void {
    this.#endAll("leaving");
    this.#self = self;
  }

  close(): void {
    this.#closed = true;
    this.#endAll("leaving");
  }

  /** Time passes: heartbeats, silences, openings that take too long. */
  tick(): void {
    const now = this.#o.instant();
    if (now < this.#beatAt) return;
    // A node that stood still has not read what came meanwhile: nobody is silent before it has.
    const stoodStill = now - this.#beatAt > HEARTBEAT_MS;
    this.#beatAt = now + HEARTBEAT_MS;
    for (const pair of this.#pairs.values()) {
      pair.late(now - OPENING_MS);
      const { link } = pair;
      if (link === undefined) continue;
      if (stoodStill || now - link.lastHeard <= SILENCE_MS)
        link.send({ frame: "heartbeat", clock: this.#o.now() as Time, sessions: this.#o.sessions() });
      else this.#break(pair, link, "silent");
    }
    for (const socket of this.#strangers)
      if (now - socket.since > OPENING_MS) {
        socket.end("late");
        this.#ended(socket, "late");
      }
  }

  standing(): Standing {
    const links = [...this.#pairs.values()].flatMap(({ link }) => (link === undefined ? [] : [link]));
    const alive = [...this.#alive.keys()].filter((id) => id !== this.#self.id).length;
    return { alive, links: links.map(({ told }) => told) };
  }

  // --- what sockets tell -----------------------------------------------------------------------------------------------

  /** Somebody has connected: who, is yet to be seen. The oldest of too many make place. */
  called(socket: LinkSocket, most: number): void {
    if (this.#closed) return socket.end("leaving");
    this.#strangers.add(socket);
    if (this.#strangers.size <= most) return;
    for (const oldest of this.#strangers) {
      oldest.end("too-many");
      return this.#ended(oldest, "too-many");
    }
  }

  async #proved(socket: LinkSocket): Promise<void> {
    const peer = socket.peer as NodeId;
    const address = socket.callerAddress;
    if (this.#alive.get(peer) !== address) {
      const addresses = await this.#o.addresses().catch(() => this.#alive);
      if (addresses.has(peer)) this.#alive = addresses;
    }
    this.#strangers.delete(socket);
    if (socket.ended) return;
    const refused = this.#refusal(socket, peer, address);
    if (refused === undefined) return this.#pair(peer).called(socket);
    socket.end(refused);
    this.#o.port.ended(refused);
  }

  #refusal(socket: LinkSocket, peer: NodeId, address: string | undefined): LinkEnd | undefined {
    if (socket.me !== this.#self.id) return "wrong-node";
    if (this.#closed) return "leaving";
    if (address === undefined || this.#alive.get(peer) !== address) return "not-alive";
    return this.#pairs.size >= MAX_PEERS && !this.#pairs.has(peer) ? "too-many" : undefined;
  }

  #frame(socket: LinkSocket, frame: WireFrame): void {
    const pair = this.#pairOf(socket);
    if (pair?.link !== socket) return;
    switch (frame.frame) {
      case "offer":
      case "answer":
      case "displace":
      case "signal":
        return this.#o.port.delivery(pair.peer, readDelivery(frame, { me: socket.me, peer: pair.peer }));
      case "offer-group":
        for (const offer of readGroup(frame, { me: socket.me, peer: pair.peer }))
          this.#o.port.delivery(pair.peer, offer);
        return;
      case "heartbeat":
        socket.told = { clockAhead: frame.clock - this.#o.now(), sessions: frame.sessions };
        return;
      case "changed":
      case "retired":
      case "presence":
      case "present":
        return this.#o.port.notice(pair.peer, frame);
      case "hello":
      case "challenge":
      case "proof":
      case "ready":
        return;
    }
  }

  #ended(socket: LinkSocket, why: LinkEnd): void {
    if (why !== "superseded" && why !== "leaving") this.#o.port.ended(why);
    this.#strangers.delete(socket);
    this.#pairOf(socket)?.ended(socket, why);
  }

  #break(pair: Pair, link: LinkSocket, why: LinkEnd): void {
    link.end(why);
    this.#o.port.ended(why);
    pair.ended(link, why);
  }

  #endAll(why: LinkEnd): void {
    for (const socket of this.#strangers) socket.end(why);
    this.#strangers.clear();
    for (const pair of this.#pairs.values()) pair.end(why);
    this.#pairs.clear();
  }

  // --- pairs -----------------------------------------------------------------------------------------------------------

  #pairOf(socket: LinkSocket): Pair | undefined {
    const { peer } = socket;
    return peer === undefined ? undefined : this.#pairs.get(peer);
  }

  #pair(peer: NodeId): Pair {
    let pair = this.#pairs.get(peer);
    if (pair === undefined) {
      pair = new Pair(peer, this.#pairPort(peer));
      this.#pairs.set(peer, pair);
    }
    return pair;
  }

  #pairPort(peer: NodeId): PairPort {
    const { port, instant } = this.#o;
    return {
      instant,
      first: this.#self.id < peer,
      call: (to) => this.#call(to),
      up: (to) => port.up(to),
      down: (to) => port.down(to),
    };
  }

  #call(peer: NodeId): LinkSocket | undefined {
    const address = this.#alive.get(peer);
    if (address === undefined || address === "" || this.#closed || this.#pairs.size > MAX_PEERS)
      return undefined;
    return this.#o.call(this.#self, { id: peer, address }, this.socketPort());
  }
}
