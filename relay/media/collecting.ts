// When blobs go: what has ended from time to time, and at once where the relay knows of an end; what no ledger knows, seldom.
// Always true: bytes are removed before the ledger forgets them, so that a crash between any two steps leaves its work to the
// next run and nothing behind; one collection runs at a time in a process.
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
  readonly removed: (why: "collected" | "orphan", count: number) => void;
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
    const collected = await this.#collect();
    const { instant } = this.#parts;
    if (instant() - this.#orphansAt < ORPHANS_EVERY_MS) return collected;
    const orphans = await this.#orphans();
    this.#orphansAt = instant();
    return collected + orphans;
  }

  /** What has ended, as soon as it can be; nobody waits for it. */
  soon(): void {
    this.#isAskedAgain = true;
    if (this.#running === undefined) this.#collect().catch((error: unknown) => this.#parts.failed(error));
  }

  /** Until no collection runs. */
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
    let count = 0;
    do {
      this.#isAskedAgain = false;
      count += await this.#ended();
    } while (this.#isAskedAgain);
    return count;
  }

  async #ended(): Promise<number> {
    const { ledger, blobs, removed } = this.#parts;
    let count = 0;
    for (;;) {
      const ended = await ledger.ended(AT_ONCE);
      for (const media of ended) {
        await blobs.remove(media);
        await ledger.forget([media]);
        removed("collected", 1);
      }
      count += ended.length;
      if (ended.length < AT_ONCE) return count;
    }
  }

  async #orphans(): Promise<number> {
    let count = 0;
    let some: MediaId[] = [];
    for await (const media of this.#parts.blobs.list()) {
      some.push(media);
      if (some.length < AT_ONCE) continue;
      count += await this.#unknownOf(some);
      some = [];
    }
    return count + (await this.#unknownOf(some));
  }

  /** Listed first and asked for after: what is begun meanwhile is known. */
  async #unknownOf(some: readonly MediaId[]): Promise<number> {
    const { ledger, blobs, removed } = this.#parts;
    if (some.length === 0) return 0;
    const known = await ledger.known(some);
    const orphans = some.filter((_, i) => known[i] === false);
    for (const media of orphans) await blobs.remove(media);
    removed("orphan", orphans.length);
    return orphans.length;
  }
}
