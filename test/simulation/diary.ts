// What one application got, held against what was said: once, in order, early ones held back, gaps reported before they
// are passed, late ones marked. Told of each thing as it happens, it throws the promise that is broken.
import type { DeviceAddress } from "@lethe/protocol";
import type { MessageId, Place, StreamId } from "../../client-lib/delivery/events.ts";
import type { Coverage } from "./coverage.ts";
import { BrokenPromise } from "./ledger.ts";

/** How long an early arrival must be held back, ms (delivery.md, "Order"). */
const HOLD_MS = 10_000;

export interface Said {
  readonly message: MessageId;
  readonly label: string;
  readonly from: number;
  readonly to: number;
  /** The sender's application was told that it is kept. */
  queued: boolean;
  /** The sender's word about its end: exactly one. */
  end: "sent" | "expired" | "refused" | undefined;
  endCode: string | undefined;
  /** Where it was sealed. */
  place: Place | undefined;
  /** Its sender's process ended before it was kept, or its store went back: it may never be sent. */
  forgotten: boolean;
  /** The recipient's application has had it; and is done with it, durably. */
  handed: boolean;
  settled: boolean;
}

/** Missing numbers of one stream, both included. */
export interface Gap {
  readonly from: DeviceAddress;
  readonly stream: StreamId;
  readonly first: number;
  readonly last: number;
}

interface Run {
  next: number;
  /** When each number that was not handed over yet arrived first. */
  readonly arrived: Map<number, number>;
}

export class Diary {
  readonly #cover: Coverage;
  readonly #name: string;
  readonly #runs = new Map<string, Run>();
  /** Entries handed over by the process that runs now. */
  #handedNow = new Set<MessageId>();
  #gapsNow = new Set<string>();
  /** When the relay said last that the mailbox is empty, undefined while disconnected. */
  #drainedAt: number | undefined;
  /** When that connection ended: what was decided on it may be written later. */
  #endedAt: number | undefined;
  /** Gaps that were handed over, by stream and first number; of those, the ones that are settled, durably. */
  readonly #gaps = new Map<string, "handed" | "settled">();
  /** The clock jumped: how long something was held back cannot be judged. */
  clockJumped = false;
  /** The store went back: what was handed over is handed over again. */
  restored = false;

  constructor(name: string, cover: Coverage) {
    this.#name = name;
    this.#cover = cover;
  }

  #run(from: DeviceAddress, stream: StreamId): Run {
    const key = from + stream;
    let run = this.#runs.get(key);
    if (run === undefined) {
      run = { next: 1, arrived: new Map() };
      this.#runs.set(key, run);
    }
    return run;
  }

  arrived(from: DeviceAddress, { stream, sequence }: Place, at: number): void {
    const run = this.#run(from, stream);
    if (sequence < run.next || run.arrived.has(sequence)) return;
    run.arrived.set(sequence, at);
    for (let before = run.next; before < sequence; before++)
      if (!run.arrived.has(before)) return this.#cover.count("held back");
  }

  drained(at: number): void {
    this.#drainedAt = at;
    this.#endedAt = undefined;
  }

  disconnected(at: number): void {
    this.#endedAt ??= at;
  }

  handed(said: Said, { from, late }: { from: DeviceAddress; late: boolean }, judged: boolean): void {
    const { message, label, place } = said;
    if (this.#handedNow.has(message)) throw this.#broken(`${label} was handed over twice`);
    if (said.settled && !this.restored)
      throw this.#broken(`${label} was handed over again after it was settled`);
    this.#cover.count(said.handed ? "handed over again" : "handed over");
    this.#handedNow.add(message);
    const again = said.handed;
    said.handed = true;
    if (place === undefined) throw this.#broken(`${label} was never sealed`);
    if (!again && !this.restored && judged) this.#inOrder(label, from, place, late);
  }

  #inOrder(label: string, from: DeviceAddress, { stream, sequence }: Place, late: boolean): void {
    const run = this.#run(from, stream);
    run.arrived.delete(sequence);
    if (late) {
      this.#cover.count("late");
      if (sequence >= run.next) throw this.#broken(`${label} is marked late, and is not`);
      return;
    }
    if (sequence !== run.next)
      throw this.#broken(`${label} is number ${sequence}, and ${run.next} was to come`);
    run.next++;
  }

  /** The application is told of a gap, in its place in the order; again after a crash, until that is settled. */
  gap(gap: Gap, judged: boolean): void {
    const { from, stream, first, last } = gap;
    const key = keyOf(gap);
    const before = this.#gaps.get(key);
    if (this.#gapsNow.has(key)) throw this.#broken(`the gap at ${first} was reported twice`);
    if (before === "settled" && !this.restored)
      throw this.#broken(`the gap at ${first} was reported again after it was settled`);
    this.#gapsNow.add(key);
    this.#gaps.set(key, "handed");
    this.#cover.count(before === undefined ? "gap" : "gap again");
    if (before !== undefined || this.restored || !judged) return;
    const run = this.#run(from, stream);
    if (run.next !== first || !run.arrived.has(last + 1))
      throw this.#broken(`a gap ${first} to ${last} was reported that nobody sees`);
    run.next = last + 1;
  }

  gapSettled(gap: Gap): void {
    this.#gaps.set(keyOf(gap), "settled");
  }

  /** A gap is being written: from here on it counts, so what is behind it was held back for long enough. */
  givesUp(gap: Gap, at: number, judged: boolean): void {
    if (this.clockJumped || this.restored || !judged) return;
    if (this.#drainedAt === undefined)
      throw this.#broken("a gap was reported before the mailbox was drained");
    let first = Number.POSITIVE_INFINITY;
    for (const [sequence, arrivedAt] of this.#run(gap.from, gap.stream).arrived)
      if (sequence > gap.last) first = Math.min(first, arrivedAt);
    const held = Math.min(at, this.#endedAt ?? at) - Math.max(first, this.#drainedAt);
    if (held < HOLD_MS - 1)
      throw this.#broken(`the gap at ${gap.first} was reported after ${Math.round(held)} ms`);
  }

  /** The process ended: what it was handed and had not settled comes again. */
  crashed(): void {
    this.#handedNow = new Set();
    this.#gapsNow = new Set();
    this.#drainedAt = undefined;
    this.#endedAt = undefined;
  }

  #broken(detail: string): BrokenPromise {
    return new BrokenPromise("2 once to the application, in order", `${this.#name}: ${detail}`);
  }
}

function keyOf({ from, stream, first }: Gap): string {
  return `${from}${stream}${first}`;
}
