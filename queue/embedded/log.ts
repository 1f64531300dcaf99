// Group commit: everything that is staged in a turn, or while a sync is under way, goes to the active segment in one
// write and one sync, and is settled together. Always true: what is settled as stored is synced, in a file whose name is
// synced; a segment whose sync failed is never written or synced again; after a refusal the file ends where it last was
// good.
import type { StoreEvent } from "../backend.ts";
import type { StoreFailure } from "../mailbox.ts";
import { codeOf, type FileLayer, isNoRoom, writeAll } from "./files.ts";
import type { Tuning } from "./limits.ts";
import type { PayloadFields, ReferenceFields } from "./payload-record.ts";
import type { RecordFields } from "./record.ts";
import { type Copied, Group, type Settled, type Staged } from "./group.ts";
import { DiskRoom } from "./room.ts";
import { Segment, type Segments, segmentName } from "./segments.ts";
import { Tail } from "./tail.ts";

export interface LogParts {
  readonly files: FileLayer;
  readonly segments: Segments;
  readonly tuning: Tuning;
  /** 32 random bits that the checksums of this process's segments start from. */
  readonly seed: number;
  readonly report: (event: StoreEvent) => void;
}

/** Too many open files says nothing about the disk. */
const PASSING: ReadonlySet<string> = new Set(["EMFILE", "ENFILE"]);

/** "failed" is for good: a second segment in a row could not be trusted. */
type LogState = "ready" | "full" | "failed" | "closed";

export class SegmentLog {
  readonly tail: Tail;
  readonly #parts: LogParts;
  readonly #room: DiskRoom;
  #state: LogState = "ready";
  #open = new Group("mail");
  #active: Segment | undefined = undefined;
  #waitingBytes = 0;
  #mistrustedInARow = 0;
  /** The last thing that has the active segment for itself. */
  #turn: Promise<void> = Promise.resolve();
  #committing: Promise<void> | undefined = undefined;
  #roomWanted: (() => void)[] = [];

  constructor(parts: LogParts) {
    this.#parts = parts;
    this.#room = new DiskRoom(parts.files);
    this.tail = new Tail(parts.tuning.chunkBytes, parts.tuning.tailChunks);
    const tailBytes = parts.tuning.chunkBytes * parts.tuning.tailChunks;
    if (parts.tuning.waitingBytes * 4 > tailBytes)
      throw new RangeError("the tail is too short for what may wait");
  }

  /** False while as much is staged as may wait. */
  get hasRoom(): boolean {
    return this.#waitingBytes < this.#parts.tuning.waitingBytes;
  }

  /** Resolves once there was room. */
  room(): Promise<void> {
    return this.hasRoom ? Promise.resolve() : new Promise((resolve) => this.#roomWanted.push(resolve));
  }

  /** The group that is staged into now. */
  get group(): Group {
    return this.#open;
  }

  /** Encodes a record into the open group, which is committed in this turn's end or after the one under way. */
  stage(record: RecordFields): Staged {
    return this.#staged(this.tail.write(record, this.#parts.seed));
  }

  stagePayload(record: PayloadFields): Staged {
    return this.#staged(this.tail.writePayload(record, this.#parts.seed));
  }

  stageReference(record: ReferenceFields): Staged {
    return this.#staged(this.tail.writeReference(record, this.#parts.seed));
  }

  #staged(bytes: number): Staged {
    this.#waitingBytes += bytes;
    this.#commitSoon();
    return this.#place(this.#open, bytes);
  }

  /** Appends copies as a group of their own; `settle` is called before anything else is committed. */
  copy(
    records: readonly Copied[],
    settle: (settled: Settled, staged: readonly Staged[]) => void,
  ): Promise<void> {
    return this.exclusive(async () => {
      const group = new Group("copies");
      const staged = records.map((copied) => this.#place(group, this.#encode(copied)));
      const settled = await this.#commit(group);
      this.#release();
      settle(settled, staged);
    });
  }

  /** Runs `work` while no group is being committed. */
  exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  /** The active segment takes no more: the next group begins a new one. */
  seal(segment: Segment): void {
    if (this.#active !== segment) return;
    segment.state = "sealed";
    this.#active = undefined;
  }

  /** Seals the segment where nothing in it lives and nothing is being appended to it. */
  sealIfEmpty(segment: Segment): Promise<void> {
    return this.exclusive(async () => {
      if (segment.live === 0) this.seal(segment);
    });
  }

  /** The segment is not what was written: what of it still checks is copied forward. */
  mistrust(segment: Segment): void {
    this.seal(segment);
    segment.state = "spoiled";
  }

  /** A sync of the segment failed: what is in it is copied forward, and nothing is ever written to it again. */
  spoil(segment: Segment, error: unknown): void {
    this.mistrust(segment);
    this.#parts.report({ is: "sync-failed", code: codeOf(error) });
  }

  /** Settles what is staged; nothing may be staged any more. */
  async close(): Promise<void> {
    await this.#committing;
    await this.#turn;
    this.#state = "closed";
    for (const segment of this.#parts.segments.all()) await segment.file.close();
  }

  #encode(copied: Copied): number {
    const { seed } = this.#parts;
    switch (copied.is) {
      case "envelope":
        return this.tail.write(copied.record, seed);
      case "reference":
        return this.tail.writeReference(copied.record, seed);
      case "payload":
        return this.tail.writePayload(copied.record, seed);
    }
  }

  /** Takes the bytes that were written last to the tail's end into the group. */
  #place(group: Group, bytes: number): Staged {
    const { serial, at: to } = this.tail;
    const at = to - bytes;
    const last = group.spans.at(-1);
    if (last !== undefined && last.serial === serial && last.to === at) last.to = to;
    else group.spans.push({ serial, from: at, to });
    const offset = group.bytes;
    group.bytes += bytes;
    return { offset, tailSerial: serial, tailAt: at };
  }

  /** Only what is staged in the open group still has to stay in the tail. */
  #release(): void {
    this.tail.release(this.#open.spans[0]?.serial ?? this.tail.serial);
  }

  #commitSoon(): void {
    this.#committing ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#commitAll().then(resolve, reject);
      });
    });
  }

  async #commitAll(): Promise<void> {
    while (this.#open.bytes > 0) await this.exclusive(() => this.#commitOpen());
    this.#committing = undefined;
  }

  async #commitOpen(): Promise<void> {
    const group = this.#open;
    this.#open = new Group("mail");
    const settled = await this.#commit(group);
    this.#release();
    this.#waitingBytes -= group.bytes;
    group.settle(settled);
    for (const resolve of this.#roomWanted.splice(0)) resolve();
  }

  /** Never throws. */
  async #commit(group: Group): Promise<Settled> {
    if (this.#state === "failed" || this.#state === "closed") return { is: "failed", code: "storage-failed" };
    if (group.of === "mail" && !(await this.#room.admits(group.bytes))) return this.#full();
    const segment = await this.#segment().catch((error: unknown) => this.#refuse(error));
    if (!(segment instanceof Segment)) return segment;
    const base = segment.end;
    const parts = group.spans.map((span) => this.tail.view(span));
    const failure =
      (await this.#write(segment, parts)) ??
      (await segment.file.sync().catch((error: unknown) => this.#unsynced(segment, error)));
    if (failure !== undefined) return failure;
    segment.end = base + group.bytes;
    this.#mistrustedInARow = 0;
    if (group.of === "mail") this.#isFullNoMore();
    return { is: "stored", segment, base };
  }

  /** The segment to append to: the active one, or a new one whose name is synced. */
  async #segment(): Promise<Segment> {
    if (this.#active !== undefined && this.#active.end >= this.#parts.tuning.segmentBytes)
      this.seal(this.#active);
    this.#active ??= await this.#create();
    return this.#active;
  }

  async #create(): Promise<Segment> {
    const { files, segments, seed } = this.#parts;
    const number = segments.nextNumber;
    const name = segmentName(number, seed);
    const file = await files.create(name);
    try {
      await files.syncNames();
    } catch (error) {
      await file.close();
      await files.unlink(name).catch(() => undefined);
      throw error;
    }
    const segment = new Segment(number, seed, file, "active");
    segments.add(segment);
    return segment;
  }

  async #write(segment: Segment, parts: readonly Uint8Array[]): Promise<StoreFailure | undefined> {
    try {
      await writeAll(segment.file, parts, segment.end);
      return undefined;
    } catch (error) {
      if (!isNoRoom(error)) return this.#unsynced(segment, error);
      await segment.file.truncate(segment.end).catch((uncut: unknown) => this.spoil(segment, uncut));
      return this.#full();
    }
  }

  /** Whether its bytes are on the disk is not known, and asking again would not tell: the segment is done with. */
  async #unsynced(segment: Segment, error: unknown): Promise<StoreFailure> {
    this.spoil(segment, error);
    await segment.file.truncate(segment.end).catch(() => undefined);
    return this.#refuse(error);
  }

  #refuse(error: unknown): StoreFailure {
    if (isNoRoom(error)) return this.#full();
    if (!PASSING.has(codeOf(error))) this.#mistrustedInARow++;
    if (this.#mistrustedInARow >= 2) {
      this.#state = "failed";
      this.#parts.report({ is: "storage-failed", code: codeOf(error) });
    }
    return { is: "failed", code: "storage-failed" };
  }

  #isFullNoMore(): void {
    if (this.#state === "full") this.#parts.report({ is: "storage-room-again" });
    this.#state = "ready";
  }

  #full(): StoreFailure {
    if (this.#state === "ready") this.#parts.report({ is: "storage-full" });
    this.#state = "full";
    return { is: "failed", code: "storage-full" };
  }
}
