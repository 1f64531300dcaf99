// The content inside the encryption: from what the core seals to bytes, and back. Always true: reading is total; what
// it cannot place is unknown content, what contradicts itself or is over a bound is no content, and never written either.
import {
  type AccountId,
  fromBytes,
  isUserName,
  MAX_MEDIA_BYTES,
  type Time,
  toBytes,
  joined,
} from "@lethe/protocol";
import type {
  Content as CoreContent,
  MessageId,
  OpenedContent,
  Place,
  SealRequest,
} from "../delivery/events.ts";
import { ClientError } from "../errors.ts";
import { type Content, decodeContent, encodeContent, type Kind, type Quote } from "./wire.ts";

const ID = 16;
const STREAM = 8;
const KEY = 16;
/** What a receipt of the core's format holds of each kind. */
const MAX_IDS = 255;
/** A message may be to disappear after so long at most, ms. */
export const MAX_DISAPPEARS_MS = 366 * 86_400_000;

type Bounds = readonly [least: number, most: number];
const ONE_ID: Bounds = [ID, ID];
const QUOTE = { messageId: ONE_ID, author: ONE_ID };
/** What the fields of a kind must be within: a number itself, text and bytes in bytes, a list in ids of 16 bytes. */
const BOUNDS: Readonly<Partial<Record<Kind["is"], Readonly<Record<string, Bounds>>>>> = {
  receipt: { delivered: [0, MAX_IDS], read: [0, MAX_IDS] },
  media: {
    id: ONE_ID,
    key: [32, 32],
    size: [0, MAX_MEDIA_BYTES],
    digest: [32, 32],
    type: [0, 255],
    name: [0, 255],
    caption: [0, 16_384],
    thumbnail: [0, 16_384],
    width: [0, 65_535],
    height: [0, 65_535],
  },
  reaction: { ...QUOTE, text: [0, 64] },
  edit: { messageId: ONE_ID },
  delete: { messages: [1, MAX_IDS] },
  timer: { ms: [0, MAX_DISAPPEARS_MS], setAt: [0, Number.MAX_SAFE_INTEGER] },
  contact: { account: ONE_ID, fingerprint: [32, 32], name: [0, 32] },
};

const MESSAGES = new Set<string | undefined>(["text", "bytes", "media", "contact"]);
const UPDATES = new Set<string | undefined>(["reaction", "edit", "delete", "timer"]);

type Of<K extends Kind["is"]> = Kind & { readonly is: K };
/** What a person or an application says: each shows in a conversation, and is confirmed. */
export type Said = Of<"text" | "bytes" | "media" | "contact">;
/** What changes what was said, or what will be: it shows nowhere by itself, and is never confirmed. */
export type Update = Of<"reaction" | "edit" | "delete" | "timer">;

/** What stands beside the kind of a message. */
export type Beside = Pick<Content, "replyTo" | "disappearsMs">;

export type ReadBody = Beside & { readonly kind: Said | Update | undefined };

/** The body of a message: its kind, and what stands beside it. What is around it is added when it is sealed (fields of one
 *  message add up). @throws ClientError content-invalid */
export function bodyOf(kind: Said | Update, beside: Partial<Beside> = {}): Uint8Array {
  if (!isWhole({ kind, replyTo: undefined, disappearsMs: 0, ...beside }))
    throw new ClientError("content-invalid");
  return encodeContent({ kind, ...beside });
}

/** What one's own other devices are told of a message: the same kind, with the conversation that it stands in. */
export function ownCopyOf(conversation: AccountId, body: Uint8Array): Uint8Array {
  return joined(encodeContent({ conversation: toBytes(conversation) }), body);
}

/** What one library tells those of its account's other devices. */
export function noteBody(note: Uint8Array): Uint8Array {
  return encodeContent({ kind: { is: "ownNote", note } });
}

/** Fields of one message add up. */
export function typingBody(): Uint8Array {
  return encodeContent({ kind: { is: "typing" } });
}

/** What a body says; no kind: unknown. @throws Error if it is no content: bodies are read when they are opened, so it is. */
export function readBody(body: Uint8Array): ReadBody {
  const { kind, replyTo, disappearsMs } = decodeContent(body);
  return { kind: isMessage(kind) || isUpdate(kind) ? kind : undefined, replyTo, disappearsMs };
}

export function isMessage(kind: Kind | undefined): kind is Said {
  return MESSAGES.has(kind?.is);
}

function isUpdate(kind: Kind | undefined): kind is Update {
  return UPDATES.has(kind?.is);
}

/** How long a message stays, beside what it says: fields of one message add up. */
export function staysFor(disappearsMs: number): Uint8Array {
  return encodeContent({ disappearsMs });
}

/** Whether everything is within its bounds. */
function isWhole({ kind, replyTo, disappearsMs }: Beside & { readonly kind: Kind | undefined }): boolean {
  if (disappearsMs > MAX_DISAPPEARS_MS || (replyTo !== undefined && !isWithin(replyTo, QUOTE))) return false;
  if (kind?.is === "contact" && kind.name !== "" && !isUserName(kind.name)) return false;
  return kind === undefined || isWithin(kind, BOUNDS[kind.is] ?? {});
}

function isWithin(fields: Kind | Quote, bounds: Readonly<Record<string, Bounds>>): boolean {
  return Object.entries(bounds).every(([name, [least, most]]) => {
    const value =
      (fields as unknown as Record<string, number | string | Uint8Array | Uint8Array[]>)[name] ?? 0;
    const of = typeof value === "string" ? new TextEncoder().encode(value) : value;
    const size = typeof of === "number" ? of : of.length;
    const areIds = !Array.isArray(of) || of.every((id) => id.length === ID);
    return areIds && Number.isInteger(size) && size >= least && size <= most;
  });
}

export interface Introducing {
  readonly accessKey: Uint8Array;
  readonly name: string;
}

/** The plaintext of an envelope. */
export function writeContent(
  { message, place, sentAt, content }: Pick<SealRequest, "message" | "place" | "sentAt" | "content">,
  self: Introducing,
): Uint8Array {
  const around = encodeContent({
    messageId: toBytes(message),
    sentAt: BigInt(sentAt),
    ...(place === undefined ? {} : { stream: toBytes(place.stream), sequence: BigInt(place.sequence) }),
    accessKey: self.accessKey,
    senderName: self.name,
  });
  return joined(around, kindOf(content));
}

function kindOf(content: CoreContent): Uint8Array {
  if (content.kind !== "receipt") return content.body;
  const [delivered, read] = [content.delivered.map(toBytes), content.read.map(toBytes)];
  return encodeContent({ kind: { is: "receipt", delivered, read } });
}

export interface ReadContent {
  readonly message: MessageId;
  readonly place: Place | undefined;
  readonly sentAt: Time;
  readonly accessKey: Uint8Array | undefined;
  readonly name: string | undefined;
  readonly conversation: AccountId | undefined;
  readonly content: OpenedContent;
}

/** Undefined where it is no content: malformed, or of a shape that no version may have. */
export function readContent(plaintext: Uint8Array): ReadContent | undefined {
  let read: Content;
  try {
    read = decodeContent(plaintext);
  } catch {
    return undefined;
  }
  const place = placeOf(read);
  const sentAt = Number(read.sentAt);
  const { messageId, accessKey, senderName, conversation } = read;
  if (!isWhole(read) || place === "bad" || messageId.length !== ID || !Number.isSafeInteger(sentAt))
    return undefined;
  if (accessKey.length !== 0 && accessKey.length !== KEY) return undefined;
  if (conversation.length !== 0 && conversation.length !== ID) return undefined;
  return {
    message: fromBytes(messageId),
    place,
    sentAt: sentAt as Time,
    accessKey: accessKey.length === KEY ? accessKey.slice() : undefined,
    name: isUserName(senderName) ? senderName : undefined,
    conversation: conversation.length === ID ? fromBytes(conversation) : undefined,
    content: contentOf(read, plaintext),
  };
}

function placeOf({ stream, sequence }: Content): Place | undefined | "bad" {
  if (stream.length === 0 && sequence === 0n) return undefined;
  if (stream.length !== STREAM || sequence === 0n || sequence >= BigInt(Number.MAX_SAFE_INTEGER))
    return "bad";
  return { stream: fromBytes(stream), sequence: Number(sequence) };
}

function contentOf({ kind }: Content, plaintext: Uint8Array): OpenedContent {
  if (kind === undefined) return { kind: "unknown", body: plaintext.slice() };
  switch (kind.is) {
    case "typing":
      return { kind: "signal", body: plaintext.slice() };
    case "receipt": {
      const ids = (list: readonly Uint8Array[]) => list.map((id) => fromBytes<MessageId>(id));
      return { kind: "receipt", delivered: ids(kind.delivered), read: ids(kind.read) };
    }
    case "ownNote":
      return { kind: "note", body: kind.note.slice() };
    default:
      return { kind: isUpdate(kind) ? "update" : "message", body: plaintext.slice() };
  }
}
