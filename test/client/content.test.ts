// The content on the wire, written by hand, against what is generated from content.proto: byte for byte, and back.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Content, decodeContent, encodeContent, type Kind } from "../../client-lib/content/wire.ts";
import { ContentSchema } from "./generated/content_pb.ts";

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const text = fc.string({ unit: "grapheme", maxLength: 300 });
const ids = fc.array(bytes(16), { maxLength: 20 });
const size = fc.maxSafeNat();
const pixels = fc.nat({ max: 65_535 });
const target = { messageId: bytes(16), author: bytes(16) };
const of = <K extends string, F>(is: K, fields: { [N in keyof F]: fc.Arbitrary<F[N]> }) =>
  fc.record({ is: fc.constant(is), ...fields } as never) as fc.Arbitrary<never>;
const kind: fc.Arbitrary<Kind | undefined> = fc.oneof(
  fc.constant(undefined as Kind | undefined),
  of("text", { text }),
  of("bytes", { bytes: bytes(300), type: text }),
  of("receipt", { delivered: ids, read: ids }),
  of("typing", {}),
  of("ownNote", { note: bytes(300) }),
  of("media", {
    ...{ id: bytes(16), key: bytes(32), size, digest: bytes(32), type: text, name: text, caption: text },
    ...{ thumbnail: bytes(300), width: pixels, height: pixels },
  }),
  of("reaction", { ...target, text }),
  of("edit", { messageId: bytes(16), text }),
  of("delete", { messages: ids }),
  of("timer", { ms: size, setAt: size }),
  of("contact", { account: bytes(16), fingerprint: bytes(32), name: text }),
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
  replyTo: fc.oneof(fc.constant(undefined), fc.record(target)),
  disappearsMs: size,
});
/** Numbers of 64 bits, which generated code has as bigint. */
const WIDE = new Set(["size", "ms", "setAt"]);

function generated({ kind: said, replyTo, disappearsMs, ...around }: Content): Uint8Array {
  const fields = Object.fromEntries(
    Object.entries(said ?? {}).map(([name, value]) => [
      name,
      WIDE.has(name) ? BigInt(value as number) : value,
    ]),
  );
  const all = {
    ...around,
    kind: { case: said?.is, value: said?.is === "ownNote" ? said.note : fields },
    disappearsMs: BigInt(disappearsMs),
    ...(replyTo === undefined ? {} : { replyTo }),
  };
  return toBinary(ContentSchema, create(ContentSchema, all as never));
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
        expect([own.sentAt, own.sequence, own.senderName, BigInt(own.disappearsMs)]).toEqual([
          read.sentAt,
          read.sequence,
          read.senderName,
          read.disappearsMs,
        ]);
        expect(own.kind?.is).toBe(read.kind.case);
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
