// Everything between this node and one other: the link that stands, the one being opened, those that the other node is
// opening. Always true: at most one link stands; where both call at once, the call of the smaller id is kept unless it
// fails; whoever wants a link is told `up` or `down`, once.
import type { NodeId } from "@lethe/queue";
import type { LinkEnd } from "./frames.ts";
import { UNREACHED_MS } from "./limits.ts";
import type { LinkSocket } from "./socket.ts";

export interface PairPort {
  readonly instant: () => number;
  /** This node's id is smaller than the other's. */
  readonly first: boolean;
  /** Opens a call; undefined where the node is not known to be alive. */
  call(peer: NodeId): LinkSocket | undefined;
  up(peer: NodeId): void;
  down(peer: NodeId): void;
}

export class Pair {
  readonly peer: NodeId;
  readonly #port: PairPort;
  #link: LinkSocket | undefined;
  #call: LinkSocket | undefined;
  #incoming: LinkSocket[] = [];
  #wanted = false;
  #notBefore = 0;
  /** How often in a row its lease was not found, and how often it was without a link. */
  missing = 0;
  apart = 0;

  constructor(peer: NodeId, port: PairPort) {
    this.peer = peer;
    this.#port = port;
  }

  get link(): LinkSocket | undefined {
    return this.#link;
  }

  /** Nothing is known of the node that another pair would not know. */
  get empty(): boolean {
    return (
      this.#link === undefined &&
      this.#call === undefined &&
      this.#incoming.length === 0 &&
      !this.#wanted &&
      this.#port.instant() >= this.#notBefore
    );
  }

  /** Somebody has frames for the node: `settle` follows, later. */
  want(): void {
    this.#wanted = true;
  }

  settle(): void {
    if (!this.#wanted) return;
    if (this.#link === undefined) return this.open();
    this.#wanted = false;
    this.#port.up(this.peer);
  }

  open(): void {
    if (this.#link !== undefined || this.#call !== undefined || this.#incoming.length > 0) return;
    if (this.#port.instant() >= this.#notBefore) this.#call = this.#port.call(this.peer);
    if (this.#call === undefined) this.#unreached();
  }

  /** The node has called, and has proved itself. */
  called(socket: LinkSocket): void {
    this.#incoming.push(socket);
    if (this.#call === undefined || !this.#port.first) socket.answer();
  }

  stands(socket: LinkSocket): void {
    const before = this.#link;
    const others = [before, this.#call, ...this.#incoming];
    this.#link = socket;
    this.#call = undefined;
    this.#incoming = [];
    this.#wanted = false;
    this.#notBefore = 0;
    this.apart = 0;
    for (const other of others) if (other !== socket) other?.end("superseded");
    if (before !== undefined) this.#port.down(this.peer);
    this.#port.up(this.peer);
  }

  /** One of its sockets has ended by itself. */
  ended(socket: LinkSocket, why: LinkEnd): void {
    if (socket === this.#link) {
      this.#link = undefined;
      this.#port.down(this.peer);
      return;
    }
    if (socket === this.#call) {
      this.#call = undefined;
      if (why !== "superseded") this.#notBefore = this.#port.instant() + UNREACHED_MS;
    } else this.#incoming = this.#incoming.filter((other) => other !== socket);
    if (this.#call !== undefined || this.#link !== undefined) return;
    if (this.#incoming.length > 0) for (const other of this.#incoming) other.answer();
    else if (this.#wanted) this.open();
  }

  #unreached(): void {
    if (!this.#wanted) return;
    this.#wanted = false;
    this.#port.down(this.peer);
  }

  end(why: LinkEnd): void {
    const { peer } = this;
    const told = this.#link !== undefined || this.#wanted;
    for (const socket of [this.#link, this.#call, ...this.#incoming]) socket?.end(why);
    this.#link = undefined;
    this.#call = undefined;
    this.#incoming = [];
    this.#wanted = false;
    if (told) this.#port.down(peer);
  }

  /** Those that are being opened and take too long. */
  late(before: number): void {
    for (const socket of [this.#call, ...this.#incoming])
      if (socket !== undefined && socket.since < before) {
        socket.end("late");
        this.ended(socket, "late");
      }
  }
}
