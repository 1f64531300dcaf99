// The store that all nodes share, with the replica that follows it: execution, durability, failover, wakes. Always true:
// what a replica has not got is answered to nobody, and is what a failover forgets.
import type { Time } from "@lethe/protocol";
import type { NodeId } from "@lethe/queue";
import type { StoreCall, StoreResult } from "../../relay/delivery/types.ts";
import { takes } from "./chance.ts";
import { SimStore } from "./store.ts";
import type { World } from "./world.ts";

export interface Executed {
  readonly result: StoreResult;
  /** When the replica has it, if there is one and it changes anything. */
  readonly durableAt: number | undefined;
}

const READS = new Set(["lookUp", "read", "look"]);

export class SharedStore {
  readonly contents: SimStore;
  readonly #world: World;
  readonly #replica: SimStore | undefined;
  readonly #lag: number;
  #following: { readonly on: StoreCall; readonly now: Time; readonly at: number }[] = [];
  readonly #forgotten = new Set<StoreCall>();
  /** How far the store's clock is from everybody else's, ms. */
  clock = 0;

  constructor(world: World) {
    this.#world = world;
    const { caps, replica } = world.plan.weather;
    this.contents = new SimStore(world.rules.store, caps);
    this.#replica = replica === undefined ? undefined : new SimStore(world.rules.store, caps);
    this.#lag = replica ?? 0;
  }

  execute(on: StoreCall, by: string): Executed {
    const { now: at, storeNow: now, trace } = this.#world;
    const result = this.contents.execute(on, now, at);
    trace?.call({ by, at, on, result }, (id) => this.#world.idLabel(id));
    if (on.verb === "wake") this.#deliverWakes(on.arg.node);
    if (this.#replica === undefined || READS.has(on.verb)) return { result, durableAt: undefined };
    this.#following.push({ on, now, at });
    const durableAt = at + this.#lag;
    this.#world.agenda.at(durableAt, () => this.#follow());
    return { result, durableAt };
  }

  #follow(): void {
    for (;;) {
      const next = this.#following[0];
      if (next === undefined || next.at + this.#lag > this.#world.now) return;
      this.#following.shift();
      this.#replica?.execute(next.on, next.now, next.at);
    }
  }

  /** The replica takes over. False: there is none. */
  failover(): boolean {
    if (this.#replica === undefined) return false;
    this.#world.cover.count("failover");
    this.#world.note("store", `FAILOVER forgets ${this.#following.length} calls`, true);
    for (const { on } of this.#following) this.#forgotten.add(on);
    this.#following = [];
    this.contents.become(this.#replica);
    return true;
  }

  survived(on: StoreCall): boolean {
    return !this.#forgotten.has(on);
  }

  retire(address: Parameters<SimStore["retire"]>[0]): ReturnType<SimStore["retire"]> {
    this.#replica?.retire(address);
    return this.contents.retire(address);
  }

  #deliverWakes(node: NodeId): void {
    const { agenda, plan, cluster, dice } = this.#world;
    agenda.in(takes(dice, plan.weather.store), () => {
      const process = cluster.processOf(node);
      if (process === undefined) return;
      if (process.stalledUntil > agenda.now) {
        agenda.at(process.stalledUntil, () => this.#deliverWakes(node));
        return;
      }
      this.#replica?.takeWakes(node);
      process.wakes(this.contents.takeWakes(node));
    });
  }
}
