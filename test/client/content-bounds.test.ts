// The bounds of what may be said: at each edge it is written and read, one over it is neither.
import { MAX_MEDIA_BYTES, type Time } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import {
  bodyOf,
  MAX_DISAPPEARS_MS,
  readBody,
  readContent,
  writeContent,
} from "../../client-lib/content/content.ts";
import { encodeContent, type Kind } from "../../client-lib/content/wire.ts";
import type { MessageId, OpenedContent } from "../../client-lib/delivery/events.ts";

type Said = Parameters<typeof bodyOf>[0];
const id = new Uint8Array(16).fill(1);
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(2);
const media = {
  ...{
    is: "media" as const,
    id,
    key: bytes(32),
    size: 1,
    digest: bytes(32),
    type: "",
    name: "",
    caption: "",
  },
  ...{ thumbnail: bytes(0), width: 0, height: 0 },
};
const reaction = { is: "reaction" as const, messageId: id, author: id, text: "👍" };
const contact = { is: "contact" as const, account: id, fingerprint: bytes(32), name: "carla" };

const EDGES: Readonly<Record<string, readonly [within: Said, over: Said]>> = {
  "a reaction of 64 bytes": [
    { ...reaction, text: "👍".repeat(16) },
    { ...reaction, text: `${"👍".repeat(16)}!` },
  ],
  "the id of what is reacted to": [reaction, { ...reaction, messageId: bytes(15) }],
  "its author": [reaction, { ...reaction, author: bytes(17) }],
  "the id of what is edited": [
    { is: "edit", messageId: id, text: "" },
    { is: "edit", messageId: bytes(0), text: "x" },
  ],
  "255 ids deleted": [
    { is: "delete", messages: Array<Uint8Array>(255).fill(id) },
    { is: "delete", messages: Array<Uint8Array>(256).fill(id) },
  ],
  "one id deleted": [
    { is: "delete", messages: [id] },
    { is: "delete", messages: [] },
  ],
  "each id deleted": [
    { is: "delete", messages: [id, id] },
    { is: "delete", messages: [id, bytes(8)] },
  ],
  "a timer of 366 days": [
    { is: "timer", ms: MAX_DISAPPEARS_MS, setAt: 0 },
    { is: "timer", ms: MAX_DISAPPEARS_MS + 1, setAt: 0 },
  ],
  "when a timer was set": [
    { is: "timer", ms: 0, setAt: Number.MAX_SAFE_INTEGER },
    { is: "timer", ms: 0, setAt: 2 ** 53 },
  ],
  "a contact's account": [contact, { ...contact, account: bytes(32) }],
  "a contact's fingerprint": [contact, { ...contact, fingerprint: bytes(31) }],
  "a contact's name, or none": [
    { ...contact, name: "" },
    { ...contact, name: "../etc" },
  ],
  "a file's id": [media, { ...media, id: bytes(15) }],
  "a file's key": [media, { ...media, key: bytes(33) }],
  "a file's digest": [media, { ...media, digest: bytes(0) }],
  "a file's size": [
    { ...media, size: MAX_MEDIA_BYTES },
    { ...media, size: MAX_MEDIA_BYTES + 1 },
  ],
  "a file's type": [
    { ...media, type: "x".repeat(255) },
    { ...media, type: "x".repeat(256) },
  ],
  "a file's name": [
    { ...media, name: "x".repeat(255) },
    { ...media, name: "é".repeat(128) },
  ],
  "a caption": [
    { ...media, caption: "x".repeat(16_384) },
    { ...media, caption: "x".repeat(16_385) },
  ],
  "a thumbnail": [
    { ...media, thumbnail: bytes(16_384) },
    { ...media, thumbnail: bytes(16_385) },
  ],
  pixels: [
    { ...media, width: 65_535, height: 65_535 },
    { ...media, width: 65_536 },
  ],
};
const self = { accessKey: bytes(16), name: "anna" };

function opened(body: Uint8Array): OpenedContent | undefined {
  const message = "m".repeat(16) as MessageId;
  const content = { kind: "message", body } as const;
  return readContent(writeContent({ message, place: undefined, sentAt: 1 as Time, content }, self))?.content;
}

describe("what may be said", () => {
  it.each(Object.entries(EDGES))("ends with %s", (_, [within, over]) => {
    const read = opened(bodyOf(within));
    expect(read?.kind).toBe(within.is === "media" || within.is === "contact" ? "message" : "update");
    expect(read !== undefined && "body" in read && readBody(read.body).kind).toEqual(within);
    expect(() => bodyOf(over)).toThrow(expect.objectContaining({ code: "content-invalid" }));
    expect(opened(encodeContent({ kind: over as Kind }))).toBeUndefined();
  });

  it("has one message that it answers, and a time of at most 366 days", () => {
    const text = { is: "text", text: "yes" } as const;
    const replyTo = { messageId: id, author: id };
    const read = opened(bodyOf(text, { replyTo, disappearsMs: MAX_DISAPPEARS_MS }));
    expect(read?.kind === "message" && readBody(read.body)).toEqual({
      ...{ kind: text, replyTo, disappearsMs: MAX_DISAPPEARS_MS },
    });
    for (const beside of [
      { replyTo: { messageId: id, author: bytes(0) } },
      { disappearsMs: MAX_DISAPPEARS_MS + 1 },
    ]) {
      expect(() => bodyOf(text, beside)).toThrow();
      expect(opened(encodeContent({ kind: text, ...beside }))).toBeUndefined();
    }
  });

  it("is read in one go, however many fields somebody has put into one message", () => {
    const fields = new Uint8Array(1_000_000).fill(0x0a); // message_id, empty, half a million times
    for (let at = 1; at < fields.length; at += 2) fields[at] = 0;
    expect(readBody(fields).kind).toBeUndefined();
  });

  it("is nothing of the library's own: a note or a receipt stands in no body", () => {
    expect(readBody(encodeContent({ kind: { is: "ownNote", note: id } })).kind).toBeUndefined();
    expect(
      readBody(encodeContent({ kind: { is: "receipt", delivered: [id], read: [] } })).kind,
    ).toBeUndefined();
  });
});
