// Work that is done a few at a time, in the order in which it came.
export interface WorkQueueOptions {
  readonly atOnce: number;
  /** Something was added, or has ended. */
  readonly changed: () => void;
  readonly failed: (error: unknown) => void;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting: (() => Promise<void>)[] = [];
  #running = 0;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Pieces of work that have not ended. */
  get size(): number {
    return this.#running + this.#waiting.length;
  }

  add(work: () => Promise<void>): void {
    this.#waiting.push(work);
    this.#options.changed();
    this.#next();
  }

  #next(): void {
    if (this.#running >= this.#options.atOnce) return;
    const work = this.#waiting.shift();
    if (work === undefined) return;
    this.#running++;
    work()
      .catch(this.#options.failed)
      .finally(() => {
        this.#running--;
        this.#next();
        this.#options.changed();
      });
  }
}
