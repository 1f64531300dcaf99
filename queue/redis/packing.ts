// Bytes for scripts and from them, big endian as `struct` in Lua has them: ids as they are, positions, times and
// sessions in 6 bytes, epochs in 8.
import type { EnvelopeId, Position, Time } from "@lethe/protocol";
import type { Entry, Envelope, NodeId, Owner } from "../mailbox.ts";

const ID_BYTES = 16;
/** Id, kind, expiry: what stands before the ciphertext in a stream's value. */
const HEADER_BYTES = 23;
/** Added to the kind where the value refers to a payload, by its length, its name and a mark, and the ciphertext is kept with that. */
const REFERS = 2;
const LENGTH_BYTES = 4;
const NAME_BYTES = 32;
/** Tells a payload from one of the same name that was lost. */
export const MARK_BYTES = 4;

export class Packer {
  #bytes = Buffer.allocUnsafe(1_024);
  #at = 0;

  u8(value: number): this {
    return this.#uint(value, 1);
  }

  u16(value: number): this {
    return this.#uint(value, 2);
  }

  u32(value: number): this {
    return this.#uint(value, 4);
  }

  u48(value: number): this {
    return this.#uint(value, 6);
  }

  u64(value: number): this {
    const at = this.#room(8);
    this.#bytes.writeBigUInt64BE(BigInt(value), at);
    return this;
  }

  /** One byte a character. */
  binary(text: string): this {
    const at = this.#room(text.length);
    this.#bytes.write(text, at, "latin1");
    return this;
  }

  bytes(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** Session, length of the node's id, the id; without an owner an empty id. */
  owner(owner: Owner | undefined): this {
    const node = owner?.node ?? "";
    return this.u48(owner?.session ?? 0)
      .u8(node.length)
      .binary(node);
  }

  /** How many, how many bytes, then each value that stands in the stream behind its length. */
  envelopes(envelopes: readonly Envelope[]): this {
    this.u16(envelopes.length).u32(envelopes.reduce((sum, envelope) => sum + 4 + valueBytes(envelope), 0));
    for (const envelope of envelopes) this.#envelope(envelope);
    return this;
  }

  /** What was written, and the packer is not used again. */
  done(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  /** Where it names a payload, its value ends before the mark. */
  #envelope(envelope: Envelope): void {
    const { id, kind, expiry, ciphertext, payload } = envelope;
    const is = (kind === "group" ? 1 : 0) + (payload === undefined ? 0 : REFERS);
    this.u32(valueBytes(envelope)).binary(id).u8(is).u48(expiry);
    if (payload === undefined) this.bytes(ciphertext);
    else this.u32(ciphertext.length).binary(payload);
  }

  #uint(value: number, size: number): this {
    const at = this.#room(size);
    this.#bytes.writeUIntBE(value, at, size);
    return this;
  }

  #room(size: number): number {
    const at = this.#at;
    this.#at += size;
    if (this.#at > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#at, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    return at;
  }
}

function valueBytes({ ciphertext, payload }: Envelope): number {
  return HEADER_BYTES + (payload === undefined ? ciphertext.length : LENGTH_BYTES + NAME_BYTES);
}

/** The owner at the end of an answer: session and node, or nothing. */
export function ownerIn(bytes: Buffer, at: number): Owner | undefined {
  if (bytes.length <= at) return undefined;
  return { session: bytes.readUIntBE(at, 6), node: bytes.toString("latin1", at + 6) as NodeId };
}

/** An entry from its id in the stream, `<position>-<ms of the append>`, and its value, behind which its payload stands. */
export function entryIn(place: Buffer, value: Buffer): Entry {
  const is = value[ID_BYTES] ?? 0;
  const begin = HEADER_BYTES + (is < REFERS ? 0 : LENGTH_BYTES + NAME_BYTES + MARK_BYTES);
  return {
    position: Number.parseInt(place.toString("latin1"), 10) as Position,
    id: value.toString("latin1", 0, ID_BYTES) as EnvelopeId,
    kind: is % REFERS === 1 ? "group" : "pairwise",
    expiry: value.readUIntBE(ID_BYTES + 1, 6) as Time,
    ciphertext: Uint8Array.prototype.slice.call(value, begin),
  };
}

/** The fixed part of an owner record; see lua/parts/record.lua. */
const RECORD = { seen: 31, session: 35 } as const;
const MINUTE_MS = 60_000;

/** What a record says to a look-up; undefined for the tombstone of a device that was removed. */
export function lookedUpIn(record: Buffer | null): { owner: Owner | undefined; lastSeen: Time } | undefined {
  if (record === null) return { owner: undefined, lastSeen: 0 as Time };
  if (record.length < RECORD.session) return undefined;
  const isOwned = record.length > RECORD.session + 6;
  return {
    owner: isOwned ? ownerIn(record, RECORD.session) : undefined,
    lastSeen: (record.readUInt32BE(RECORD.seen) * MINUTE_MS) as Time,
  };
}
