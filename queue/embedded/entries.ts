// Undelivered envelopes as columns: one slot an entry, about 110 bytes, no object and no buffer for any of them.
// Always true: a slot is in use from `add` to `free`; whoever keeps a slot over an await also keeps the position, and
// asks `is` before trusting it again.
import type { EnvelopeId, Time } from "@lethe/protocol";
import type { EnvelopeKind } from "../mailbox.ts";
import type { Box } from "./boxes.ts";
import type { Payload } from "./payloads.ts";
import type { EntryFields } from "./record.ts";

export type EntryState = "free" | "pending" | "live" | "removed";
const FREE = 0;
const PENDING = 1;
const LIVE = 2;
const REMOVED = 3;
const FIRST_CAPACITY = 1_024;

export class EntryTable {
  position = new Float64Array(FIRST_CAPACITY);
  expiry = new Float64Array(FIRST_CAPACITY);
  appended = new Float64Array(FIRST_CAPACITY);
  /** Number of the segment, and the record's offset in it. While pending: the offset in the group. */
  segment = new Uint32Array(FIRST_CAPACITY);
  offset = new Uint32Array(FIRST_CAPACITY);
  /** Of the ciphertext. */
  bytes = new Uint32Array(FIRST_CAPACITY);
  /** Where it is in the tail; serial 0 is nowhere. */
  tailSerial = new Uint32Array(FIRST_CAPACITY);
  tailAt = new Uint32Array(FIRST_CAPACITY);
  /** Neighbours in the expiry bucket; -1 is none. */
  next = new Int32Array(FIRST_CAPACITY);
  previous = new Int32Array(FIRST_CAPACITY);
  #state = new Uint8Array(FIRST_CAPACITY);
  #group = new Uint8Array(FIRST_CAPACITY);
  readonly id: EnvelopeId[] = [];
  /** Of an entry whose record is a reference: what it refers to. Such an entry is nowhere in the tail. */
  readonly payload: (Payload | undefined)[] = [];
  readonly #box: (Box | undefined)[] = [];
  readonly #freed: number[] = [];
  #used = 0;

  /** Slots are below this. */
  get end(): number {
    return this.#used;
  }

  /** A new entry, pending: nothing finds it until `live`. */
  add(box: Box, entry: EntryFields, ciphertextBytes: number, payload: Payload | undefined): number {
    const slot = this.#freed.pop() ?? this.#used++;
    if (slot >= this.position.length) this.#grow();
    this.position[slot] = entry.position;
    this.expiry[slot] = entry.expiry;
    this.appended[slot] = entry.appended;
    this.bytes[slot] = ciphertextBytes;
    this.tailSerial[slot] = 0;
    this.#group[slot] = entry.kind === "group" ? 1 : 0;
    this.#state[slot] = PENDING;
    this.id[slot] = entry.id;
    this.payload[slot] = payload;
    this.#box[slot] = box;
    return slot;
  }

  live(slot: number): void {
    this.#state[slot] = LIVE;
  }

  /** The slot stays taken while its mailbox's list still holds it. */
  removed(slot: number): void {
    this.#state[slot] = REMOVED;
  }

  free(slot: number): void {
    this.#state[slot] = FREE;
    this.id[slot] = "" as EnvelopeId;
    this.payload[slot] = undefined;
    this.#box[slot] = undefined;
    this.#freed.push(slot);
  }

  isLive(slot: number): boolean {
    return this.#state[slot] === LIVE;
  }

  isRemoved(slot: number): boolean {
    return this.#state[slot] === REMOVED;
  }

  /** Whether the slot still is the live entry of this position. */
  is(slot: number, position: number): boolean {
    return this.#state[slot] === LIVE && this.position[slot] === position;
  }

  kind(slot: number): EnvelopeKind {
    return this.#group[slot] === 1 ? "group" : "pairwise";
  }

  box(slot: number): Box {
    const box = this.#box[slot];
    if (box === undefined) throw new RangeError("the slot is free");
    return box;
  }

  /** Time of the oldest append of all live entries. A pass over one column: for statistics only. */
  oldest(): Time | undefined {
    let oldest = Number.POSITIVE_INFINITY;
    for (let slot = 0; slot < this.#used; slot++) {
      const appended = this.appended[slot] as number;
      if (appended < oldest && this.#state[slot] === LIVE) oldest = appended;
    }
    return oldest === Number.POSITIVE_INFINITY ? undefined : (oldest as Time);
  }

  #grow(): void {
    const capacity = this.position.length * 2;
    this.position = grown(this.position, new Float64Array(capacity));
    this.expiry = grown(this.expiry, new Float64Array(capacity));
    this.appended = grown(this.appended, new Float64Array(capacity));
    this.segment = grown(this.segment, new Uint32Array(capacity));
    this.offset = grown(this.offset, new Uint32Array(capacity));
    this.bytes = grown(this.bytes, new Uint32Array(capacity));
    this.tailSerial = grown(this.tailSerial, new Uint32Array(capacity));
    this.tailAt = grown(this.tailAt, new Uint32Array(capacity));
    this.next = grown(this.next, new Int32Array(capacity));
    this.previous = grown(this.previous, new Int32Array(capacity));
    this.#state = grown(this.#state, new Uint8Array(capacity));
    this.#group = grown(this.#group, new Uint8Array(capacity));
  }
}

function grown<Column extends Float64Array | Uint32Array | Int32Array | Uint8Array>(
  old: Column,
  column: Column,
): Column {
  column.set(old);
  return column;
}
