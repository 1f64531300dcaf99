// One direction of a node's link to another: what is sent before the link stands is held, in order; a link that breaks
// loses what was in it, and says so once. opening -> open, or either -> gone (undefined: the next use opens a new one).
import type { NodeId } from "@lethe/queue";
import type { LinkFrame } from "./types.ts";

export type Link =
  | { readonly at: "opening"; readonly peer: NodeId; readonly held: LinkFrame[] }
  | { readonly at: "open"; readonly peer: NodeId };

/** Frames held while a link opens; beyond it the link counts as broken. */
export const HELD_FRAMES = 10_000;

export interface LinkPort {
  open(peer: NodeId): void;
  send(peer: NodeId, frame: LinkFrame): void;
  lost(peer: NodeId): void;
}

export class Links {
  readonly #links = new Map<NodeId, Link>();
  readonly #port: LinkPort;

  constructor(port: LinkPort) {
    this.#port = port;
  }

  send(peer: NodeId, frame: LinkFrame): void {
    const link = this.#links.get(peer);
    if (link === undefined) {
      this.#links.set(peer, { at: "opening", peer, held: [frame] });
      this.#port.open(peer);
    } else if (link.at === "open") this.#port.send(peer, frame);
    else if (link.held.length < HELD_FRAMES) link.held.push(frame);
    else this.down(peer);
  }

  /** A frame for a peer that is only worth sending if the link stands. */
  sendIfOpen(peer: NodeId, frame: LinkFrame): void {
    if (this.#links.get(peer)?.at === "open") this.#port.send(peer, frame);
  }

  /** A link that stands. One that stood before is gone with what was in it, whether or not anybody said so. */
  up(peer: NodeId): void {
    if (this.#links.get(peer)?.at === "open") this.down(peer);
    const link = this.#links.get(peer);
    this.#links.set(peer, { at: "open", peer });
    if (link?.at === "opening") for (const frame of link.held) this.#port.send(peer, frame);
  }

  down(peer: NodeId): void {
    if (this.#links.delete(peer)) this.#port.lost(peer);
  }
}
