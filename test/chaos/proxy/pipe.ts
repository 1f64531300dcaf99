// One direction of one connection through the proxy. Always true: what comes out is a beginning of what went in, in order;
// no more than a cap is held in memory, beyond it the sender is not read.
import type { Socket } from "node:net";
import type { Chance } from "../../support/chance.ts";
import type { Shape } from "./shape.ts";

/** Held in memory for one direction, bytes: less than what the kernel holds anyway. */
export const MAX_HELD_BYTES = 131_072;
/** Chunks are parted into these where bandwidth is limited, bytes: so that little is little at a time. */
const SLICE_BYTES = 1_024;

interface Held {
  /** Undefined: the end of the stream. */
  readonly bytes: Buffer | undefined;
  readonly due: number;
}

export interface PipeOptions {
  readonly from: Socket;
  readonly to: Socket;
  readonly shape: Shape;
  readonly chance: Chance;
  /** So many bytes have passed on. */
  readonly passed: (bytes: number) => void;
}

export class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #chance: Chance;
  readonly #passed: (bytes: number) => void;
  readonly #queue: Held[] = [];
  #shape: Shape;
  #held = 0;
  #lastDue = 0;
  /** Bytes that may still pass. */
  #left: number | undefined;
  #isLost = false;
  #isFull = false;
  #timer: NodeJS.Timeout | undefined;
  mostHeld = 0;

  constructor({ from, to, shape, chance, passed }: PipeOptions) {
    this.#from = from;
    this.#to = to;
    this.#shape = shape;
    this.#chance = chance;
    this.#passed = passed;
    this.#left = shape.cutAfter;
    from.on("data", (chunk: Buffer) => this.#take(chunk));
    from.on("end", () => this.#put(undefined));
    to.on("drain", () => {
      this.#isFull = false;
      this.#pump();
    });
    this.#flow();
  }

  reshape(shape: Shape): void {
    if (shape.cutAfter !== this.#shape.cutAfter) this.#left = shape.cutAfter;
    this.#shape = shape;
    this.#flow();
    this.#pump();
  }

  /** The stream ends here, whatever else the sender says. */
  halfClose(): void {
    this.#isLost = true;
    this.#forget();
    this.#to.end();
    this.#flow();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#forget();
  }

  #forget(): void {
    this.#queue.length = 0;
    this.#held = 0;
  }

  #flow(): void {
    const isOpen = !this.#shape.stall && (this.#isLost || this.#held < MAX_HELD_BYTES);
    if (isOpen) this.#from.resume();
    else this.#from.pause();
  }

  #take(chunk: Buffer): void {
    if (this.#shape.blackhole) this.#isLost = true;
    if (this.#isLost) return;
    const { bytesPerSecond } = this.#shape;
    const step = bytesPerSecond > 0 ? SLICE_BYTES : chunk.length;
    for (let at = 0; at < chunk.length; at += step) this.#put(chunk.subarray(at, at + step));
  }

  #put(bytes: Buffer | undefined): void {
    if (this.#isLost) return;
    const { latencyMs, jitterMs, bytesPerSecond } = this.#shape;
    const jitter = jitterMs > 0 ? this.#chance.below(jitterMs + 1) : 0;
    const taking = bytesPerSecond > 0 ? (1_000 * (bytes?.length ?? 0)) / bytesPerSecond : 0;
    const due = Math.max(performance.now() + latencyMs + jitter, this.#lastDue + taking);
    this.#lastDue = due;
    this.#queue.push({ bytes, due });
    this.#held += bytes?.length ?? 0;
    this.mostHeld = Math.max(this.mostHeld, this.#held);
    this.#flow();
    this.#pump();
  }

  #pump(): void {
    clearTimeout(this.#timer);
    while (!this.#shape.stall && !this.#isFull && !this.#to.destroyed) {
      const next = this.#queue[0];
      if (next === undefined) break;
      const wait = next.due - performance.now();
      if (wait > 0.5) {
        this.#timer = setTimeout(() => this.#pump(), wait);
        break;
      }
      this.#queue.shift();
      this.#write(next.bytes);
    }
    this.#flow();
  }

  #write(bytes: Buffer | undefined): void {
    if (bytes === undefined) {
      this.#to.end();
      return;
    }
    this.#held -= bytes.length;
    const part = this.#left === undefined ? bytes : bytes.subarray(0, this.#left);
    this.#passed(part.length);
    if (this.#left !== undefined) this.#left -= part.length;
    if (this.#left === 0) this.#cut(part);
    else this.#isFull = !this.#to.write(part);
  }

  /** The receiver gets exactly these and then an end; the sender is reset. */
  #cut(last: Buffer): void {
    this.#isLost = true;
    this.#forget();
    this.#to.end(last);
    this.#from.resetAndDestroy();
  }
}
