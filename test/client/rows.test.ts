import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Codec, decodeAll, encode } from "@lethe/protocol";
import { bodyOf, readBody, readContent, typingBody, writeContent } from "../../client-lib/content/content.ts";
import * as rows from "../../client-lib/delivery/rows.ts";
import type { MessageId, StreamId } from "@lethe/client";

const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const options = { seed: SEED, numRuns: 200 };

const binary = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const id = (length: number) => binary(length).map((bytes) => String.fromCharCode(...bytes));
const address = fc
  .tuple(id(16), fc.integer({ min: 1, max: 65_535 }))
  .map(([a, n]) => a + String.fromCharCode(n >> 8, n & 255));
const time = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const bytes = fc.uint8Array({ maxLength: 300 });
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const place = fc.record({ stream: id(8), sequence: time });

const TABLES: Record<string, { codec: Codec<never>; value: fc.Arbitrary<unknown> }> = {
  epoch: { codec: rows.epochRow as Codec<never>, value: fc.record({ epoch: time }) },
  outbox: {
    codec: rows.outboxRow as Codec<never>,
    value: fc.record({
      id: id(16),
      message: id(16),
      to: address,
      listVersion: fc.nat({ max: 0xffff_ffff }),
      expiry: time,
      accessKey: maybe(binary(16)),
      told: fc.constantFrom("no", "yes"),
      ciphertext: bytes,
    }),
  },
  unsealed: {
    codec: rows.unsealedRow as Codec<never>,
    value: fc.record({ message: id(16), to: id(16), sentAt: time, expiry: time, body: bytes }),
  },
  inbox: {
    codec: rows.inboxRow as Codec<never>,
    value: fc.record({
      from: address,
      message: id(16),
      sentAt: time,
      arrivedAt: time,
      place: maybe(place),
      state: fc.constantFrom("held", "request", "new"),
      late: fc.constantFrom("no", "yes"),
      kind: fc.constantFrom("message", "receipt", "unknown", "gap"),
      body: bytes,
    }),
  },
  contact: {
    codec: rows.contactRow as Codec<never>,
    value: fc.record({
      decision: fc.constantFrom("none", "accepted", "blocked"),
      accessKey: maybe(binary(16)),
      name: maybe(fc.constantFrom("anna", "ben.the-3rd")),
      nameFrom: fc.constantFrom("claimed", "found"),
      at: time,
      by: fc.nat({ max: 0xffff }),
    }),
  },
  early: {
    codec: rows.earlyRow as Codec<never>,
    value: fc.record({ from: address, what: fc.constantFrom("delivered", "read"), at: time }),
  },
  quarantine: {
    codec: rows.quarantineRow as Codec<never>,
    value: fc.record({ id: id(16), at: time, code: fc.constant("aead-fail"), ciphertext: bytes }),
  },
  sent: {
    codec: rows.sentRow as Codec<never>,
    value: fc.record({ to: id(16), at: time, state: fc.constantFrom("queued", "sent", "delivered", "read") }),
  },
};

describe(`rows (seed ${SEED})`, () => {
  for (const [name, { codec, value }] of Object.entries(TABLES)) {
    it(`${name}: read back equal; trailing bytes and cut ends refused`, () => {
      fc.assert(
        fc.property(value, fc.nat(), (row, cut) => {
          const encoded = encode(codec, row as never);
          expect(decodeAll(codec, encoded)).toEqual(row);
          expect(() => decodeAll(codec, Uint8Array.of(...encoded, 0))).toThrow();
          expect(() => decodeAll(codec, encoded.subarray(0, cut % encoded.length))).toThrow();
        }),
        options,
      );
    });
  }

  it("of contacts from before decisions had a time are read, as decided before everything", () => {
    const name = new TextEncoder().encode("ben");
    const stored = Uint8Array.of(1, 1, 1, ...new Uint8Array(16).fill(7), 1, 0, name.length, ...name, 1);
    expect(decodeAll(rows.contactRow, stored)).toEqual({
      decision: "accepted",
      accessKey: new Uint8Array(16).fill(7),
      name: "ben",
      nameFrom: "found",
      at: 0,
      by: 0,
    });
  });

  it("keys of counters sort as the counters do", () => {
    fc.assert(
      fc.property(time, time, (a, b) => {
        expect(rows.orderOf(rows.orderKey(a))).toBe(a);
        expect(rows.orderKey(a) < rows.orderKey(b)).toBe(a < b);
      }),
      options,
    );
  });
});

describe(`content (seed ${SEED})`, () => {
  const self = { accessKey: new Uint8Array(16).fill(3), name: "anna" };
  const around = fc.record({
    message: id(16),
    place: maybe(fc.record({ stream: id(8), sequence: fc.integer({ min: 1, max: 2 ** 50 }) })),
  });
  const request = (header: { message: string; place: { stream: string; sequence: number } | undefined }) => ({
    to: "" as never,
    id: "" as never,
    message: header.message as MessageId,
    place:
      header.place === undefined ? undefined : { ...header.place, stream: header.place.stream as StreamId },
    sentAt: 1_700_000_000_000 as never,
    now: 0 as never,
  });

  it("says what was said", () => {
    fc.assert(
      fc.property(around, fc.string({ unit: "grapheme" }), (header, text) => {
        const content = { kind: "message", body: bodyOf({ is: "text", text }) } as const;
        const read = readContent(writeContent({ ...request(header), content }, self));
        expect(read).toMatchObject({ ...header, accessKey: self.accessKey, name: "anna" });
        expect(read?.content.kind === "message" && readBody(read.content.body).kind).toEqual({
          is: "text",
          text,
        });
      }),
      options,
    );
  });

  it("names messages in receipts", () => {
    fc.assert(
      fc.property(around, fc.array(id(16)), fc.array(id(16)), (header, delivered, read) => {
        const content = {
          kind: "receipt",
          delivered: delivered as MessageId[],
          read: read as MessageId[],
        } as const;
        expect(readContent(writeContent({ ...request(header), content }, self))?.content).toEqual(content);
      }),
      options,
    );
  });

  it("takes a kind that it does not know for unknown content, and keeps it whole", () => {
    const later = Uint8Array.of(0xfa, 0x07, 3, 1, 2, 3); // field 127, three bytes
    const content = { kind: "message", body: later } as const;
    const header = { message: "m".repeat(16), place: undefined };
    const read = readContent(writeContent({ ...request(header), content }, self));
    expect(read?.content.kind).toBe("unknown");
    expect(read?.content.kind === "unknown" && read.content.body.includes(0xfa)).toBe(true);
  });

  it("refuses what contradicts itself", () => {
    const content = { kind: "signal", body: typingBody() } as const;
    const good = request({ message: "m".repeat(16), place: { stream: "s".repeat(8), sequence: 1 } });
    expect(readContent(writeContent({ ...good, content }, self))).toBeDefined();
    const bad = [
      { ...good, message: "short" as MessageId },
      { ...good, place: { stream: "" as StreamId, sequence: 4 } },
      { ...good, place: { stream: "s".repeat(8) as StreamId, sequence: 0 } },
      { ...good, place: { stream: "s".repeat(7) as StreamId, sequence: 1 } },
      { ...good, place: { stream: "s".repeat(8) as StreamId, sequence: Number.MAX_SAFE_INTEGER } },
    ];
    for (const each of bad) expect(readContent(writeContent({ ...each, content }, self))).toBeUndefined();
    expect(
      readContent(writeContent({ ...good, content }, { ...self, accessKey: new Uint8Array(15) })),
    ).toBeUndefined();
    const stranger = readContent(writeContent({ ...good, content }, { ...self, name: "../etc" }));
    expect(stranger?.name).toBeUndefined();
  });

  it("is total: any bytes are content or none", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (any) => {
        const read = readContent(any);
        if (read !== undefined) expect(read.message).toHaveLength(16);
      }),
      { ...options, numRuns: 2_000 },
    );
  });
});
