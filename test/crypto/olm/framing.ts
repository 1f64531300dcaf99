// Olm's wire formats (the Olm specification, "Message Format"): version 3, protobuf fields in the order in which libolm
// writes them, base64 without padding. A message's MAC covers everything in front of it.
import { OLM_MAC_BYTES } from "./suite.ts";

const VERSION = 3;
const FIELD = { bytes1: 0x0a, bytes2: 0x12, bytes3: 0x1a, bytes4: 0x22, number2: 0x10 } as const;

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replaceAll("=", "");
}

export function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "base64"));
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 128))];
}

class Cursor {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  expect(value: number): void {
    if (this.#bytes[this.at] !== value) throw new Error(`byte ${value} expected at ${this.at}`);
    this.at++;
  }

  number(field: number): number {
    this.expect(field);
    return this.#varint();
  }

  bytes(field: number): Uint8Array {
    const length = this.number(field);
    this.at += length;
    return this.#bytes.slice(this.at - length, this.at);
  }

  #varint(): number {
    let [value, weight] = [0, 1];
    for (;;) {
      const byte = this.#bytes[this.at++] ?? 0;
      value += (byte & 0x7f) * weight;
      weight *= 128;
      if (byte < 0x80) return value;
    }
  }
}

export interface OlmMessage {
  readonly publicKey: Uint8Array;
  readonly n: number;
  /** All in front of the ciphertext. */
  readonly front: Uint8Array;
  /** Ciphertext and MAC. */
  readonly sealed: Uint8Array;
}

/** What stands in front of a message's ciphertext of `length` bytes. */
export function messageFront(publicKey: Uint8Array, n: number, length: number): Uint8Array {
  const key = [FIELD.bytes1, publicKey.length, ...publicKey];
  return Uint8Array.of(VERSION, ...key, FIELD.number2, ...varint(n), FIELD.bytes4, ...varint(length));
}

export function readMessage(bytes: Uint8Array): OlmMessage {
  const cursor = new Cursor(bytes);
  cursor.expect(VERSION);
  const publicKey = cursor.bytes(FIELD.bytes1);
  const n = cursor.number(FIELD.number2);
  const body = cursor.bytes(FIELD.bytes4);
  const start = cursor.at - body.length;
  if (bytes.length !== cursor.at + OLM_MAC_BYTES) throw new Error("no MAC behind the ciphertext");
  return { publicKey, n, front: bytes.slice(0, start), sealed: bytes.slice(start) };
}

/** A first message: which keys the triple Diffie-Hellman is of, and the message. */
export interface OlmPrekeyMessage {
  readonly oneTime: Uint8Array;
  readonly base: Uint8Array;
  readonly identity: Uint8Array;
  readonly message: Uint8Array;
}

export function writePrekeyMessage({ oneTime, base, identity, message }: OlmPrekeyMessage): Uint8Array {
  const field = (tag: number, bytes: Uint8Array): Uint8Array =>
    Uint8Array.of(tag, ...varint(bytes.length), ...bytes);
  return Buffer.concat([
    Uint8Array.of(VERSION),
    field(FIELD.bytes1, oneTime),
    field(FIELD.bytes2, base),
    field(FIELD.bytes3, identity),
    field(FIELD.bytes4, message),
  ]);
}

export function readPrekeyMessage(bytes: Uint8Array): OlmPrekeyMessage {
  const cursor = new Cursor(bytes);
  cursor.expect(VERSION);
  const oneTime = cursor.bytes(FIELD.bytes1);
  const base = cursor.bytes(FIELD.bytes2);
  const identity = cursor.bytes(FIELD.bytes3);
  const message = cursor.bytes(FIELD.bytes4);
  if (cursor.at !== bytes.length) throw new Error("bytes behind a first message");
  return { oneTime, base, identity, message };
}
