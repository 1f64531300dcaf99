// Leases in Redis: one hash for all nodes, by the store's clock. Always true: a lease that ran out, was released or is
// gone from the store is lost to the process that held it.
import type { Leases } from "../backend.ts";
import type { NodeId } from "../mailbox.ts";
import { closedError } from "./failures.ts";
import { nowArg, type RedisParts } from "./parts.ts";

/** So long others are told that an id is lost; the process that held it knows without being told. */
const LOST_FOR_MS = 7 * 86_400_000;

export class RedisLeases implements Leases {
  readonly #parts: RedisParts;
  /** Ids that this process has held: one, and one more for each lost lease. */
  readonly #held = new Set<NodeId>();
  #closed = false;

  constructor(parts: RedisParts) {
    this.#parts = parts;
  }

  async renew(node: NodeId, address: string, ttl: number): Promise<"held" | "lost"> {
    const known = this.#held.has(node) ? "1" : "0";
    const args = [nowArg(this.#parts), node, address, ttl, known, LOST_FOR_MS];
    const held = await this.#write("renew-lease", args);
    if (held !== 1) return "lost";
    this.#held.add(node);
    return "held";
  }

  async release(node: NodeId): Promise<void> {
    await this.#write("end-lease", [nowArg(this.#parts), node]);
  }

  async alive(nodes: readonly NodeId[]): Promise<readonly boolean[]> {
    const addresses = await this.addresses();
    return nodes.map((node) => addresses.has(node));
  }

  async addresses(): Promise<ReadonlyMap<NodeId, string>> {
    this.#checkOpen();
    const { scripts, keys } = this.#parts;
    const flat = (await scripts.look("list-leases", [keys.leases], [nowArg(this.#parts)])) as Buffer[];
    const addresses = new Map<NodeId, string>();
    for (let i = 0; i + 1 < flat.length; i += 2)
      addresses.set(String(flat[i]) as NodeId, String(flat[i + 1]));
    return addresses;
  }

  close(): void {
    this.#closed = true;
  }

  async #write(script: string, args: readonly (string | number)[]): Promise<unknown> {
    this.#checkOpen();
    return this.#parts.scripts.look(script, [this.#parts.keys.leases], args);
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError();
  }
}
