// Writers grow and readers stop: the edges of the codec below the frames.
import { bytes, encode, MalformedError, Reader, struct, u8, u16, u32, u64, Writer } from "@lethe/protocol";
import { describe, expect, it } from "vitest";

describe("a writer", () => {
  it.each([1, 2, 3, 5, 7, 9, 11])("grows within any field, from %i bytes of room", (room) => {
    const writer = new Writer(room);
    for (let i = 0; i < 20; i++) {
      writer.u8(i);
      writer.u16(0x0102);
      writer.u24(0x030405);
      writer.u32(0x06070809);
      writer.u64(0x0a0b0c0d0e);
      writer.bytes(Uint8Array.of(1, 2));
      writer.binary("ab");
    }
    const one = "0102" + "030405" + "06070809" + "0000000a0b0c0d0e" + "0102" + "6162";
    const expected = Array.from({ length: 20 }, (_, i) => i.toString(16).padStart(2, "0") + one).join("");
    expect(Buffer.from(writer.take()).toString("hex")).toBe(expected);
  });

  it("refuses what a field cannot hold", () => {
    for (const [codec, value] of [
      [u8, 256],
      [u16, -1],
      [u32, 2 ** 32],
      [u64, 2 ** 53],
      [u8, 1.5],
      [u8, Number.NaN],
    ] as const)
      expect(() => encode(codec, value)).toThrow(RangeError);
  });

  it("encodes values of every size around its first buffer", () => {
    const shape = struct({ payload: bytes(1_000), after: u32 });
    for (let length = 240; length < 270; length++)
      expect(encode(shape, { payload: new Uint8Array(length), after: 7 }).length).toBe(length + 8);
  });
});

describe("a reader", () => {
  it("never reads past its end, nor past a narrowed one", () => {
    const reader = new Reader(Uint8Array.of(1, 2, 3, 4, 5));
    const end = reader.narrow(2);
    expect(reader.u16()).toBe(0x0102);
    expect(() => reader.u8()).toThrow(MalformedError);
    reader.widen(end);
    expect(reader.u24()).toBe(0x030405);
    reader.end();
    expect(() => reader.narrow(1)).toThrow(MalformedError);
  });
});
