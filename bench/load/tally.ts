// Counts what has happened and wakes whoever waits for a number of it. Always true: the first fault of the load fails
// every wait, present and future, so that no figure comes out of a run that went wrong.

export class Tally {
  #count = 0;
  #fault: Error | undefined;
  readonly #waits = new Set<{ at: number; resolve: () => void; reject: (error: Error) => void }>();

  get count(): number {
    return this.#count;
  }

  add(by: number): void {
    this.#count += by;
    for (const wait of this.#waits)
      if (this.#count >= wait.at) {
        this.#waits.delete(wait);
        wait.resolve();
      }
  }

  fail(error: Error): void {
    this.#fault ??= error;
    for (const wait of this.#waits) wait.reject(this.#fault);
    this.#waits.clear();
  }

  /** Resolves as soon as `at` have been counted. */
  reaches(at: number): Promise<void> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    if (this.#count >= at) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waits.add({ at, resolve, reject }));
  }
}

/** Everything that is counted of one load. */
export class Counts {
  readonly accepted = new Tally();
  readonly acked = new Tally();
  readonly drained = new Tally();
  readonly ponged = new Tally();

  fail(error: Error): void {
    for (const tally of [this.accepted, this.acked, this.drained, this.ponged]) tally.fail(error);
  }
}

/** Messages that a load has still to send, shared by its senders so that none of them runs dry before the others. */
export class Budget {
  #left: number;

  constructor(messages: number) {
    this.#left = messages;
  }

  /** Up to `wanted` of them. */
  take(wanted: number): number {
    const given = Math.min(wanted, this.#left);
    this.#left -= given;
    return given;
  }
}
