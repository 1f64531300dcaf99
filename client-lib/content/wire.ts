// The message of content.proto as Protocol Buffers have it on the wire, by hand: the library's descriptors, reflection and text
// formats would be a tenth of what a page loads. Always true: it is read and written as generated code does (a test holds
// both against each other): fields in order, defaults left out, what is unknown passed over.
import { MalformedError, Reader, Writer } from "@lethe/protocol";

/** https://protobuf.dev/programming-guides/encoding/#structure */
const VARINT = 0;
const LENGTH_DELIMITED = 2;
/** Wire types of fixed length, bytes. */
const FIXED: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

export type Kind =
  | { readonly case: "text"; readonly text: string }
  | { readonly case: "bytes"; readonly bytes: Uint8Array; readonly type: string }
  | {
      readonly case: "receipt";
      readonly delivered: readonly Uint8Array[];
      readonly read: readonly Uint8Array[];
    }
  | { readonly case: "typing" }
  | { readonly case: "ownNote"; readonly note: Uint8Array };

export interface Content {
  readonly messageId: Uint8Array;
  readonly sentAt: bigint;
  readonly stream: Uint8Array;
  readonly sequence: bigint;
  readonly accessKey: Uint8Array;
  readonly senderName: string;
  readonly conversation: Uint8Array;
  /** Undefined: of a later version, or none. */
  readonly kind: Kind | undefined;
}

const FIELD = {
  messageId: 1,
  sentAt: 2,
  stream: 3,
  sequence: 4,
  accessKey: 5,
  senderName: 6,
  conversation: 7,
  text: 10,
  bytes: 11,
  receipt: 12,
  typing: 13,
  ownNote: 14,
} as const;

const EMPTY = new Uint8Array();

/** Bytes of the fields given; messages of parts of the fields, one after the other, are the message of all. */
export function encodeContent(said: Partial<Content>): Uint8Array {
  const { kind } = said;
  const writer = new Writer(256);
  putBytes(writer, FIELD.messageId, said.messageId);
  putNumber(writer, FIELD.sentAt, said.sentAt);
  putBytes(writer, FIELD.stream, said.stream);
  putNumber(writer, FIELD.sequence, said.sequence);
  putBytes(writer, FIELD.accessKey, said.accessKey);
  putBytes(writer, FIELD.senderName, utf8(said.senderName));
  putBytes(writer, FIELD.conversation, said.conversation);
  if (kind !== undefined) putAlways(writer, FIELD[kind.case], kindBytes(kind));
  return writer.take();
}

function kindBytes(kind: Kind): Uint8Array {
  if (kind.case === "ownNote") return kind.note;
  const writer = new Writer(256);
  if (kind.case === "text") putBytes(writer, 1, utf8(kind.text));
  else if (kind.case === "bytes") {
    putBytes(writer, 1, kind.bytes);
    putBytes(writer, 2, utf8(kind.type));
  } else if (kind.case === "receipt") {
    for (const id of kind.delivered) putAlways(writer, 1, id);
    for (const id of kind.read) putAlways(writer, 2, id);
  }
  return writer.take();
}

function utf8(text = ""): Uint8Array {
  return new TextEncoder().encode(text);
}

function putVarint(writer: Writer, value: bigint): void {
  let left = value;
  for (; left > 0x7fn; left >>= 7n) writer.u8(Number(left & 0x7fn) | 0x80);
  writer.u8(Number(left));
}

function putNumber(writer: Writer, field: number, value = 0n): void {
  if (value === 0n) return;
  putVarint(writer, BigInt(field * 8 + VARINT));
  putVarint(writer, value);
}

function putBytes(writer: Writer, field: number, value: Uint8Array = EMPTY): void {
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

type Fields = Map<number, { readonly last: Uint8Array | bigint; readonly all: Uint8Array[] }>;

/** Every field of a message by its number. Text stays bytes. @throws MalformedError where it is no message */
function fieldsOf(message: Uint8Array): {
  fields: Fields;
  readonly lastOf: (numbers: readonly number[]) => number | undefined;
} {
  const reader = new Reader(message);
  const fields: Fields = new Map();
  const order: number[] = [];
  while (reader.remaining > 0) {
    const tag = Number(varint(reader));
    const [field, type] = [Math.floor(tag / 8), tag % 8];
    if (field === 0 || field > 0x1fff_ffff) throw new MalformedError(); // no field's number
    order.push(field);
    if (type === LENGTH_DELIMITED) {
      const value = reader.bytes(lengthOf(reader));
      fields.set(field, { last: value, all: [...(fields.get(field)?.all ?? []), value] });
    } else if (type === VARINT) fields.set(field, { last: varint(reader), all: [] });
    else reader.bytes(FIXED[type] ?? Number.POSITIVE_INFINITY);
  }
  return { fields, lastOf: (numbers) => order.findLast((field) => numbers.includes(field)) };
}

function lengthOf(reader: Reader): number {
  const length = varint(reader);
  if (length > BigInt(reader.remaining)) throw new MalformedError(); // over the end
  return Number(length);
}

/** @throws Error where it is no message, or a known field is of another type */
export function decodeContent(message: Uint8Array): Content {
  const { fields, lastOf } = fieldsOf(message);
  return {
    messageId: bytesIn(fields, FIELD.messageId),
    sentAt: numberIn(fields, FIELD.sentAt),
    stream: bytesIn(fields, FIELD.stream),
    sequence: numberIn(fields, FIELD.sequence),
    accessKey: bytesIn(fields, FIELD.accessKey),
    senderName: textIn(fields, FIELD.senderName),
    conversation: bytesIn(fields, FIELD.conversation),
    kind: kindIn(fields, lastOf(KINDS)),
  };
}

const KINDS = [FIELD.text, FIELD.bytes, FIELD.receipt, FIELD.typing, FIELD.ownNote];

/** Of a choice the last one stands. */
function kindIn(fields: Fields, field: number | undefined): Kind | undefined {
  if (field === undefined) return undefined;
  const bytes = bytesIn(fields, field);
  if (field === FIELD.ownNote) return { case: "ownNote", note: bytes };
  const inner = fieldsOf(bytes).fields;
  switch (field) {
    case FIELD.text:
      return { case: "text", text: textIn(inner, 1) };
    case FIELD.bytes:
      return { case: "bytes", bytes: bytesIn(inner, 1), type: textIn(inner, 2) };
    case FIELD.receipt:
      return { case: "receipt", delivered: inner.get(1)?.all ?? [], read: inner.get(2)?.all ?? [] };
    default:
      return { case: "typing" };
  }
}

function bytesIn(fields: Fields, field: number): Uint8Array {
  const value = fields.get(field)?.last ?? EMPTY;
  if (typeof value === "bigint") throw new Error(); // a number where bytes belong
  return value;
}

function numberIn(fields: Fields, field: number): bigint {
  const value = fields.get(field)?.last ?? 0n;
  if (typeof value !== "bigint") throw new Error(); // bytes where a number belongs
  return value;
}

/** @throws TypeError where it is no UTF-8 */
function textIn(fields: Fields, field: number): string {
  return UTF8.decode(bytesIn(fields, field));
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
