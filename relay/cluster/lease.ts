// This node's lease: renewed in time, or the node is no longer what it was. Always true: by its own monotonic clock a node
// stops a second before its lease can have ended; it has a new id before it has a new lease, and no id has two.
import type { Leases, NodeId } from "@lethe/queue";

export const LEASE_MS = 10_000;
export const RENEW_MS = 3_000;
/** How long before its end a lease that could not be renewed is given up, ms. */
const EARLY_MS = 1_000;
/** Pause before a renewal that failed is tried again, ms. */
const AGAIN_MS = 500;

export interface LeaseOptions {
  readonly leases: Leases;
  readonly address: () => string;
  readonly newId: () => NodeId;
  /** Monotonic, ms. */
  readonly instant: () => number;
  /** Without others, nobody takes over: only the store itself says that a lease is lost. */
  readonly alone: boolean;
  /** The lease is lost, or may be: nothing may be owned under the old id any more. */
  readonly lost: (next: NodeId) => void;
  /** There is a lease again, under the id that `lost` named. */
  readonly regained: (id: NodeId) => void;
  readonly failed: (error: unknown) => void;
}

export class Lease {
  readonly #o: LeaseOptions;
  #id: NodeId;
  #sureUntil = Number.NEGATIVE_INFINITY;
  #renewAt = 0;
  #renewing = false;
  #held = false;
  #ended = false;

  constructor(options: LeaseOptions) {
    this.#o = options;
    this.#id = options.newId();
  }

  get id(): NodeId {
    return this.#id;
  }

  get held(): boolean {
    return this.#held;
  }

  /** @throws whatever the store rejects with: a node without a first lease does not start. */
  async take(): Promise<void> {
    const began = this.#o.instant();
    if ((await this.#o.leases.renew(this.#id, this.#o.address(), LEASE_MS)) === "lost")
      throw new Error("a new lease was refused");
    this.#isHeld(began);
  }

  #isHeld(began: number): void {
    this.#held = true;
    this.#sureUntil = this.#o.alone ? Number.POSITIVE_INFINITY : began + LEASE_MS - EARLY_MS;
    this.#renewAt = began + RENEW_MS;
  }

  /** Time passes. */
  tick(): void {
    if (this.#ended) return;
    const now = this.#o.instant();
    if (this.#held && now > this.#sureUntil) this.#lose();
    if (now >= this.#renewAt && !this.#renewing) void this.#renew(now);
  }

  async #renew(began: number): Promise<void> {
    const id = this.#id;
    this.#renewing = true;
    try {
      const outcome = await this.#o.leases.renew(id, this.#o.address(), LEASE_MS);
      if (this.#ended) return;
      if (id !== this.#id) return this.#release(id); // it came too late, for an id that is given up
      if (outcome === "lost") return this.#lose();
      const isNew = !this.#held;
      this.#isHeld(began);
      if (isNew) this.#o.regained(id);
    } catch (error) {
      this.#renewAt = this.#o.instant() + AGAIN_MS;
      if (!this.#ended) this.#o.failed(error);
    } finally {
      this.#renewing = false;
    }
  }

  #lose(): void {
    const wasHeld = this.#held;
    const old = this.#id;
    this.#held = false;
    this.#id = this.#o.newId();
    this.#renewAt = 0;
    if (wasHeld) this.#release(old);
    this.#o.lost(this.#id);
  }

  #release(id: NodeId): void {
    this.#o.leases.release(id).catch(() => undefined);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#o.leases.release(this.#id);
  }
}
