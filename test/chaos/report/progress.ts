// How a run says what it does: on a terminal one line that is written over, and a coloured line for each fault; in a pipe
// plain lines. Always true: colour only on a terminal, and never where NO_COLOR is set.
import type { FaultGroup, FaultKind } from "../faults/fault.ts";
import type { Telling } from "../run.ts";

export interface Out {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const COLOURS: Readonly<Record<FaultGroup, number>> = {
  relay: 31,
  link: 33,
  store: 35,
  client: 36,
  machine: 34,
};
const GREY = 90;
const GREEN = 32;
const NAME_WIDTH = 16;
const EVERY_S = { terminal: 0.5, pipe: 30 } as const;

export function painter(out: Out): (colour: number, text: string) => string {
  const coloured = out.isTTY === true && process.env["NO_COLOR"] === undefined;
  return (colour, text) => (coloured ? `\u001b[${colour}m${text}\u001b[0m` : text);
}

export class Progress implements Telling {
  readonly #out: Out;
  readonly #paint: (colour: number, text: string) => string;
  readonly #seconds: number;
  #now = 0;
  #last = -Infinity;

  constructor(out: Out, seconds: number) {
    this.#out = out;
    this.#paint = painter(out);
    this.#seconds = seconds;
  }

  begun(says: string): void {
    this.#line(says);
  }

  struck({ name, group }: FaultKind, says: string): void {
    this.#line(`${this.#clock()}  ${this.#paint(COLOURS[group], name.padEnd(NAME_WIDTH))}  ${says}`);
  }

  healed({ name }: FaultKind, ms: number): void {
    const text = `${name.padEnd(NAME_WIDTH)}  healed after ${(ms / 1_000).toFixed(1)} s`;
    this.#line(`${this.#clock()}  ${this.#paint(GREEN, text)}`);
  }

  at(seconds: number, sent: number, handed: number, strikes: number): void {
    this.#now = seconds;
    const isTerminal = this.#out.isTTY === true;
    if (seconds - this.#last < (isTerminal ? EVERY_S.terminal : EVERY_S.pipe)) return;
    this.#last = seconds;
    const text = `${this.#clock()} of ${this.#seconds} s  ${sent} accepted  ${handed} handed over  ${strikes} faults`;
    this.#out.write(isTerminal ? `\r\u001b[K${this.#paint(GREY, text)}` : `${text}\n`);
  }

  #clock(): string {
    return `${this.#now.toFixed(0).padStart(5)} s`;
  }

  #line(text: string): void {
    this.#out.write(this.#out.isTTY === true ? `\r\u001b[K${text}\n` : `${text}\n`);
  }
}
