// The content inside the encryption: from what the core seals to bytes, and back. Always true: reading is total; what
// it cannot place is unknown content, what contradicts itself is no content.
import { type AccountId, fromBytes, isUserName, type Time, toBytes, joined } from "@lethe/protocol";
import type {
  Content as CoreContent,
  MessageId,
  OpenedContent,
  Place,
  SealRequest,
} from "../delivery/events.ts";
import { type Content, decodeContent, encodeContent } from "./wire.ts";

const ID = 16;
const STREAM = 8;
const KEY = 16;
/** What a receipt of the core's format holds of each kind. */
const MAX_IDS = 255;

/** What a person or an application says. */
export type Said =
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "bytes"; readonly bytes: Uint8Array; readonly type: string };

export type ReadBody =
  | Said
  | { readonly is: "typing" }
  | { readonly is: "unknown"; readonly content: Uint8Array };

/** The body of a message: the kind alone. What is around it is added when it is sealed (fields of one message add up). */
export function bodyOf(said: Said): Uint8Array {
  return encodeContent({
    kind:
      said.is === "text"
        ? { case: "text", text: said.text }
        : { case: "bytes", bytes: said.bytes, type: said.type },
  });
}

/** What one's own other devices are told of a message: the same kind, with the conversation that it stands in. */
export function ownCopyOf(conversation: AccountId, body: Uint8Array): Uint8Array {
  return joined(encodeContent({ conversation: toBytes(conversation) }), body);
}

/** What one library tells those of its account's other devices. */
export function noteBody(note: Uint8Array): Uint8Array {
  return encodeContent({ kind: { case: "ownNote", note } });
}

/** Fields of one message add up. */
export function typingBody(): Uint8Array {
  return encodeContent({ kind: { case: "typing" } });
}

/** What a body says. @throws Error if it is no content: bodies are read when they are opened, so it is. */
export function readBody(body: Uint8Array): ReadBody {
  const { kind } = decodeContent(body);
  switch (kind?.case) {
    case "text":
      return { is: "text", text: kind.text };
    case "bytes":
      return { is: "bytes", bytes: kind.bytes, type: kind.type };
    case "typing":
      return { is: "typing" };
    default:
      return { is: "unknown", content: body };
  }
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
  return encodeContent({ kind: { case: "receipt", delivered, read } });
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
  const content = contentOf(read, plaintext);
  const place = placeOf(read);
  const sentAt = Number(read.sentAt);
  const { messageId, accessKey, senderName, conversation } = read;
  if (content === undefined || place === "bad" || messageId.length !== ID || !Number.isSafeInteger(sentAt))
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
    content,
  };
}

function placeOf({ stream, sequence }: Content): Place | undefined | "bad" {
  if (stream.length === 0 && sequence === 0n) return undefined;
  if (stream.length !== STREAM || sequence === 0n || sequence >= BigInt(Number.MAX_SAFE_INTEGER))
    return "bad";
  return { stream: fromBytes(stream), sequence: Number(sequence) };
}

function contentOf({ kind }: Content, plaintext: Uint8Array): OpenedContent | undefined {
  switch (kind?.case) {
    case "text":
    case "bytes":
      return { kind: "message", body: plaintext.slice() };
    case "typing":
      return { kind: "signal", body: plaintext.slice() };
    case "receipt": {
      const { delivered, read } = kind;
      if (delivered.length > MAX_IDS || read.length > MAX_IDS) return undefined;
      if (![...delivered, ...read].every((id) => id.length === ID)) return undefined;
      const ids = (list: readonly Uint8Array[]) => list.map((id) => fromBytes<MessageId>(id));
      return { kind: "receipt", delivered: ids(delivered), read: ids(read) };
    }
    case "ownNote":
      return { kind: "note", body: kind.note.slice() };
    default:
      return { kind: "unknown", body: plaintext.slice() };
  }
}
