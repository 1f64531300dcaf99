// All undelivered mail as it is known in memory: boxes, entries, expiry, and what each segment holds of it.
// Always true: an entry is reserved (counts towards the caps), then committed (can be read) or abandoned, then removed;
// a committed entry's record is at `offset` of `segment`, and is buried there when the entry is removed.
import type { EnvelopeId, Position, Time } from "@lethe/protocol";
import type { Read } from "../mailbox.ts";
import type { Box, Boxes } from "./boxes.ts";
import { EntryTable } from "./entries.ts";
import { ExpiryBuckets } from "./expiry.ts";
import { type Payload, Payloads } from "./payloads.ts";
import { type EntryFields, IDENTITY_BYTES, REFERENCE_BODY_BYTES } from "./record.ts";
import type { Segment, Segments } from "./segments.ts";

export interface MailCounts {
  mailboxes: number;
  envelopes: number;
  bytes: number;
  /** Removed because they had expired. */
  expired: number;
}

export class Mail {
  readonly table = new EntryTable();
  readonly boxes: Boxes;
  readonly segments: Segments;
  readonly payloads: Payloads;
  readonly counts: MailCounts = { mailboxes: 0, envelopes: 0, bytes: 0, expired: 0 };
  readonly #expiry = new ExpiryBuckets(this.table);

  constructor(boxes: Boxes, segments: Segments) {
    this.boxes = boxes;
    this.segments = segments;
    this.payloads = new Payloads(segments);
  }

  reserve(box: Box, entry: EntryFields, ciphertextBytes: number, payload?: Payload): number {
    if (box.held === 0) this.counts.mailboxes++;
    box.held++;
    box.heldBytes += ciphertextBytes;
    this.counts.envelopes++;
    this.counts.bytes += ciphertextBytes;
    if (payload !== undefined) this.payloads.hold(payload);
    return this.table.add(box, entry, ciphertextBytes, payload);
  }

  /** The record is in the log. False where its position is not the highest of its box (recovery only). */
  commit(slot: number, segment: Segment, offset: number): boolean {
    const { table } = this;
    table.segment[slot] = segment.number;
    table.offset[slot] = offset;
    table.live(slot);
    this.#expiry.add(slot);
    this.segments.count(segment, this.#bodyBytes(slot));
    const box = table.box(slot);
    box.nextExpiry = Math.min(box.nextExpiry, table.expiry[slot] as number);
    return box.push(slot, table);
  }

  /** Whether the payload of any of these could not be stored, or has been found damaged since. */
  lacksPayload(slots: readonly number[]): boolean {
    for (const slot of slots) if (this.table.payload[slot]?.state === "gone") return true;
    return false;
  }

  /** Its group failed: it was never there. */
  abandon(slot: number, now: Time): void {
    this.#uncount(slot, now);
    this.table.free(slot);
  }

  /** Its group is in the log, but its device is retired since, or its payload is gone. */
  abandonStored(slot: number, segment: Segment, offset: number, now: Time): void {
    this.segments.buryUncounted(segment, offset, this.#bodyBytes(slot), now);
    this.abandon(slot, now);
  }

  remove(slot: number, now: Time): void {
    const { table } = this;
    const box = table.box(slot);
    const segment = this.segments.get(table.segment[slot] as number);
    this.segments.bury(segment, table.offset[slot] as number, this.#bodyBytes(slot), now);
    this.#expiry.delete(slot);
    this.#uncount(slot, now);
    table.removed(slot);
    box.trim(table);
  }

  /** The entry's record has been copied to another place. */
  move(slot: number, segment: Segment, offset: number, now: Time): void {
    const { table } = this;
    const bodyBytes = this.#bodyBytes(slot);
    const old = this.segments.get(table.segment[slot] as number);
    this.segments.bury(old, table.offset[slot] as number, bodyBytes, now);
    this.segments.count(segment, bodyBytes);
    table.segment[slot] = segment.number;
    table.offset[slot] = offset;
  }

  appendedAt(slot: number): Time {
    return this.table.appended[slot] as Time;
  }

  find(box: Box, position: Position, id: EnvelopeId): number {
    const slot = box.find(position, this.table);
    return slot >= 0 && this.table.id[slot] === id ? slot : -1;
  }

  /** The slots that a read gives: unexpired, in order, within its limits, but one at least if there is one. */
  page(box: Box, read: Read, now: Time): number[] {
    const { table } = this;
    const slots: number[] = [];
    let bytes = 0;
    box.visit(read.after, table, (slot) => {
      if ((table.expiry[slot] as number) <= now) return true;
      bytes += table.bytes[slot] as number;
      if (slots.length > 0 && (slots.length >= read.maxEntries || bytes > read.maxBytes)) return false;
      slots.push(slot);
      return true;
    });
    return slots;
  }

  /** Removes the box's expired entries, if any may have expired. */
  sweepBox(box: Box, now: Time): void {
    if (box.nextExpiry > now) return;
    const { table } = this;
    const due: number[] = [];
    let next = Number.POSITIVE_INFINITY;
    box.visit(0, table, (slot) => {
      const expiry = table.expiry[slot] as number;
      if (expiry <= now) due.push(slot);
      else next = Math.min(next, expiry);
      return true;
    });
    box.nextExpiry = next;
    for (const slot of due) this.remove(slot, now);
    this.counts.expired += due.length;
  }

  /** Removes up to `count` expired entries; returns how many. */
  sweep(now: Time, count: number): number {
    const due = this.#expiry.due(now, count);
    for (const slot of due) {
      const box = this.table.box(slot);
      this.remove(slot, now);
      this.boxes.dropIfBlank(box);
    }
    this.counts.expired += due.length;
    return due.length;
  }

  /** Removes everything that can be read in the box. */
  empty(box: Box, now: Time): void {
    const slots: number[] = [];
    box.visit(0, this.table, (slot) => slots.push(slot) > 0);
    for (const slot of slots) this.remove(slot, now);
  }

  /** The live entries whose records are in the segment, in the order of the file. */
  inSegment(segment: Segment): number[] {
    const { table } = this;
    const slots: number[] = [];
    for (let slot = 0; slot < table.end; slot++) {
      if (table.segment[slot] === segment.number && table.isLive(slot)) slots.push(slot);
    }
    return slots.sort((a, b) => (table.offset[a] as number) - (table.offset[b] as number));
  }

  #bodyBytes(slot: number): number {
    if (this.table.payload[slot] !== undefined) return REFERENCE_BODY_BYTES;
    return IDENTITY_BYTES + (this.table.bytes[slot] as number);
  }

  #uncount(slot: number, now: Time): void {
    const payload = this.table.payload[slot];
    if (payload !== undefined) this.payloads.release(payload, now);
    const box = this.table.box(slot);
    const bytes = this.table.bytes[slot] as number;
    box.held--;
    box.heldBytes -= bytes;
    if (box.held === 0) this.counts.mailboxes--;
    this.counts.envelopes--;
    this.counts.bytes -= bytes;
  }
}
