// When blobs go: what has ended from time to time, and at once where the relay knows of an end; what no ledger knows, seldom.
// Always true: one collection runs at a time in a process; one that fails leaves its work to the next.
import {
  BlobError,
  type Blobs,
  collect,
  type Collected,
  collectOrphans,
  type MediaLedger,
} from "@lethe/queue";

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

  /**
   * What has ended, and from time to time what no ledger knows. Resolves with the number of blobs removed.
   *
   * @throws BlobError, StoreFailedError where some are left
   */
  async run(): Promise<number> {
    const collecting = this.#collect();
    const orphans = await collecting.then(
      () => this.#orphans(),
      () => this.#orphans(), // what fails with one blob holds up no other
    );
    return (await collecting) + orphans;
  }

  async #orphans(): Promise<number> {
    const { ledger, blobs, instant } = this.#parts;
    if (instant() - this.#orphansAt < ORPHANS_EVERY_MS) return 0;
    const orphans = this.#counted("orphan", await collectOrphans(ledger, blobs));
    this.#orphansAt = instant();
    return orphans;
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
    const { ledger, blobs } = this.#parts;
    let count = 0;
    do {
      this.#isAskedAgain = false;
      count += this.#counted("collected", await collect(ledger, blobs));
    } while (this.#isAskedAgain);
    return count;
  }

  #counted(why: "collected" | "orphan", { removed, failed }: Collected): number {
    this.#parts.removed(why, removed);
    if (failed > 0) throw new BlobError("failed", { cause: `${failed} are left` });
    return removed;
  }
}
