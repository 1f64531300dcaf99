// When blobs go: what has ended from time to time, and at once where the relay knows of an end; what no ledger knows, seldom.
// Always true: one collection runs at a time in a process; one that fails leaves its work to the next.
import type { Blobs, MediaId, MediaLedger } from "@lethe/queue";

/** Blobs that are asked for, and forgotten, at once. */
const AT_ONCE = 100;
/** How often the blobs are looked through for those that no ledger knows, ms: a crash or a lost race leaves one. */
const ORPHANS_EVERY_MS = 3_600_000;

export interface CollectingParts {
  readonly ledger: MediaLedger;
  readonly blobs: Blobs;
  /** A monotonic clock, ms. */
  readonly instant: () => number;
  readonly count: (what: "collected" | "orphans", by: number) => void;
  /** A collection that nobody waits for has failed. */
  readonly failed: (error: unknown) => void;
}

export class Collecting {
  readonly #parts: CollectingParts;
  #running: Promise<number> | undefined;
  #isAskedAgain = false;
  #orphansAt = Number.NEGATIVE_INFINITY;

  constructor(parts: CollectingParts) {
    this.#parts = parts;
  }

  /** What has ended, and from time to time what no ledger knows. Resolves with the number of blobs removed. */
  async run(): Promise<number> {
    await this.#running?.catch(() => undefined);
    return (await this.#collect()) + (await this.#orphans());
  }

  /** What has ended, as soon as it can be; nobody waits for it. */
  soon(): void {
    this.#isAskedAgain = true;
    if (this.#running !== undefined) return;
    this.#collect().catch((error: unknown) => this.#parts.failed(error));
  }

  /** Until nothing runs. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
  }

  #collect(): Promise<number> {
    this.#running ??= this.#untilDone().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #untilDone(): Promise<number> {
    let removed = 0;
    do {
      this.#isAskedAgain = false;
      removed += await this.#ended();
    } while (this.#isAskedAgain);
    return removed;
  }
}
