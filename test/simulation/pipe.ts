// A connection between two ends, as TCP is one: bytes arrive in order or not at all, and an end learns of the other's
// going late, or never. Always true: nothing arrives at an end that has closed or has heard of the close.
import type { Agenda } from "./agenda.ts";
import { type Dice, type Pace, takes } from "./chance.ts";

/** One end as the pipe sees it. `closed` comes at most once, and never after the end closed by itself. */
export interface End<Message> {
  take(message: Message): void;
  closed(status: number): void;
}

class Direction<Message> {
  end: End<Message> | undefined;
  /** Nothing arrives any more, and nobody is told. */
  silent = false;
  /** Arrivals are in order: none before the last one. */
  last = 0;
  /** Messages under way from before a break carry an older number and are lost. */
  generation = 0;
}

export class Pipe<Up, Down> {
  readonly #agenda: Agenda;
  readonly #dice: Dice;
  readonly #pace: Pace;
  readonly #up = new Direction<Up>();
  readonly #down = new Direction<Down>();
  /** Nothing new gets through, though each end may still believe in it. */
  #broken = false;
  /** Called for each message that arrived, for the diagram. */
  watch:
    | ((way: "up" | "down", message: Up | Down, sent: number, got: number | undefined) => void)
    | undefined;

  constructor(agenda: Agenda, dice: Dice, pace: Pace) {
    this.#agenda = agenda;
    this.#dice = dice;
    this.#pace = pace;
  }

  /** The low end: a client, or the node that opened the link. */
  low(end: End<Down>): void {
    this.#down.end = end;
  }

  high(end: End<Up>): void {
    this.#up.end = end;
  }

  get open(): boolean {
    return this.#up.end !== undefined && this.#down.end !== undefined;
  }

  up(message: Up): void {
    if (this.#down.end !== undefined) this.#send("up", this.#up, message);
  }

  down(message: Down): void {
    if (this.#up.end !== undefined) this.#send("down", this.#down, message);
  }

  #send<M extends Up | Down>(way: "up" | "down", direction: Direction<M>, message: M): void {
    const sent = this.#agenda.now;
    const at = Math.max(direction.last, sent + takes(this.#dice, this.#pace));
    direction.last = at;
    if (this.#broken || direction.silent || direction.end === undefined) {
      this.watch?.(way, message, sent, undefined);
      return;
    }
    const { generation } = direction;
    this.#agenda.at(at, () => {
      const lost = direction.silent || generation !== direction.generation;
      this.watch?.(way, message, sent, lost || direction.end === undefined ? undefined : at);
      if (!lost) direction.end?.take(message);
    });
  }

  /** The low end closes: what it sent still arrives, then the high end hears of it. */
  closeLow(status: number): void {
    this.#down.end = undefined;
    this.#tell(this.#up, status, 0);
  }

  closeHigh(status: number): void {
    this.#up.end = undefined;
    this.#tell(this.#down, status, 0);
  }

  #tell<M>(direction: Direction<M>, status: number, extra: number): void {
    if (this.#broken || direction.silent || direction.end === undefined) return;
    const at = Math.max(direction.last, this.#agenda.now + takes(this.#dice, this.#pace)) + extra;
    direction.last = at;
    const { generation } = direction;
    this.#agenda.at(at, () => {
      if (!direction.silent && generation === direction.generation) leave(direction, status);
    });
  }

  /** It breaks: what is under way is lost or still arrives, and each end hears of it in its own time. */
  cut(): void {
    for (const direction of [this.#up, this.#down] as const) {
      if (this.#dice.happens(0.6)) direction.generation++;
      const end = direction as Direction<unknown>;
      const { generation } = end;
      const at = Math.max(end.last, this.#agenda.now + this.#dice.between(0, 1_500));
      this.#agenda.at(at, () => {
        if (generation === end.generation) leave(end, 1006);
      });
    }
    this.#broken = true;
  }

  /** What is sent this way from now on gets lost, and nobody is told: a half-open or one-way connection. */
  silence(way: "up" | "down" | "both"): void {
    if (way !== "down") this.#up.silent = true;
    if (way !== "up") this.#down.silent = true;
  }

  /** Something keeps it from carrying everything both ways. */
  get impaired(): boolean {
    return this.#broken || this.isSilent;
  }

  get isSilent(): boolean {
    return this.#up.silent || this.#down.silent;
  }

  /** The high end's patience is over, as its ping time-out says. */
  giveUpHigh(status: number): void {
    leave(this.#up, status);
    this.#down.silent = true;
  }

  giveUpLow(status: number): void {
    leave(this.#down, status);
    this.#up.silent = true;
  }

  /** The process at the high end died: its end is gone at once; the other hears of it, or does not. */
  dieHigh(told: boolean): void {
    this.#up.end = undefined;
    if (told) this.#tell(this.#down, 1006, 0);
    else this.#down.silent = true;
  }

  dieLow(told: boolean): void {
    this.#down.end = undefined;
    if (told) this.#tell(this.#up, 1006, 0);
    else this.#up.silent = true;
  }
}

function leave<M>(direction: Direction<M>, status: number): void {
  const { end } = direction;
  direction.end = undefined;
  end?.closed(status);
}
