// The message of content.proto as Protocol Buffers have it on the wire, by hand: the library's descriptors, reflection and text
// formats would be a tenth of what a page loads. Always true: it is read and written as generated code does (a test holds
// both against each other): fields in order, defaults left out, what is unknown passed over.
import { MalformedError, Reader, Writer } from "@lethe/protocol";

/** https://protobuf.dev/programming-guides/encoding/#structure */
const VARINT = 0;
const LENGTH_DELIMITED = 2;
/** Wire types of fixed length, bytes. */
const FIXED: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

/** What a field of each type is here. A `number` that is above 2^53 is read rounded: whoever reads refuses it. */
interface Types {
  readonly bytes: Uint8Array;
  readonly text: string;
  readonly u64: bigint;
  readonly number: number;
  readonly list: readonly Uint8Array[];
}
type Shape = Readonly<Record<string, keyof Types>>;
type Fields<S extends Shape> = { readonly [K in keyof S]: Types[S[K]] };

/** The fields of messages in the order of their numbers, from 1 on. */
const AROUND = {
  messageId: "bytes",
  sentAt: "u64",
  stream: "bytes",
  sequence: "u64",
  accessKey: "bytes",
  senderName: "text",
  conversation: "bytes",
} as const;
const QUOTE = { messageId: "bytes", author: "bytes" } as const;
/** The kinds in the order of their numbers, from `FIRST_KIND` on. */
const KINDS = {
  text: { text: "text" },
  bytes: { bytes: "bytes", type: "text" },
  receipt: { delivered: "list", read: "list" },
  typing: {},
  ownNote: { note: "bytes" },
  media: {
    id: "bytes",
    key: "bytes",
    size: "number",
    digest: "bytes",
    type: "text",
    name: "text",
    caption: "text",
    thumbnail: "bytes",
    width: "number",
    height: "number",
  },
  reaction: { ...QUOTE, text: "text" },
  edit: { messageId: "bytes", text: "text" },
  delete: { messages: "list" },
  timer: { ms: "number", setAt: "number" },
  contact: { account: "bytes", fingerprint: "bytes", name: "text" },
} as const satisfies Readonly<Record<string, Shape>>;
const NAMES = Object.keys(KINDS) as (keyof typeof KINDS)[];
const FIRST_KIND = 10;
const REPLY_TO = 21;
const DISAPPEARS_MS = 22;

export type Quote = Fields<typeof QUOTE>;
export type Kind = {
  readonly [K in keyof typeof KINDS]: { readonly is: K } & Fields<(typeof KINDS)[K]>;
}[keyof typeof KINDS];

export interface Content extends Fields<typeof AROUND> {
  /** Undefined: of a later version, or none. */
  readonly kind: Kind | undefined;
  readonly replyTo: Quote | undefined;
  readonly disappearsMs: number;
}

const EMPTY = new Uint8Array();

/** Bytes of the fields given; messages of parts of the fields, one after the other, are the message of all. */
export function encodeContent(said: Partial<Content>): Uint8Array {
  const { kind, replyTo, disappearsMs = 0 } = said;
  const writer = new Writer(256);
  putFields(writer, AROUND, said);
  if (kind !== undefined) {
    const bytes = kind.is === "ownNote" ? kind.note : messageOf(KINDS[kind.is], kind);
    putAlways(writer, FIRST_KIND + NAMES.indexOf(kind.is), bytes);
  }
  if (replyTo !== undefined) putAlways(writer, REPLY_TO, messageOf(QUOTE, replyTo));
  putNumber(writer, DISAPPEARS_MS, BigInt(disappearsMs));
  return writer.take();
}

function messageOf(shape: Shape, said: object): Uint8Array {
  const writer = new Writer(256);
  putFields(writer, shape, said);
  return writer.take();
}

function putFields(writer: Writer, shape: Shape, said: object): void {
  let field = 0;
  for (const name of Object.keys(shape)) {
    field += 1;
    const value = (said as Record<string, Types[keyof Types] | undefined>)[name];
    if (value === undefined) continue;
    if (typeof value === "number" || typeof value === "bigint") putNumber(writer, field, BigInt(value));
    else if (typeof value === "string") putBytes(writer, field, new TextEncoder().encode(value));
    else if (value instanceof Uint8Array) putBytes(writer, field, value);
    else for (const item of value) putAlways(writer, field, item);
  }
}

function putVarint(writer: Writer, value: bigint): void {
  let left = value;
  for (; left > 0x7fn; left >>= 7n) writer.u8(Number(left & 0x7fn) | 0x80);
  writer.u8(Number(left));
}

function putNumber(writer: Writer, field: number, value: bigint): void {
  if (value === 0n) return;
  putVarint(writer, BigInt(field * 8 + VARINT));
  putVarint(writer, value);
}

function putBytes(writer: Writer, field: number, value: Uint8Array): void {
  if (value.length > 0) putAlways(writer, field, value);
}

function putAlways(writer: Writer, field: number, value: Uint8Array): void {
  putVarint(writer, BigInt(field * 8 + LENGTH_DELIMITED));
  putVarint(writer, BigInt(value.length));
  writer.bytes(value);
}

/** At most ten bytes; what is above 64 bits is left off. */
function varint(reader: Reader): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reader.u8();
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asUintN(64, value);
  }
  throw new MalformedError(); // a number that does not end
}

type Found = Map<number, { readonly last: Uint8Array | bigint; readonly all: Uint8Array[] }>;

/** Every field of a message by its number. Text stays bytes. @throws MalformedError where it is no message */
function fieldsOf(message: Uint8Array): {
  readonly found: Found;
  readonly lastOf: (isOne: (field: number) => boolean) => number | undefined;
} {
  const reader = new Reader(message);
  const found: Found = new Map();
  const order: number[] = [];
  while (reader.remaining > 0) {
    const tag = Number(varint(reader));
    const [field, type] = [Math.floor(tag / 8), tag % 8];
    if (field === 0 || field > 0x1fff_ffff) throw new MalformedError(); // no field's number
    order.push(field);
    if (type === LENGTH_DELIMITED) {
      const value = reader.bytes(lengthOf(reader));
      const all = found.get(field)?.all ?? [];
      all.push(value); // a copy for each would take whoever reads seconds for one message
      found.set(field, { last: value, all });
    } else if (type === VARINT) found.set(field, { last: varint(reader), all: [] });
    else reader.bytes(FIXED[type] ?? Number.POSITIVE_INFINITY);
  }
  return { found, lastOf: (isOne) => order.findLast(isOne) };
}

function lengthOf(reader: Reader): number {
  const length = varint(reader);
  if (length > BigInt(reader.remaining)) throw new MalformedError(); // over the end
  return Number(length);
}

/** @throws Error where it is no message, or a known field is of another type */
export function decodeContent(message: Uint8Array): Content {
  const { found, lastOf } = fieldsOf(message);
  const number = lastOf((field) => NAMES[field - FIRST_KIND] !== undefined);
  return {
    ...readFields(AROUND, found),
    kind: number === undefined ? undefined : kindOf(NAMES[number - FIRST_KIND], bytesIn(found, number)),
    replyTo: found.has(REPLY_TO) ? readMessage(QUOTE, bytesIn(found, REPLY_TO)) : undefined,
    disappearsMs: Number(numberIn(found, DISAPPEARS_MS)),
  };
}

/** Of a choice the last one stands. */
function kindOf(is: keyof typeof KINDS = "typing", bytes: Uint8Array): Kind {
  if (is === "ownNote") return { is, note: bytes };
  return { is, ...readMessage(KINDS[is], bytes) } as Kind;
}

function readMessage<S extends Shape>(shape: S, message: Uint8Array): Fields<S> {
  return readFields(shape, fieldsOf(message).found);
}

function readFields<S extends Shape>(shape: S, found: Found): Fields<S> {
  const read = Object.entries(shape).map(([name, type], i) => [name, READ[type](found, i + 1)]);
  return Object.fromEntries(read) as Fields<S>;
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** `text`: @throws TypeError where it is no UTF-8 */
const READ: { readonly [T in keyof Types]: (found: Found, field: number) => Types[T] } = {
  bytes: bytesIn,
  text: (found, field) => UTF8.decode(bytesIn(found, field)),
  u64: numberIn,
  number: (found, field) => Number(numberIn(found, field)),
  list: (found, field) => found.get(field)?.all ?? [],
};

function bytesIn(found: Found, field: number): Uint8Array {
  const value = found.get(field)?.last ?? EMPTY;
  if (typeof value === "bigint") throw new Error(); // a number where bytes belong
  return value;
}

function numberIn(found: Found, field: number): bigint {
  const value = found.get(field)?.last ?? 0n;
  if (typeof value !== "bigint") throw new Error(); // bytes where a number belongs
  return value;
}
