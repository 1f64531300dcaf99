// The link between two node processes: one pipe, two ends. Always true: each end hears of its end once.
import type { NodeId } from "@lethe/queue";
import type { LinkFrame } from "../../relay/delivery/types.ts";
import { Dice, mix } from "./chance.ts";
import { linkLabel } from "./labels.ts";
import { Pipe } from "./pipe.ts";
import type { NodeProcess } from "./process.ts";
import type { World } from "./world.ts";

/** How long a silent link is believed in, ms: heartbeats every second, three missed. */
const PATIENCE_MS = 4_000;

export class NodeLink {
  readonly low: NodeProcess;
  readonly high: NodeProcess;
  readonly pipe: Pipe<LinkFrame, LinkFrame>;
  readonly #lowId: NodeId;
  readonly #highId: NodeId;
  readonly #world: World;

  private constructor(world: World, low: NodeProcess, high: NodeProcess) {
    this.#world = world;
    this.low = low;
    this.high = high;
    this.#lowId = low.id;
    this.#highId = high.id;
    const dice = new Dice(mix(world.plan.seed, 600 + low.index, high.index, world.cluster.links.size));
    this.pipe = new Pipe(world.agenda, dice, world.plan.weather.network);
    this.pipe.low({
      take: (frame) => low.linkFrame(this.#highId, this, frame),
      closed: () => this.#gone(low, this.#highId),
    });
    this.pipe.high({
      take: (frame) => high.linkFrame(this.#lowId, this, frame),
      closed: () => this.#gone(high, this.#lowId),
    });
    if (world.trace !== undefined)
      this.pipe.watch = (way, frame, sent, got) => {
        const [from, to] = way === "up" ? [low.name, high.name] : [high.name, low.name];
        const label = linkLabel(frame, (id) => world.idLabel(id));
        world.trace?.arrow({ from, to, sent, got, label });
      };
  }

  static between(world: World, low: NodeProcess, high: NodeProcess): NodeLink {
    const link = new NodeLink(world, low, high);
    world.cluster.links.add(link);
    low.links.set(high.id, link);
    high.links.set(low.id, link);
    return link;
  }

  #gone(end: NodeProcess, peer: NodeId): void {
    this.#world.cluster.links.delete(this);
    end.linkEnded(peer, this);
  }

  isBetween(a: number, b: number): boolean {
    return (this.low.index === a && this.high.index === b) || (this.low.index === b && this.high.index === a);
  }

  send(from: NodeProcess, frame: LinkFrame): void {
    if (from === this.low) this.pipe.up(frame);
    else this.pipe.down(frame);
  }

  cut(): void {
    this.pipe.cut();
  }

  /** Nothing gets through, one way or both, until both ends have given it up. */
  silence(way: "up" | "down" | "both"): void {
    this.pipe.silence(way);
    const { agenda } = this.#world;
    const dice = new Dice(mix(this.#world.plan.seed, 700, this.#world.cluster.links.size));
    agenda.in(PATIENCE_MS * (0.5 + dice.fraction()), () => this.pipe.giveUpHigh(1006));
    agenda.in(PATIENCE_MS * (0.5 + dice.fraction()), () => this.pipe.giveUpLow(1006));
  }

  /** One end's process died. */
  die(end: NodeProcess, told: boolean): void {
    if (end === this.low) this.pipe.dieLow(told);
    else this.pipe.dieHigh(told);
    if (told) return;
    this.#world.agenda.in(PATIENCE_MS, () => {
      if (end === this.low) this.pipe.giveUpHigh(1006);
      else this.pipe.giveUpLow(1006);
    });
  }

  /** One end closes it on purpose. */
  leave(end: NodeProcess): void {
    if (end === this.low) this.pipe.closeLow(1000);
    else this.pipe.closeHigh(1000);
  }
}
