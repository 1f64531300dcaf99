// The message of content.proto as Protocol Buffers have it on the wire, by hand over the library's reader and writer: its
// descriptors and reflection would be a tenth of what a page loads. Always true: it is read and written as generated code
// does (a test holds both against each other): fields in order, defaults left out, what is unknown passed over.
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

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
  const writer = new BinaryWriter();
  const bytes = (field: number, value: Uint8Array = EMPTY): void => {
    if (value.length > 0) writer.tag(field, WireType.LengthDelimited).bytes(value);
  };
  const number = (field: number, value = 0n): void => {
    if (value !== 0n) writer.tag(field, WireType.Varint).uint64(value);
  };
  bytes(FIELD.messageId, said.messageId);
  number(FIELD.sentAt, said.sentAt);
  bytes(FIELD.stream, said.stream);
  number(FIELD.sequence, said.sequence);
  bytes(FIELD.accessKey, said.accessKey);
  const { senderName = "", kind } = said;
  if (senderName !== "") writer.tag(FIELD.senderName, WireType.LengthDelimited).string(senderName);
  bytes(FIELD.conversation, said.conversation);
  if (kind !== undefined) writer.tag(FIELD[kind.case], WireType.LengthDelimited).bytes(kindBytes(kind));
  return writer.finish();
}

function kindBytes(kind: Kind): Uint8Array {
  if (kind.case === "ownNote") return kind.note;
  const writer = new BinaryWriter();
  const bytes = (field: number, value: Uint8Array): BinaryWriter =>
    writer.tag(field, WireType.LengthDelimited).bytes(value);
  const text = (field: number, value: string): void => {
    if (value !== "") writer.tag(field, WireType.LengthDelimited).string(value);
  };
  if (kind.case === "text") text(1, kind.text);
  else if (kind.case === "bytes") {
    if (kind.bytes.length > 0) bytes(1, kind.bytes);
    text(2, kind.type);
  } else if (kind.case === "receipt") {
    for (const id of kind.delivered) bytes(1, id);
    for (const id of kind.read) bytes(2, id);
  }
  return writer.finish();
}

type Fields = Map<number, { readonly last: Uint8Array | bigint; readonly all: Uint8Array[] }>;

/** Every field of a message by its number. Text stays bytes. @throws Error where it is no message */
function fieldsOf(message: Uint8Array): {
  fields: Fields;
  lastOf(numbers: readonly number[]): number | undefined;
} {
  const reader = new BinaryReader(message);
  const fields: Fields = new Map();
  const order: number[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const known = fields.get(field);
    order.push(field);
    if (type === WireType.LengthDelimited) {
      const value = reader.bytes();
      fields.set(field, { last: value, all: [...(known?.all ?? []), value] });
    } else if (type === WireType.Varint) fields.set(field, { last: BigInt(reader.uint64()), all: [] });
    else reader.skip(type, field);
  }
  return { fields, lastOf: (numbers) => order.findLast((field) => numbers.includes(field)) };
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
  if (typeof value === "bigint") throw new Error("a number where bytes belong");
  return value;
}

function numberIn(fields: Fields, field: number): bigint {
  const value = fields.get(field)?.last ?? 0n;
  if (typeof value !== "bigint") throw new Error("bytes where a number belongs");
  return value;
}

/** @throws TypeError where it is no UTF-8 */
function textIn(fields: Fields, field: number): string {
  return UTF8.decode(bytesIn(fields, field));
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
