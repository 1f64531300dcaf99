// What is said in a conversation as an application gets it: the words of content.proto, with ids as hexadecimal digits.
// Always true: a message is named by its id together with its author's account, since an id alone may be another author's too.
import { fromBytes, fromHex, toBytes, toHex } from "@lethe/protocol";
import type { Beside, Said } from "./content/content.ts";
import type { Quote } from "./content/wire.ts";
import { ClientError } from "./errors.ts";
import type { ReceivedMedia } from "./media/received.ts";

/** A message: whatever has both fields names one, a received message as well. 32 hexadecimal characters each. */
export interface Target {
  /** Its author's. */
  readonly account: string;
  readonly id: string;
}

/** A third person, for `client.addContact`. */
export interface ContactCard {
  /** 32 hexadecimal characters. */
  readonly account: string;
  /** Of the account key, 32 bytes: no other key is believed of somebody who was added by the card. */
  readonly fingerprint: Uint8Array;
  /** The name that whoever sent the card knows them by, if any: a claim, until the relay's directory says the same. */
  readonly name: string | undefined;
}

/** A file that lies sealed at the relay, as its message describes it. */
export type MediaFields = Omit<Said & { readonly is: "media" }, "is">;

/** What a message says: the field of its `kind` has it, the other ones are undefined. */
export interface SaidMessage {
  readonly kind: Said["is"];
  readonly text: string | undefined;
  /** Bytes of an application, and the sender's word for what they are. */
  readonly bytes: Uint8Array | undefined;
  readonly type: string | undefined;
  readonly media: ReceivedMedia | undefined;
  readonly contact: ContactCard | undefined;
  /** The message that this one answers. */
  readonly replyTo: Target | undefined;
  /** It is to be gone so long after it was read (at its sender's: sent), ms: the library tells when, by `disappear`. */
  readonly disappearsAfter: number | undefined;
}

export function saidOf(
  kind: Said,
  { replyTo, disappearsMs }: Beside,
  received: (media: MediaFields) => ReceivedMedia,
): SaidMessage {
  const { is } = kind;
  return {
    kind: is,
    text: is === "text" ? kind.text : undefined,
    bytes: is === "bytes" ? kind.bytes : undefined,
    type: is === "bytes" ? kind.type : undefined,
    media: is === "media" ? received(kind) : undefined,
    contact:
      is === "contact" ? { ...kind, account: hexOf(kind.account), name: kind.name || undefined } : undefined,
    replyTo: replyTo === undefined ? undefined : targetOf(replyTo),
    disappearsAfter: disappearsMs || undefined,
  };
}

export function hexOf(id: Uint8Array): string {
  return toHex(fromBytes(id));
}

/** @throws ClientError content-invalid */
export function bytesOf(hex: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/.test(hex)) throw new ClientError("content-invalid", hex);
  return toBytes(fromHex(hex, 16));
}

export function targetOf({ author, messageId }: Quote): Target {
  return { account: hexOf(author), id: hexOf(messageId) };
}

export function quoteOf({ account, id }: Target): Quote {
  return { author: bytesOf(account), messageId: bytesOf(id) };
}
