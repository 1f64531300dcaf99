// One node among others: its links, what nodes tell each other, and who is known to live. Always true: comings and goings
// of one turn go to each node in one frame; a node that a link newly stands to is told all devices that are here.
import type { AccountId, DeviceAddress } from "@lethe/protocol";
import type { Leases, NodeId } from "@lethe/queue";
import type { LinkFrame, NodeEvent } from "../delivery/types.ts";
import type { Changes } from "../edge/changes.ts";
import type { Peers } from "../edge/peers.ts";
import type { Presence } from "../edge/presence.ts";
import type { AccountChange, LinkEnd } from "../link/frames.ts";
import { MAX_ADDRESSES, MAX_PRESENT } from "../link/limits.ts";
import type { Links, LinksPort, Notice, Standing } from "../link/links.ts";

/** How often the living nodes are asked for, ms: less often while a link stands to each of them. */
const ALIVE_MS = 3_000;
const APART_MS = 1_000;
/** What other nodes change of accounts holds here by then, however the links are, ms. */
const ACCOUNT_CACHE_MS = 10_000;

export interface ClusterParts {
  readonly step: (event: NodeEvent) => void;
  readonly turn: () => void;
  readonly changes: Changes;
  readonly presence: Presence;
  readonly present: () => readonly DeviceAddress[];
}

export interface ClusterOptions {
  readonly leases: Leases;
  readonly instant: () => number;
  readonly me: () => NodeId;
  readonly ended: (why: LinkEnd) => void;
  readonly failed: (error: unknown) => void;
}

export class Cluster implements Peers {
  readonly accountCacheMs = ACCOUNT_CACHE_MS;
  readonly #o: ClusterOptions;
  #parts: ClusterParts | undefined;
  #links: Links | undefined;
  #alive: ReadonlyMap<NodeId, string> = new Map();
  #askAt = 0;
  #asking = false;
  #moved: { address: DeviceAddress; online: boolean }[] = [];
  /** Devices at other nodes, while they are being told. */
  readonly #present = new Map<NodeId, Set<DeviceAddress>>();

  constructor(options: ClusterOptions) {
    this.#o = options;
  }

  /** What the links tell: to be given to whoever opens them. */
  readonly port: LinksPort = {
    up: (peer) => this.#up(peer),
    down: (peer) => {
      this.#present.delete(peer);
      this.#askAt = 0; // whether it is dead is what its lease says
      this.#parts?.step({ is: "link-down", peer });
    },
    delivery: (peer, frame) => this.#parts?.step({ is: "link-frame", peer, frame }),
    notice: (peer, frame) => this.#heard(peer, frame),
    turn: () => this.#parts?.turn(),
    ended: (why) => this.#o.ended(why),
  };

  /** From now on, what comes in has somewhere to go. */
  join(links: Links, parts: ClusterParts): void {
    this.#links = links;
    this.#parts = parts;
  }

  standing(): Standing {
    return this.#links?.standing() ?? { alive: 0, links: [] };
  }

  // --- what the node asks ----------------------------------------------------------------------------------------------

  isAlive(node: NodeId): boolean {
    return this.#alive.has(node);
  }

  open(peer: NodeId): void {
    if (this.#links === undefined) this.#parts?.step({ is: "link-down", peer });
    else this.#links.open(peer);
  }

  send(peer: NodeId, frame: LinkFrame): void {
    this.#links?.send(peer, frame);
  }

  moved(address: DeviceAddress, online: boolean): void {
    this.#moved.push({ address, online });
    this.#parts?.turn();
  }

  changed(account: AccountId, what: AccountChange): void {
    this.#links?.tell({ frame: "changed", account, what });
  }

  retired(addresses: readonly DeviceAddress[]): void {
    for (let i = 0; i < addresses.length; i += MAX_ADDRESSES)
      this.#links?.tell({ frame: "retired", addresses: addresses.slice(i, i + MAX_ADDRESSES) });
  }

  flush(): void {
    this.#tellMoved();
    this.#links?.flush();
  }

  #tellMoved(): void {
    if (this.#moved.length === 0) return;
    const moved = this.#moved;
    this.#moved = [];
    for (let i = 0; i < moved.length; i += MAX_ADDRESSES)
      this.#links?.tell({ frame: "presence", moved: moved.slice(i, i + MAX_ADDRESSES) });
  }

  // --- who lives -------------------------------------------------------------------------------------------------------

  tick(): void {
    this.#links?.tick();
    if (this.#asking || this.#o.instant() < this.#askAt) return;
    this.ask().catch((error: unknown) => this.#o.failed(error));
  }

  async ask(): Promise<void> {
    this.#asking = true;
    this.#askAt = this.#o.instant() + APART_MS;
    try {
      this.#know(await this.#o.leases.addresses());
    } finally {
      this.#asking = false;
    }
  }

  #know(addresses: ReadonlyMap<NodeId, string>): void {
    const before = this.#alive;
    this.#alive = addresses;
    this.#parts?.step({ is: "leases", alive: new Set([...addresses.keys(), this.#o.me()]) });
    this.#links?.alive(addresses);
    const { alive, links } = this.standing();
    if (links.length >= alive) this.#askAt = this.#o.instant() + ALIVE_MS;
    for (const node of before.keys()) if (!addresses.has(node)) return this.#parts?.presence.nodesChanged();
  }

  // --- what others tell ------------------------------------------------------------------------------------------------

  #up(peer: NodeId): void {
    if (!this.#alive.has(peer)) this.#askAt = 0;
    this.#tellMoved();
    this.#parts?.step({ is: "link-up", peer });
    const all = this.#parts?.present() ?? [];
    for (let i = 0; i === 0 || i < all.length; i += MAX_ADDRESSES) {
      const addresses = all.slice(i, i + MAX_ADDRESSES);
      this.#links?.tell({ frame: "present", last: i + MAX_ADDRESSES >= all.length, addresses }, peer);
    }
  }

  #heard(peer: NodeId, frame: Notice): void {
    const parts = this.#parts;
    if (parts === undefined) return;
    switch (frame.frame) {
      case "changed":
        return parts.changes.heard(frame.account, frame.what);
      case "retired":
        return parts.changes.heardRetired(frame.addresses);
      case "presence":
        for (const { address, online } of frame.moved) parts.presence.changed(address, online, peer);
        return;
      case "present":
        return this.#heardPresent(peer, frame.addresses, frame.last);
      case "heartbeat":
        return;
    }
  }

  #heardPresent(peer: NodeId, addresses: readonly DeviceAddress[], last: boolean): void {
    const all = this.#present.get(peer) ?? new Set();
    for (const address of addresses) if (all.size < MAX_PRESENT) all.add(address);
    this.#present.set(peer, all);
    if (!last) return;
    this.#present.delete(peer);
    this.#parts?.presence.present(peer, all);
  }
}
