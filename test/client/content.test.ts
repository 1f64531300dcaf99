// The content on the wire, written by hand, against what is generated from content.proto: byte for byte, and back.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Content, decodeContent, encodeContent, type Kind } from "../../client-lib/content/wire.ts";
import { ContentSchema } from "./generated/content_pb.ts";

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const text = fc.string({ unit: "grapheme", maxLength: 300 });
const kind: fc.Arbitrary<Kind | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.record({ case: fc.constant("text" as const), text }),
  fc.record({ case: fc.constant("bytes" as const), bytes: bytes(300), type: text }),
  fc.record({
    case: fc.constant("receipt" as const),
    delivered: fc.array(bytes(16), { maxLength: 20 }),
    read: fc.array(bytes(16), { maxLength: 20 }),
  }),
  fc.record({ case: fc.constant("typing" as const) }),
  fc.record({ case: fc.constant("ownNote" as const), note: bytes(300) }),
);
const number = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const content: fc.Arbitrary<Content> = fc.record({
  messageId: bytes(16),
  sentAt: number,
  stream: bytes(8),
  sequence: number,
  accessKey: bytes(16),
  senderName: text,
  conversation: bytes(16),
  kind,
});

function generated({ kind: said, ...around }: Content): Uint8Array {
  const value =
    said === undefined
      ? { case: undefined }
      : said.case === "ownNote"
        ? { case: said.case, value: said.note }
        : { case: said.case, value: said };
  return toBinary(ContentSchema, create(ContentSchema, { ...around, kind: value } as never));
}

describe("content by hand", () => {
  it("is written as generated code writes it, and read back equal", () => {
    fc.assert(
      fc.property(content, (said) => {
        const written = encodeContent(said);
        expect(Buffer.from(written).toString("hex")).toBe(Buffer.from(generated(said)).toString("hex"));
        expect(decodeContent(written)).toEqual(said);
      }),
      { seed: 20_261_127, numRuns: 500 },
    );
  });

  it("adds up: the last of a choice stands, and fields of a later version are passed over", () => {
    const later = Uint8Array.of(0xa2, 0x06, 0x02, 0x68, 0x69, 0x98, 0x06, 0x05); // fields 100 and 99
    fc.assert(
      fc.property(content, content, (first, second) => {
        const all = Buffer.concat([encodeContent(first), later, encodeContent(second)]);
        const read = fromBinary(ContentSchema, all);
        const own = decodeContent(all);
        for (const field of ["messageId", "stream", "accessKey", "conversation"] as const)
          expect(Buffer.from(own[field])).toEqual(Buffer.from(read[field]));
        expect([own.sentAt, own.sequence, own.senderName]).toEqual([
          read.sentAt,
          read.sequence,
          read.senderName,
        ]);
        expect(own.kind?.case).toBe(read.kind.case);
      }),
      { seed: 20_261_128, numRuns: 300 },
    );
  });

  it("refuses what generated code refuses: every cut, and text that is no UTF-8", () => {
    fc.assert(
      fc.property(content, fc.nat(), (said, at) => {
        const written = generated(said);
        const cut = written.subarray(0, at % (written.length + 1));
        let fails = false;
        try {
          fromBinary(ContentSchema, cut);
        } catch {
          fails = true;
        }
        if (fails) expect(() => decodeContent(cut)).toThrow();
        else
          expect(encodeContent(decodeContent(cut))).toEqual(
            toBinary(ContentSchema, fromBinary(ContentSchema, cut)),
          );
      }),
      { seed: 20_261_129, numRuns: 500 },
    );
    expect(() => decodeContent(Uint8Array.of(0x32, 0x02, 0xc3, 0x28))).toThrow();
    expect(() => decodeContent(Uint8Array.of(0x08, 0x01))).toThrow();
  });
});
