// The segment files: how much of each lives, and what in it is dead and not wiped yet.
// Always true: a record of a segment is counted live or buried, never both; only the active segment is appended to;
// a spoiled one is neither written nor synced again, its survivors are copied forward and it is unlinked.
import type { Time } from "@lethe/protocol";
import type { StoreFile } from "./files.ts";
import { recordBytes } from "./record.ts";

export type SegmentState = "active" | "sealed" | "spoiled" | "gone";

const NAME = /^([0-9]{10})-([0-9a-f]{8})\.segment$/;

/** A segment's file name carries the seed of its checksums: it is in no byte that a sender could learn. */
export function segmentName(number: number, seed: number): string {
  return `${String(number).padStart(10, "0")}-${seed.toString(16).padStart(8, "0")}.segment`;
}

export function parseSegmentName(name: string): { number: number; seed: number } | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  return { number: Number(match[1]), seed: Number.parseInt(match[2] ?? "", 16) };
}

export class Segment {
  readonly number: number;
  readonly seed: number;
  readonly name: string;
  readonly file: StoreFile;
  state: SegmentState;
  /** Length up to which everything is written and synced. */
  end = 0;
  live = 0;
  liveBytes = 0;
  /** Offset and body length, in turn, of each record that is removed and not wiped. */
  dead: number[] = [];
  /** The pass and the time of the oldest burial in `dead`. */
  deadSince: { readonly pass: number; readonly at: Time } | undefined = undefined;
  #readers = 0;

  constructor(number: number, seed: number, file: StoreFile, state: SegmentState) {
    this.number = number;
    this.seed = seed;
    this.name = segmentName(number, seed);
    this.file = file;
    this.state = state;
  }

  /** Keeps the file open over a read, also when the segment goes meanwhile. */
  async reading<Result>(read: () => Promise<Result>): Promise<Result> {
    this.#readers++;
    try {
      return await read();
    } finally {
      this.#readers--;
      await this.#closeIfDone();
    }
  }

  /** The file has been unlinked: it is closed as soon as nobody reads it. */
  async gone(): Promise<void> {
    this.state = "gone";
    this.dead = [];
    this.deadSince = undefined;
    await this.#closeIfDone();
  }

  #closeIfDone(): Promise<void> {
    return this.state === "gone" && this.#readers === 0 ? this.file.close() : Promise.resolve();
  }
}

export class Segments {
  readonly #byNumber = new Map<number, Segment>();
  #lastNumber = 0;
  /** Counted up by the forgetting; burials are dated by it, so that no clock's jump delays them. */
  pass = 0;

  add(segment: Segment): void {
    this.#byNumber.set(segment.number, segment);
    this.#lastNumber = Math.max(this.#lastNumber, segment.number);
  }

  delete(segment: Segment): void {
    this.#byNumber.delete(segment.number);
  }

  get(number: number): Segment {
    const segment = this.#byNumber.get(number);
    if (segment === undefined) throw new RangeError("no such segment");
    return segment;
  }

  all(): Segment[] {
    return [...this.#byNumber.values()];
  }

  /** Never used before in this process, nor by a file that it found. */
  get nextNumber(): number {
    return this.#lastNumber + 1;
  }

  count(segment: Segment, bodyBytes: number): void {
    segment.live++;
    segment.liveBytes += recordBytes(bodyBytes);
  }

  /** A counted record was removed. */
  bury(segment: Segment, offset: number, bodyBytes: number, now: Time): void {
    segment.live--;
    segment.liveBytes -= recordBytes(bodyBytes);
    this.buryUncounted(segment, offset, bodyBytes, now);
  }

  /** A record that never counted as live: a double copy, or mail of a device that is retired. */
  buryUncounted(segment: Segment, offset: number, bodyBytes: number, now: Time): void {
    if (segment.state === "gone") return;
    segment.dead.push(offset, bodyBytes);
    segment.deadSince ??= { pass: this.pass, at: now };
  }

  /** Time of the oldest burial that may still be in a file. */
  get oldestBurial(): Time | undefined {
    let oldest: Time | undefined;
    for (const { deadSince } of this.#byNumber.values()) {
      if (deadSince !== undefined && (oldest === undefined || deadSince.at < oldest)) oldest = deadSince.at;
    }
    return oldest;
  }
}
