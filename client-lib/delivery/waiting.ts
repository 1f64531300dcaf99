// Pushes that wait for room in the inbox, unacknowledged, so that the relay's window fills and it stops pushing.
// Always true: within both caps; what waited on a connection that is gone is forgotten, for it is pushed again.
import type { FrameOf } from "@lethe/protocol";
import { MAX_WAITING_BYTES, MAX_WAITING_PUSHES } from "./limits.ts";

export class Waiting {
  #pushes: FrameOf<"push">[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#pushes.length === 0;
  }

  /** False: the relay has pushed past every window. */
  add(push: FrameOf<"push">): boolean {
    this.#pushes.push(push);
    this.#bytes += push.ciphertext.length;
    return this.#pushes.length <= MAX_WAITING_PUSHES && this.#bytes <= MAX_WAITING_BYTES;
  }

  take(): FrameOf<"push"> | undefined {
    const push = this.#pushes.shift();
    if (push !== undefined) this.#bytes -= push.ciphertext.length;
    return push;
  }

  clear(): void {
    this.#pushes = [];
    this.#bytes = 0;
  }
}
