// The nodes of one world: started, crashed, stood still, closed, without their lease; and the links between them.
// Always true: a process has an id that no other ever had, new at each start and after each lost lease.
import type { NodeId } from "@lethe/queue";
import type { NodeLink } from "./node-link.ts";
import { NODES } from "./people.ts";
import type { Timed } from "./plan.ts";
import { NodeProcess } from "./process.ts";
import type { World } from "./world.ts";

/** How long a closing node waits for what is under way, ms. */
const CLOSE_MS = 10_000;

export class Cluster {
  readonly links = new Set<NodeLink>();
  readonly #world: World;
  readonly #nodes: (NodeProcess | undefined)[] = [];
  readonly #boots: number[] = [];
  readonly #leases = new Set<NodeId>();
  readonly #apart = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  /** The processes that run, by the index of their node. */
  get nodes(): readonly (NodeProcess | undefined)[] {
    return this.#nodes;
  }

  processOf(id: NodeId): NodeProcess | undefined {
    return this.#nodes.find((process) => process?.id === id && process.up);
  }

  bootAll(): void {
    for (let i = 0; i < this.#world.plan.nodes; i++) this.#bootIfDown(i);
  }

  #bootIfDown(index: number): void {
    if (this.#nodes[index] !== undefined) return;
    const boot = this.#nextBoot(index);
    const process = new NodeProcess(this.#world, { index, name: NODES[index] ?? `N${index}`, boot });
    this.#nodes[index] = process;
    if (boot > 1) {
      this.#world.cover.count("node restarted");
      this.#world.note(process.name, `starts as ${process.id}`, false);
    }
    this.#takeLease(process.id, boot === 1);
  }

  #nextBoot(index: number): number {
    const boot = (this.#boots[index] ?? 0) + 1;
    this.#boots[index] = boot;
    return boot;
  }

  // --- leases --------------------------------------------------------------------------------------------------------

  #takeLease(id: NodeId, atOnce: boolean): void {
    this.#leases.add(id);
    this.#leasesChanged(atOnce);
  }

  #dropLease(id: NodeId): void {
    this.#leases.delete(id);
    this.#leasesChanged(false);
  }

  /** Everybody hears of it in their own time. */
  #leasesChanged(atOnce: boolean): void {
    for (const process of this.#nodes) {
      if (process === undefined) continue;
      const tell = (): void => process.leases(new Set(this.#leases));
      if (atOnce) tell();
      else this.#later(this.#world.dice.between(0, 3_000), tell);
    }
  }

  #later(ms: number, act: () => void): void {
    this.#world.agenda.in(ms, act);
  }

  loseLease(index: number, noticed: number): void {
    const process = this.#nodes[index];
    if (process === undefined || process.closing || process.fenced) return;
    this.#world.cover.count("lease lost");
    this.#world.note(process.name, "LEASE LOST", true);
    process.fenced = true;
    this.#dropLease(process.id);
    this.#later(noticed, () => this.#notices(process));
  }

  #notices(process: NodeProcess): void {
    if (!process.up || process.closing) return;
    if (process.paused) {
      this.#later(500, () => this.#notices(process));
      return;
    }
    process.notice(`${process.name}${this.#nextBoot(process.index)}` as NodeId);
    process.fenced = false;
    this.#takeLease(process.id, false);
    this.#world.note(process.name, `notices, and is ${process.id} now`, true);
  }

  // --- ends ----------------------------------------------------------------------------------------------------------

  crash(index: number, ms: number): void {
    const process = this.#nodes[index];
    if (process === undefined) return;
    this.#world.cover.count("node crashed");
    this.#world.note(process.name, "CRASH", true);
    process.crash();
    this.#nodes[index] = undefined;
    this.#later(this.#world.dice.between(7_000, 10_000), () => this.#dropLease(process.id));
    this.#later(ms, () => this.#bootIfDown(index));
  }

  /** It stands still, and goes on as if nothing had been; its lease may be lost by then. */
  pause(index: number, ms: number): void {
    const { dice } = this.#world;
    const process = this.#nodes[index];
    if (process === undefined || process.paused) return;
    this.#world.cover.count("node paused");
    this.#world.note(process.name, `stands still for ${Math.round(ms)} ms`, true);
    process.pause();
    this.#later(ms, () => process.resume());
    if (ms > 8_000) this.#later(dice.between(7_000, ms), () => this.loseLease(index, dice.between(0, 2_000)));
  }

  close(index: number, ms: number): void {
    const process = this.#nodes[index];
    if (process === undefined || process.closing) return;
    this.#world.cover.count("node closed");
    this.#world.note(process.name, "closes", false);
    process.close();
    this.#closed(process, ms, this.#world.now + CLOSE_MS);
  }

  /** It waits for what is under way, then ends its connections. */
  #closed(process: NodeProcess, ms: number, deadline: number): void {
    if (!process.up) return;
    if (!process.idle && this.#world.now < deadline) {
      this.#later(50, () => this.#closed(process, ms, deadline));
      return;
    }
    process.endAll();
    process.crash();
    if (this.#nodes[process.index] === process) this.#nodes[process.index] = undefined;
    this.#dropLease(process.id);
    this.#later(Math.min(ms, 5_000), () => this.#bootIfDown(process.index));
  }

  storeMoved(): void {
    for (const process of this.#nodes)
      if (process !== undefined) this.#later(this.#world.dice.between(0, 1_000), () => process.storeMoved());
  }

  // --- links ---------------------------------------------------------------------------------------------------------

  cutLink(a: number, b: number): void {
    for (const link of [...this.links]) {
      if (!link.isBetween(a, b)) continue;
      this.#world.note(link.low.name, `link to ${link.high.name} CUT`, true);
      link.cut();
    }
  }

  silenceLink({ a, b, way, ms }: Timed & { do: "silence-link" }): void {
    if (a === b) return;
    this.#apart.set(between(a, b), Math.min(this.#world.now + ms, this.#world.plan.calmAt));
    for (const link of [...this.links]) {
      if (!link.isBetween(a, b)) continue;
      this.#world.cover.count("link silent");
      this.#world.note(link.low.name, `link to ${link.high.name} SILENT`, true);
      link.silence(way);
    }
  }

  /** No new link can be made between the two. */
  isApart(a: number, b: number): boolean {
    return (this.#apart.get(between(a, b)) ?? 0) > this.#world.now;
  }

  // --- what is left --------------------------------------------------------------------------------------------------

  unrest(): string | undefined {
    for (const process of this.#nodes) {
      if (process === undefined || process.paused) return "a node is down";
      const { flows, calls } = process.sizes();
      if (flows > 0 || calls > 0) return `${flows} flows and ${calls} calls at ${process.name}`;
    }
    return undefined;
  }

  describe(): string {
    return this.#nodes.map((p) => `${p?.name}: ${p?.describe()} ${JSON.stringify(p?.sizes())}`).join("; ");
  }
}

function between(a: number, b: number): string {
  return `${Math.min(a, b)}-${Math.max(a, b)}`;
}
