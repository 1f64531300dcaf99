// Reading and writing of fixed binary layouts: big endian, length-prefixed, nothing optional.
// Always true: decoding is total (a value or a MalformedError, never another exception), canonical (one value has
// one encoding) and allocates nothing before the length that asks for it has been checked.

/** Bytes that are not an encoding of what was expected. A message names the field, never its content; none where nobody sees it. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}

const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

/** The largest integer of a `u64` field: 2^53 - 1, so that a value is exact in every language. */
export const MAX_U64 = Number.MAX_SAFE_INTEGER;

/** A cursor over bytes that are not copied: `bytes()` gives views into the input. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;
  #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#end = end;
  }

  get at(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  /** Narrows the reader to the next `length` bytes and returns the old end, for `widen`. */
  narrow(length: number): number {
    if (length > this.#end - this.#at) throw new MalformedError("truncated");
    const end = this.#end;
    this.#end = this.#at + length;
    return end;
  }

  widen(end: number): void {
    this.#end = end;
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#end - at) throw new MalformedError("truncated");
    this.#at = at + length;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u24(): number {
    const at = this.#take(3);
    return this.#view.getUint8(at) * 65536 + this.#view.getUint16(at + 1);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  u64(): number {
    const at = this.#take(8);
    const high = this.#view.getUint32(at);
    if (high > 0x1fffff) throw new MalformedError("integer over 2^53 - 1");
    return high * 0x1_0000_0000 + this.#view.getUint32(at + 4);
  }

  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Bytes as a string with one character a byte: how ids are held, so that they can be keys and be compared. */
  binary(length: number): string {
    const b = this.#bytes;
    let at = this.#take(length);
    let out = "";
    for (; length >= 16; length -= 16, at += 16) out += sixteen(b, at);
    for (; length > 0; length--, at++) out += String.fromCharCode(b[at] as number);
    return out;
  }

  text(length: number): string {
    try {
      return utf8Decoder.decode(this.bytes(length));
    } catch (error) {
      if (error instanceof MalformedError) throw error;
      throw new MalformedError("not UTF-8");
    }
  }

  /** Every decoder ends with this: trailing bytes are refused. */
  end(): void {
    if (this.#at !== this.#end) throw new MalformedError("trailing bytes");
  }
}

/** 16 bytes as a binary string. Spelled out: a fifth of what a spread costs. */
export function sixteen(b: Uint8Array, o: number): string {
  return String.fromCharCode(
    b[o] as number,
    b[o + 1] as number,
    b[o + 2] as number,
    b[o + 3] as number,
    b[o + 4] as number,
    b[o + 5] as number,
    b[o + 6] as number,
    b[o + 7] as number,
    b[o + 8] as number,
    b[o + 9] as number,
    b[o + 10] as number,
    b[o + 11] as number,
    b[o + 12] as number,
    b[o + 13] as number,
    b[o + 14] as number,
    b[o + 15] as number,
  );
}

/** Bytes in the making. It grows as needed; what goes in is checked by the codecs against their limits. */
export class Writer {
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#at;
  }

  #room(length: number): number {
    const at = this.#at;
    const need = at + length;
    if (need > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(need, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#at = need;
    return at;
  }

  u8(value: number): void {
    const at = this.#room(1); // before the view is looked at: making room may replace it
    this.#view.setUint8(at, whole(value, 0xff));
  }

  u16(value: number): void {
    const at = this.#room(2);
    this.#view.setUint16(at, whole(value, 0xffff));
  }

  u24(value: number): void {
    const at = this.#room(3);
    whole(value, 0xffffff);
    this.#view.setUint8(at, value >>> 16);
    this.#view.setUint16(at + 1, value & 0xffff);
  }

  u32(value: number): void {
    const at = this.#room(4);
    this.#view.setUint32(at, whole(value, 0xffffffff));
  }

  u64(value: number): void {
    const at = this.#room(8);
    whole(value, MAX_U64);
    this.#view.setUint32(at, Math.floor(value / 0x1_0000_0000));
    this.#view.setUint32(at + 4, value % 0x1_0000_0000);
  }

  bytes(value: Uint8Array): void {
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
  }

  binary(value: string): void {
    const length = value.length;
    let at = this.#room(length);
    for (let i = 0; i < length; i++) this.#bytes[at++] = value.charCodeAt(i);
  }

  /** Leaves room for a u24 that `setU24` fills in once its value is known. */
  holdU24(): number {
    return this.#room(3);
  }

  setU24(at: number, value: number): void {
    whole(value, 0xffffff);
    this.#view.setUint8(at, value >>> 16);
    this.#view.setUint16(at + 1, value & 0xffff);
  }

  clear(): void {
    this.#at = 0;
  }

  /** The bytes written so far, copied, and the writer empty again: its buffer is kept for the next use. */
  take(): Uint8Array {
    const out = this.#bytes.slice(0, this.#at);
    this.#at = 0;
    return out;
  }

  /** The same, copied to a place of the caller's, which must have room. */
  takeInto(into: Uint8Array, at: number): void {
    into.set(this.#bytes.subarray(0, this.#at), at);
    this.#at = 0;
  }
}

function whole(value: number, max: number): number {
  if (!(value >= 0 && value <= max) || !Number.isInteger(value)) throw new RangeError("integer out of range");
  return value;
}

/** How one kind of value stands in bytes. `layout` is what the specification's tables print: it is given where they do. */
export interface Codec<T> {
  readonly layout?: string;
  read(reader: Reader): T;
  write(writer: Writer, value: T): void;
}

/** The type of the values of a codec. */
export type Of<C> = C extends Codec<infer T> ? T : never;

export const u8: Codec<number> = {
  layout: "u8",
  read: (r) => r.u8(),
  write: (w, v) => w.u8(v),
};
export const u16: Codec<number> = {
  layout: "u16",
  read: (r) => r.u16(),
  write: (w, v) => w.u16(v),
};
export const u32: Codec<number> = {
  layout: "u32",
  read: (r) => r.u32(),
  write: (w, v) => w.u32(v),
};
export const u64: Codec<number> = {
  layout: "u64",
  read: (r) => r.u64(),
  write: (w, v) => w.u64(v),
};

/** Exactly `length` bytes. */
export function fixed(length: number): Codec<Uint8Array> {
  return {
    layout: `${length} bytes`,
    read: (r) => r.bytes(length),
    write(w, v) {
      if (v.length !== length) throw new RangeError(`${length} bytes expected`);
      w.bytes(v);
    },
  };
}

/** Exactly `length` bytes, held as a string with one character a byte. */
export function binary<T extends string>(length: number, name: string): Codec<T> {
  return {
    layout: `${name} (${length} bytes)`,
    read: (r) => r.binary(length) as T,
    write(w, v) {
      if (v.length !== length) throw new RangeError(`${name} is ${length} bytes`);
      w.binary(v);
    },
  };
}

/** A u32 length, then that many bytes, at most `max`. */
export function bytes(max: number): Codec<Uint8Array> {
  return {
    layout: `u32 n ≤ ${max}, n bytes`,
    read(r) {
      const length = r.u32();
      if (length > max) throw new MalformedError("over the length limit");
      return r.bytes(length);
    },
    write(w, v) {
      if (v.length > max) throw new RangeError("over the length limit");
      w.u32(v.length);
      w.bytes(v);
    },
  };
}

/** A u16 length in bytes, then UTF-8, at most `max` bytes. */
export function text(max: number): Codec<string> {
  return {
    layout: `u16 n ≤ ${max}, n bytes of UTF-8`,
    read(r) {
      const length = r.u16();
      if (length > max) throw new MalformedError("over the length limit");
      return r.text(length);
    },
    write(w, v) {
      const encoded = utf8Encoder.encode(v);
      if (encoded.length > max) throw new RangeError("over the length limit");
      w.u16(encoded.length);
      w.bytes(encoded);
    },
  };
}

/** A u16 count, then that many items, `min` to `max` of them. */
export function list<T>(item: Codec<T>, max: number, min = 0): Codec<T[]> {
  return {
    layout: `u16 n, ${min} ≤ n ≤ ${max}, n × (${item.layout})`,
    read(r) {
      const count = r.u16();
      if (count > max || count < min) throw new MalformedError("over the count limit");
      const out: T[] = [];
      for (let i = 0; i < count; i++) out.push(item.read(r));
      return out;
    },
    write(w, v) {
      if (v.length > max || v.length < min) throw new RangeError("over the count limit");
      w.u16(v.length);
      for (const x of v) item.write(w, x);
    },
  };
}

/** One of the numbers that are named; any other is malformed. */
export function oneOf<const N extends string>(names: Readonly<Record<N, number>>): Codec<N> {
  const byNumber = new Map<number, N>();
  for (const name of Object.keys(names) as N[]) byNumber.set(names[name], name);
  return {
    layout: `u8: ${(Object.keys(names) as N[]).map((n) => `${names[n]} ${n}`).join(", ")}`,
    read(r) {
      const name = byNumber.get(r.u8());
      if (name === undefined) throw new MalformedError("unknown choice");
      return name;
    },
    write: (w, v) => w.u8(names[v]),
  };
}

/** Absent as one byte 0, present as one byte 1 and the value. */
export function optional<T>(item: Codec<T>): Codec<T | undefined> {
  return {
    layout: `u8 0, or u8 1 and ${item.layout}`,
    read(r) {
      const present = r.u8();
      if (present > 1) throw new MalformedError("neither absent nor present");
      return present === 0 ? undefined : item.read(r);
    },
    write(w, v) {
      w.u8(v === undefined ? 0 : 1);
      if (v !== undefined) item.write(w, v);
    },
  };
}

export type Fields = Readonly<Record<string, Codec<unknown>>>;
export type Struct<F> = { -readonly [K in keyof F]: F[K] extends Codec<infer T> ? T : never };

/** Reading and writing of a struct spelled out, for what stands in every message's way. It must do what `fields` say. */
export type SpelledOut<F> = Omit<Codec<Struct<F>>, "layout">;

/**
 * Fields one after another, in the order they are written down.
 *
 * @param spelledOut does the same faster: properties with names that are known when it is compiled.
 */
export function struct<const F extends Record<string, Codec<never> | Codec<unknown>>>(
  fields: F,
  spelledOut?: SpelledOut<NoInfer<F>>,
): Codec<Struct<F>> & { readonly fields: F } {
  const names = Object.keys(fields);
  const codecs = names.map((name) => fields[name] as Codec<unknown>);
  const layout = names.map((name, i) => `${name}: ${codecs[i]?.layout ?? ""}`).join("; ");
  if (spelledOut !== undefined) return { fields, layout, ...spelledOut };
  return {
    fields,
    layout,
    read(r) {
      const out: Record<string, unknown> = {};
      for (let i = 0; i < names.length; i++) out[names[i] as string] = (codecs[i] as Codec<unknown>).read(r);
      return out as Struct<F>;
    },
    write(w, value) {
      const from = value as Record<string, unknown>;
      for (let i = 0; i < names.length; i++) (codecs[i] as Codec<unknown>).write(w, from[names[i] as string]);
    },
  };
}

/** Decodes all of `input`. @throws MalformedError */
export function decodeAll<T>(codec: Codec<T>, input: Uint8Array): T {
  const reader = new Reader(input);
  const value = codec.read(reader);
  reader.end();
  return value;
}

/** Encodes one value. @throws RangeError if the value is over a limit of the codec: the caller's mistake. */
export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new Writer();
  codec.write(writer, value);
  return writer.take();
}

/** The parts one after another, in a buffer of their length. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
