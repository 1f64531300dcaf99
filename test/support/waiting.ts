// Waiting in tests: for events, never for a while. Every wait has an end and a name, so that what does not come is said.

/** The promise's value, or an error that names what did not come in time. */
export async function within<T>(ms: number, what: string | (() => string), promise: Promise<T>): Promise<T> {
  const timer = Promise.withResolvers<never>();
  const late = (): void => {
    timer.reject(new Error(`${typeof what === "string" ? what : what()} did not come within ${ms} ms`));
  };
  const handle = setTimeout(late, ms);
  try {
    return await Promise.race([promise, timer.promise]);
  } finally {
    clearTimeout(handle);
  }
}

/** Asks again and again until the answer is not undefined: for what a process tells only when it is asked. */
export async function eventually<T>(
  ms: number,
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  every = 20,
): Promise<T> {
  const until = performance.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > until) throw new Error(`${what} did not come within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

/** Items that come one at a time, and those who wait for them: first come, first served. */
export class Arrivals<T> {
  readonly #items: T[] = [];
  readonly #waiting: ((item: T) => void)[] = [];

  put(item: T): void {
    const waiter = this.#waiting.shift();
    if (waiter === undefined) this.#items.push(item);
    else waiter(item);
  }

  /** The next item, now or later. */
  next(): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** What is here already. */
  takeAll(): T[] {
    return this.#items.splice(0);
  }

  get size(): number {
    return this.#items.length;
  }
}
