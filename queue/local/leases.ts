// Leases where there is one process: its own signs of life, in memory, by the store's clock.
// Always true: an id that ran out or was released is never held again (L2).
import type { Time } from "@lethe/protocol";
import type { Leases } from "../backend.ts";
import { type NodeId, StoreClosedError } from "../mailbox.ts";

/** Ids that are remembered as lost; one is added at each lost lease, and nobody renews one that is this old. */
const MAX_LOST = 4_096;

interface Lease {
  readonly address: string;
  readonly until: Time;
}

export class LocalLeases implements Leases {
  readonly #now: () => Time;
  readonly #held = new Map<NodeId, Lease>();
  readonly #lost = new Set<NodeId>();
  #closed = false;

  constructor(now: () => Time) {
    this.#now = now;
  }

  async renew(node: NodeId, address: string, ttl: number): Promise<"held" | "lost"> {
    this.#expire();
    if (this.#lost.has(node)) return "lost";
    this.#held.set(node, { address, until: (this.#now() + ttl) as Time });
    return "held";
  }

  async release(node: NodeId): Promise<void> {
    this.#expire();
    this.#lose(node);
  }

  async alive(nodes: readonly NodeId[]): Promise<readonly boolean[]> {
    this.#expire();
    return nodes.map((node) => this.#held.has(node));
  }

  async addresses(): Promise<ReadonlyMap<NodeId, string>> {
    this.#expire();
    return new Map([...this.#held].map(([node, lease]) => [node, lease.address]));
  }

  close(): void {
    this.#closed = true;
    this.#held.clear();
  }

  #expire(): void {
    if (this.#closed) throw new StoreClosedError("the store is closed");
    const now = this.#now();
    for (const [node, lease] of this.#held) if (lease.until <= now) this.#lose(node);
  }

  #lose(node: NodeId): void {
    this.#held.delete(node);
    this.#lost.add(node);
    if (this.#lost.size <= MAX_LOST) return;
    for (const oldest of this.#lost) {
      this.#lost.delete(oldest);
      return;
    }
  }
}
