// Work that takes its turn. Always true: no more than so many are under way; the others begin in the order in which they came.

export class Turns {
  readonly #count: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(count: number) {
    this.#count = count;
  }

  /** @throws what `work` throws; the signal's reason */
  async take<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#count) await this.#turn(signal);
    else this.#running += 1;
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      // The place goes on to whoever has waited longest.
      const [next] = this.#waiting;
      if (next === undefined) this.#running -= 1;
      else {
        this.#waiting.delete(next);
        next();
      }
    }
  }

  /** Whoever is not wanted any more waits no longer. */
  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (): void => {
      this.#waiting.delete(resolve);
      reject(signal.reason as Error);
    };
    this.#waiting.add(resolve);
    signal.addEventListener("abort", leave, { once: true });
    await promise;
    signal.removeEventListener("abort", leave);
  }
}
