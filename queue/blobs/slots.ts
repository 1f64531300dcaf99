// How much may be under way at once: who comes when all slots are taken waits, first come, first served. Always true: those who
// wait have a cap too, and none waits any longer once the slots are closed.
import { BlobError } from "../media.ts";

export class Slots {
  #free: number;
  readonly #mostWaiting: number;
  readonly #waiting: PromiseWithResolvers<void>[] = [];

  constructor(slots: number, mostWaiting: number) {
    this.#free = slots;
    this.#mostWaiting = mostWaiting;
  }

  /** Does the work when there is a slot for it. @throws BlobError where too many wait, or the slots are closed meanwhile */
  async with<T>(work: () => Promise<T>): Promise<T> {
    await this.#take();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next.resolve();
    }
  }

  close(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new BlobError("failed", { cause: "closed" }));
  }

  #take(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve();
    }
    if (this.#waiting.length >= this.#mostWaiting)
      return Promise.reject(new BlobError("failed", { cause: "too many wait" }));
    const turn = Promise.withResolvers<void>();
    this.#waiting.push(turn);
    return turn.promise;
  }
}
