// The notation of crypto/README.md as functions: bytes one after another, big-endian integers, lengths in front, labels.

export type Bytes = Uint8Array;

export function join(...parts: readonly Bytes[]): Bytes {
  return new Uint8Array(Buffer.concat(parts));
}

/** Big-endian integers of 1, 2, 4 and 8 bytes. */
export const u8 = (value: number): Bytes => Uint8Array.of(value);
export const u16 = (value: number): Bytes => Uint8Array.of(value >> 8, value & 0xff);
export function u32(value: number): Bytes {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return new Uint8Array(out);
}
export function u64(value: number): Bytes {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return new Uint8Array(out);
}

export const lv16 = (bytes: Bytes): Bytes => join(u16(bytes.length), bytes);
export const lv32 = (bytes: Bytes): Bytes => join(u32(bytes.length), bytes);

export const ascii = (text: string): Bytes => new TextEncoder().encode(text);

/** L"name": the protocol's name, the label's, and one byte 0. */
export const L = (name: string): Bytes => ascii(`Lethe/E2EE/v1/${name}\0`);

export const hex = (bytes: Bytes): string => Buffer.from(bytes).toString("hex");
export const same = (a: Bytes, b: Bytes): boolean => Buffer.compare(a, b) === 0;

/** Keys in bytes: a type byte in front. */
export const X = (key: Bytes): Bytes => join(u8(1), key);
export const M = (key: Bytes): Bytes => join(u8(2), key);
export const E = (key: Bytes): Bytes => join(u8(3), key);

/** Takes bytes from the front, one field after another; what is missing or left over is an error. */
export class Fields {
  #at = 0;
  readonly #bytes: Bytes;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  take(length: number): Bytes {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Error("too short");
    const taken = this.#bytes.slice(this.#at, end);
    this.#at = end;
    return taken;
  }

  number(length: 1 | 2 | 4 | 8): number {
    return Number(BigInt(`0x${hex(this.take(length))}`));
  }

  /** A field behind its u16 length. */
  lv16(): Bytes {
    return this.take(this.number(2));
  }

  /** A key behind its type byte. */
  key(type: 1 | 2 | 3): Bytes {
    if (this.number(1) !== type) throw new Error("wrong key type");
    return this.take(type === 2 ? 1_184 : 32);
  }

  /** All taken so far. */
  soFar(): Bytes {
    return this.#bytes.slice(0, this.#at);
  }

  rest(): Bytes {
    return this.take(this.#bytes.length - this.#at);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new Error("trailing bytes");
  }
}
