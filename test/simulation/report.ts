// How a simulation says what it does: one line that is written over on a terminal, a line now and then in a pipe, and a
// summary with what was covered. Always true: colour only on a terminal, and never where NO_COLOR is set.
import type { Tally } from "./runner.ts";

export interface Out {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const RED = 31;
const GREEN = 32;
const YELLOW = 33;
const GREY = 90;

function paint(out: Out, colour: number, text: string): string {
  const coloured = out.isTTY === true && process.env["NO_COLOR"] === undefined;
  return coloured ? `\u001b[${colour}m${text}\u001b[0m` : text;
}

export class Progress {
  readonly #runs: number;
  readonly #out: Out;
  readonly #began = performance.now();
  #last = 0;

  constructor(runs: number, out: Out) {
    this.#runs = runs;
    this.#out = out;
  }

  get seconds(): number {
    return (performance.now() - this.#began) / 1_000;
  }

  at(runs: number, failures: number): void {
    const { seconds } = this;
    const every = this.#out.isTTY === true ? 0.2 : 15;
    if (seconds - this.#last < every) return;
    this.#last = seconds;
    const failed = failures === 0 ? "" : paint(this.#out, RED, `, ${failures} failed`);
    const line = `${runs} of ${this.#runs} schedules, ${Math.round(runs / seconds)}/s${failed}`;
    this.#out.write(this.#out.isTTY === true ? `\r\u001b[K${line}` : `${line}\n`);
  }

  done(): void {
    if (this.#out.isTTY === true) this.#out.write("\r\u001b[K");
  }
}

export interface Summary {
  readonly seconds: number;
  /** Seconds of CPU time of this process, where it ran all of them. */
  readonly cpuSeconds: number | undefined;
  readonly seed: number;
  readonly out: Out;
}

export function printSummary(tally: Tally, { seconds, cpuSeconds, seed, out }: Summary): void {
  const { runs, failures, steps, restedAfter, repeats } = tally;
  out.write(`${paint(out, GREY, "what happened")}\n`);
  const counts = [...tally.cover].map(([event, count]) => [event, count] as const);
  const half = Math.ceil(counts.length / 2);
  for (let i = 0; i < half; i++)
    out.write(
      `  ${[counts[i], counts[i + half]].map((cell) => (cell === undefined ? "" : cellOf(out, cell))).join("   ")}\n`,
    );
  const verdict =
    failures.length === 0
      ? paint(out, GREEN, "every promise was kept")
      : paint(out, RED, `${failures.length} schedules broke a promise`);
  out.write(
    `\n${runs} schedules from seed ${seed} in ${seconds.toFixed(1)} s (${Math.round(runs / seconds)}/s): ${verdict}\n`,
  );
  if (cpuSeconds !== undefined)
    out.write(
      `${((1_000 * cpuSeconds) / runs).toFixed(2)} ms of CPU each, ${Math.round(runs / cpuSeconds)} for a second of CPU\n`,
    );
  out.write(
    `${Math.round(steps / runs)} steps each; at rest ${(restedAfter / runs / 1_000).toFixed(1)} s after the last fault; ` +
      `${repeats} pushed again on one connection after their acknowledgement\n`,
  );
}

function cellOf(out: Out, [event, count]: readonly [string, number]): string {
  const text = `${event.padEnd(34)}${String(count).padStart(10)}`;
  return count === 0 ? paint(out, YELLOW, text) : text;
}
