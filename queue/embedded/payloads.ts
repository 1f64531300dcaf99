// The payloads that envelopes share: each one's record in the log, and how many entries hold it. Always true: a payload's
// record is synced before or with the first reference to it, and is buried when the last entry that holds it goes, so that
// a start which finds a payload without references, or references without their payload, finds only what was removed.
import type { Position, Time } from "@lethe/protocol";
import type { PayloadId } from "../mailbox.ts";
import { payloadBytes } from "./payload-record.ts";
import { PAYLOAD_HEAD_BYTES } from "./record.ts";
import type { Segment, Segments } from "./segments.ts";

export class Payload {
  readonly serial: Position;
  /** Of its ciphertext. */
  readonly bytes: number;
  /** Unknown only in recovery, of a payload that references name and whose record was not found yet. */
  id: PayloadId | undefined;
  /** pending -> kept -> gone, or pending -> gone where its group failed. */
  state: "pending" | "kept" | "gone" = "pending";
  /** Entries that refer to it, those under way to the disk among them. */
  held = 0;
  /** Number of the segment, and the record's offset in it. */
  segment = 0;
  offset = 0;
  /** Where it is in the tail; serial 0 is nowhere. */
  tailSerial = 0;
  tailAt = 0;

  constructor(serial: Position, bytes: number, id?: PayloadId) {
    this.serial = serial;
    this.bytes = bytes;
    this.id = id;
  }

  get bodyBytes(): number {
    return PAYLOAD_HEAD_BYTES + this.bytes;
  }

  get recordBytes(): number {
    return payloadBytes(this.bytes);
  }
}

export class Payloads {
  readonly #segments: Segments;
  /** Those that new references may be made to. */
  readonly #byId = new Map<PayloadId, Payload>();
  readonly #kept = new Set<Payload>();

  constructor(segments: Segments) {
    this.#segments = segments;
  }

  find(id: PayloadId): Payload | undefined {
    return this.#byId.get(id);
  }

  /** A new one, whose record is being written. */
  add(id: PayloadId, serial: Position, bytes: number): Payload {
    const payload = new Payload(serial, bytes, id);
    this.#byId.set(id, payload);
    return payload;
  }

  /** The record is in the log; where a start has found it there, it may be known to the system alone. */
  keep(payload: Payload, id: PayloadId, segment: Segment, offset: number): void {
    payload.id = id;
    payload.state = "kept";
    payload.segment = segment.number;
    payload.offset = offset;
    this.#segments.count(segment, payload.bodyBytes);
    this.#kept.add(payload);
  }

  /** The records of these, which a start has found, are synced: new references may be made to them. */
  offer(payloads: Iterable<Payload>): void {
    for (const payload of payloads) if (payload.id !== undefined) this.#byId.set(payload.id, payload);
  }

  /** Its group failed: what refers to it cannot be stored. */
  fail(payload: Payload): void {
    this.#drop(payload);
  }

  hold(payload: Payload): void {
    payload.held++;
  }

  release(payload: Payload, now: Time): void {
    payload.held--;
    if (payload.held === 0) this.end(payload, now);
  }

  /** Buries the record of one that nothing holds, or whose record is not what was written. */
  end(payload: Payload, now: Time): void {
    if (payload.state !== "kept") return;
    const segment = this.#segments.get(payload.segment);
    this.#segments.bury(segment, payload.offset, payload.bodyBytes, now);
    this.#drop(payload);
  }

  /** The record has been copied to another place. */
  move(payload: Payload, segment: Segment, offset: number, now: Time): void {
    this.#segments.bury(this.#segments.get(payload.segment), payload.offset, payload.bodyBytes, now);
    this.#segments.count(segment, payload.bodyBytes);
    payload.segment = segment.number;
    payload.offset = offset;
  }

  /** Those whose records are in the segment, in the order of the file. */
  inSegment(segment: Segment): Payload[] {
    const found: Payload[] = [];
    for (const payload of this.#kept) if (payload.segment === segment.number) found.push(payload);
    return found.sort((a, b) => a.offset - b.offset);
  }

  all(): Payload[] {
    return [...this.#kept];
  }

  #drop(payload: Payload): void {
    payload.state = "gone";
    this.#kept.delete(payload);
    if (payload.id !== undefined && this.#byId.get(payload.id) === payload) this.#byId.delete(payload.id);
  }
}
