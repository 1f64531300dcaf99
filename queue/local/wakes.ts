// Wake lists of a store that lives in one process: what is noted here dies only with the nodes that it is for.
// Always true: an address stands once in a node's list; a list that nobody takes goes after ten leases.
import type { DeviceAddress, Time } from "@lethe/protocol";
import type { NodeId } from "../mailbox.ts";

/** Ten leases of 10 s: by then a node that has not asked is gone, and a session's look each minute mends the rest. */
const WAKE_LIFE_MS = 100_000;

interface WakeList {
  readonly addresses: Set<DeviceAddress>;
  readonly takers: ((addresses: readonly DeviceAddress[]) => void)[];
  at: Time;
}

export class Wakes {
  readonly #lists = new Map<NodeId, WakeList>();

  add(node: NodeId, addresses: readonly DeviceAddress[], now: Time): void {
    this.#dropOld(now);
    if (addresses.length === 0) return;
    const list = this.#list(node);
    const taker = list.takers.shift();
    if (taker !== undefined) return taker([...new Set(addresses)]);
    list.at = now;
    for (const address of addresses) list.addresses.add(address);
  }

  take(node: NodeId): Promise<readonly DeviceAddress[]> {
    const list = this.#list(node);
    if (list.addresses.size === 0) return new Promise((resolve) => list.takers.push(resolve));
    const addresses = [...list.addresses];
    list.addresses.clear();
    return Promise.resolve(addresses);
  }

  /** Everybody who waits is answered with nothing. */
  close(): void {
    for (const list of this.#lists.values()) for (const taker of list.takers.splice(0)) taker([]);
    this.#lists.clear();
  }

  #list(node: NodeId): WakeList {
    let list = this.#lists.get(node);
    if (list === undefined) {
      list = { addresses: new Set(), takers: [], at: 0 as Time };
      this.#lists.set(node, list);
    }
    return list;
  }

  #dropOld(now: Time): void {
    for (const [node, list] of this.#lists) {
      if (list.takers.length === 0 && now - list.at > WAKE_LIFE_MS) this.#lists.delete(node);
    }
  }
}
