// From slots to entries: what the tail still holds is copied from there; the rest is read from the segments, neighbours
// together, and every record is checked. Always true: a record that does not check is never given out; it is reported
// and its entry removed, so that it blocks no mailbox.
import type { Position, Time } from "@lethe/protocol";
import type { StoreEvent } from "../backend.ts";
import type { Entry } from "../mailbox.ts";
import { EXTENT_BYTES, EXTENT_GAP, READS_AT_ONCE } from "./limits.ts";
import type { Mail } from "./mail.ts";
import type { Payload } from "./payloads.ts";
import {
  bodyLengthAt,
  envelopeBytes,
  HEADER_BYTES,
  IDENTITY_BYTES,
  PAYLOAD_HEAD_BYTES,
  isBodySound,
  positionAt,
} from "./record.ts";
import type { Segment } from "./segments.ts";
import type { Tail } from "./tail.ts";

/** A record to be read, and where to put its ciphertext. */
interface Want {
  readonly slot: number;
  readonly position: number;
  /** What the entry refers to: then the record is the payload's. */
  readonly payload: Payload | undefined;
  readonly segment: Segment;
  readonly offset: number;
  readonly bytes: number;
  readonly found: (ciphertext: Uint8Array) => void;
}

/** A payload that is read for itself, by whoever copies it. */
const NO_SLOT = -1;

interface Extent {
  readonly segment: Segment;
  readonly from: number;
  to: number;
  readonly wants: Want[];
}

export interface ReadingParts {
  readonly mail: Mail;
  readonly tail: Tail;
  readonly now: () => Time;
  readonly report: (event: StoreEvent) => void;
}

export class Reading {
  readonly #parts: ReadingParts;
  #running = 0;
  /** Reads that wait for their turn, from `#queueHead` on: shifting a long array would move all of it each time. */
  #queue: (() => void)[] = [];
  #queueHead = 0;

  constructor(parts: ReadingParts) {
    this.#parts = parts;
  }

  /**
   * The entries of each list of slots; undefined where a file could not be read. Entries that are removed while it
   * reads may be left out. Answers at once, without a promise, where all is in the tail.
   */
  pages(lists: readonly (readonly number[])[]): (Entry[] | undefined)[] | Promise<(Entry[] | undefined)[]> {
    const wants: Want[] = [];
    const pages = lists.map((slots) => this.#fromTail(slots, wants));
    if (wants.length === 0) return pages.map(complete);
    return this.#fromFiles(wants).then((failed) =>
      pages.map((page, i) =>
        lists[i]?.some((slot) => failed.has(slot)) === true ? undefined : complete(page),
      ),
    );
  }

  /** Entries whose ciphertext is in the tail, and holes, noted in `wants`, for the others. */
  #fromTail(slots: readonly number[], wants: Want[]): (Entry | undefined)[] {
    const { tail, mail } = this.#parts;
    const { table } = mail;
    const page: (Entry | undefined)[] = [];
    let bytes = 0;
    for (const slot of slots) bytes += table.bytes[slot] as number;
    const copy = Buffer.allocUnsafe(bytes);
    let copied = 0;
    for (const [i, slot] of slots.entries()) {
      const length = table.bytes[slot] as number;
      const payload = table.payload[slot];
      const at = payload === undefined ? (table.tailAt[slot] as number) : payload.tailAt;
      const chunk =
        payload === undefined
          ? tail.read(table.tailSerial[slot] as number, at, table.position[slot] as number)
          : tail.read(payload.tailSerial, at, payload.serial);
      if (payload?.state === "gone") {
        page.push(undefined);
        this.#lacks(slot);
      } else if (chunk === undefined) {
        page.push(undefined);
        const entry = this.#entry(slot);
        wants.push(this.#want(slot, (ciphertext) => (page[i] = { ...entry, ciphertext })));
      } else {
        const from = at + HEADER_BYTES + (payload === undefined ? IDENTITY_BYTES : PAYLOAD_HEAD_BYTES);
        chunk.copy(copy, copied, from, from + length);
        page.push({ ...this.#entry(slot), ciphertext: copy.subarray(copied, copied + length) });
        copied += length;
      }
    }
    return page;
  }

  #entry(slot: number): Omit<Entry, "ciphertext"> {
    const { table } = this.#parts.mail;
    return {
      position: table.position[slot] as Position,
      id: table.id[slot] as Entry["id"],
      kind: table.kind(slot),
      expiry: table.expiry[slot] as Time,
    };
  }

  #want(slot: number, found: (ciphertext: Uint8Array) => void): Want {
    const { table, segments } = this.#parts.mail;
    const position = table.position[slot] as number;
    const payload = table.payload[slot];
    if (payload !== undefined) return { slot, position, ...this.#placeOf(payload), found };
    return {
      slot,
      position,
      payload,
      segment: segments.get(table.segment[slot] as number),
      offset: table.offset[slot] as number,
      bytes: envelopeBytes(table.bytes[slot] as number),
      found,
    };
  }

  #placeOf(payload: Payload): Pick<Want, "payload" | "segment" | "offset" | "bytes"> {
    const segment = this.#parts.mail.segments.get(payload.segment);
    return { payload, segment, offset: payload.offset, bytes: payload.recordBytes };
  }

  /** The payload's ciphertext as its record holds it; undefined where that is not what was written, which is reported. */
  async payload(payload: Payload): Promise<Uint8Array | undefined> {
    let ciphertext: Uint8Array | undefined;
    const want = {
      slot: NO_SLOT,
      position: 0,
      ...this.#placeOf(payload),
      found: (it: Uint8Array) => (ciphertext = it),
    };
    const { segment, offset, bytes } = want;
    await this.#oneOfFew(() =>
      this.#readExtent({ segment, from: offset, to: offset + bytes, wants: [want] }),
    );
    return ciphertext;
  }

  /** The entry's payload was found damaged before: nothing of it can be given out. */
  #lacks(slot: number): void {
    const { mail, report, now } = this.#parts;
    report({ is: "payload-missing", count: 1 });
    mail.remove(slot, now());
  }

  /** Reads what is wanted; returns the slots that lie where the file could not be read. */
  async #fromFiles(wants: Want[]): Promise<ReadonlySet<number>> {
    const failed = new Set<number>();
    await Promise.all(
      extentsOf(wants).map((extent) =>
        this.#oneOfFew(() => this.#readExtent(extent)).catch(() => {
          for (const want of extent.wants) failed.add(want.slot);
        }),
      ),
    );
    return failed;
  }

  async #readExtent(extent: Extent): Promise<void> {
    const { segment, from, to } = extent;
    const bytes = Buffer.allocUnsafeSlow(to - from);
    const length = await segment.reading(() => segment.file.read(bytes, from));
    for (const want of extent.wants) this.#take(want, bytes.subarray(0, length), want.offset - from);
  }

  #take(want: Want, bytes: Buffer, at: number): void {
    const { seed } = want.segment;
    const body = bodyLengthAt(bytes, at, bytes.length, seed);
    const position = want.payload?.serial ?? want.position;
    const isSound = body >= 0 && positionAt(bytes, at) === position && isBodySound(bytes, at, body, seed);
    const head = want.payload === undefined ? IDENTITY_BYTES : PAYLOAD_HEAD_BYTES;
    if (isSound) want.found(bytes.subarray(at + HEADER_BYTES + head, at + HEADER_BYTES + body));
    else if (want.payload === undefined) this.#lost(want);
    else this.#lostPayload(want, want.payload);
  }

  /** The record is not what was written, unless its entry was removed and wiped, or moved, while it was read. */
  #lost(want: Want): void {
    const { mail, report, now } = this.#parts;
    const { table } = mail;
    const isStill =
      table.is(want.slot, want.position) &&
      table.segment[want.slot] === want.segment.number &&
      table.offset[want.slot] === want.offset;
    if (!isStill) return;
    report({ is: "corrupt-record", segment: want.segment.name, count: 1 });
    mail.remove(want.slot, now());
  }

  /** As above: from here on nothing can refer to the payload, and the entries that do go as they are read. */
  #lostPayload(want: Want, payload: Payload): void {
    const { mail, report, now } = this.#parts;
    const isStill = payload.segment === want.segment.number && payload.offset === want.offset;
    if (payload.state === "kept" && isStill) {
      report({ is: "corrupt-record", segment: want.segment.name, count: 1 });
      mail.payloads.end(payload, now());
    }
    if (payload.state === "gone" && mail.table.is(want.slot, want.position)) this.#lacks(want.slot);
  }

  /** Few reads at a time: the thread pool is also what syncs run on. */
  async #oneOfFew(read: () => Promise<void>): Promise<void> {
    if (this.#running >= READS_AT_ONCE) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#running++;
    try {
      await read();
    } finally {
      this.#nextRead();
    }
  }

  #nextRead(): void {
    const next = this.#queue[this.#queueHead++];
    if (next !== undefined) return next();
    this.#running--;
    this.#queue = [];
    this.#queueHead = 0;
  }
}

function complete(page: readonly (Entry | undefined)[]): Entry[] {
  return page.filter((entry) => entry !== undefined);
}

function extentsOf(wants: Want[]): Extent[] {
  wants.sort((a, b) => (a.segment === b.segment ? a.offset - b.offset : a.segment.number - b.segment.number));
  const extents: Extent[] = [];
  for (const want of wants) {
    const last = extents.at(-1);
    const end = want.offset + want.bytes;
    const isNear =
      last !== undefined &&
      last.segment === want.segment &&
      want.offset - last.to <= EXTENT_GAP &&
      end - last.from <= EXTENT_BYTES;
    if (isNear) {
      last.to = Math.max(last.to, end);
      last.wants.push(want);
    } else extents.push({ segment: want.segment, from: want.offset, to: end, wants: [want] });
  }
  return extents;
}
