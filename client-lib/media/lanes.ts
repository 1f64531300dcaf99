// A few pieces of work at once. Always true: no more than so many are under way, and the first failure ends them all.

export class Lanes {
  readonly #count: number;
  readonly #signal: AbortSignal;
  readonly #end = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(count: number, signal: AbortSignal) {
    this.#count = count;
    this.#signal = AbortSignal.any([signal, this.#end.signal]);
  }

  /** Begins it once a lane is free. @throws the first failure of those before */
  async add(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#count) await this.one();
    this.#check();
    const running = work(this.#signal)
      .catch((error: unknown) => {
        this.#failure ??= { error };
        this.#end.abort();
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** One of those that are under way has ended. @throws the first failure */
  async one(): Promise<void> {
    this.#check();
    await Promise.race(this.#running);
    this.#check();
  }

  /** All have ended well. @throws the first failure */
  async all(): Promise<void> {
    await Promise.all(this.#running);
    this.#check();
  }

  /** Ends what is under way, and waits for it. */
  async end(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#running);
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
