// The end of the log in memory: records are encoded here, written to the file from here, and read from here for as long
// as their chunk has not been used again. Always true: a record lies in one chunk; a chunk that holds bytes which are
// not synced yet is never used again (`release` says up to where they are).
import {
  type PayloadFields,
  payloadBytes,
  REFERENCE_BYTES,
  type ReferenceFields,
  writePayload,
  writeReference,
} from "./payload-record.ts";
import { envelopeBytes, positionAt, type RecordFields, writeRecord } from "./record.ts";

/** Consecutive records in one chunk. */
export interface Span {
  readonly serial: number;
  readonly from: number;
  to: number;
}

export class Tail {
  readonly #chunkBytes: number;
  readonly #chunks: (Buffer | undefined)[];
  /** The chunk that records go to now. None is number 0, which entries have that were never in the tail. */
  #serial = 1;
  #at = 0;
  /** The oldest chunk that may hold bytes which are not synced. */
  #pinned = 1;

  constructor(chunkBytes: number, chunks: number) {
    this.#chunkBytes = chunkBytes;
    this.#chunks = Array.from({ length: chunks });
  }

  /** The largest ciphertext that fits. */
  get maxRecordBytes(): number {
    return this.#chunkBytes;
  }

  /** Encodes the record at the end and returns its length: it lies just before `at` of chunk `serial`. */
  write(record: RecordFields, seed: number): number {
    const into = this.#place(envelopeBytes(record.ciphertext.length));
    return this.#wrote(writeRecord(into, this.#at, record, seed));
  }

  writePayload(record: PayloadFields, seed: number): number {
    const into = this.#place(payloadBytes(record.ciphertext.length));
    return this.#wrote(writePayload(into, this.#at, record, seed));
  }

  writeReference(record: ReferenceFields, seed: number): number {
    return this.#wrote(writeReference(this.#place(REFERENCE_BYTES), this.#at, record, seed));
  }

  /** The chunk that has room for so many bytes at `#at`. */
  #place(bytes: number): Buffer {
    if (bytes > this.#chunkBytes) throw new RangeError("the envelope is larger than the store can hold");
    if (this.#at + bytes > this.#chunkBytes) this.#next();
    return this.#chunk(this.#serial);
  }

  #wrote(bytes: number): number {
    this.#at += bytes;
    return bytes;
  }

  /** The chunk with the record of this position at `at`; undefined once the chunk has been used again. */
  read(serial: number, at: number, position: number): Buffer | undefined {
    if (serial === 0 || serial <= this.#serial - this.#chunks.length) return undefined;
    const chunk = this.#chunks[serial % this.#chunks.length];
    return chunk !== undefined && positionAt(chunk, at) === position ? chunk : undefined;
  }

  view(span: Span): Uint8Array {
    return this.#chunk(span.serial).subarray(span.from, span.to);
  }

  /** Everything before chunk `serial` is settled and may be overwritten. */
  release(serial: number): void {
    this.#pinned = serial;
  }

  /** The chunk that the next record goes to, or is begun behind. */
  get serial(): number {
    return this.#serial;
  }

  /** The end of what has been written to that chunk. */
  get at(): number {
    return this.#at;
  }

  #next(): void {
    if (this.#serial + 1 - this.#pinned >= this.#chunks.length)
      throw new RangeError("more is waiting than the tail holds");
    this.#serial++;
    this.#at = 0;
  }

  #chunk(serial: number): Buffer {
    const index = serial % this.#chunks.length;
    const chunk = this.#chunks[index] ?? Buffer.allocUnsafeSlow(this.#chunkBytes);
    this.#chunks[index] = chunk;
    return chunk;
  }
}
