// The frame table: every frame comes back as it went, in one encoding only; everything else is refused with a code.
import {
  type ClientFrame,
  type ConnectionKind,
  decodeFrames,
  encodeFrames,
  FrameError,
  FRAMES,
  type FrameName,
  MAX_FRAME_BYTES,
  MAX_MESSAGE_BYTES,
  type RelayFrame,
  type Side,
} from "@lethe/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyFrame, frameOf } from "./arbitrary.ts";

type Frame = ClientFrame | RelayFrame;
const names = Object.keys(FRAMES) as FrameName[];

function home(name: FrameName): { from: Side; on: ConnectionKind } {
  const { from, on } = FRAMES[name];
  return { from: from === "both" ? "client" : from, on: on === "both" ? "device" : on };
}

function decode(bytes: Uint8Array, from: Side, on: ConnectionKind, version = 1): Frame[] {
  return from === "client"
    ? decodeFrames(bytes, { from: "client", on, version })
    : decodeFrames(bytes, { from: "relay", on, version });
}

function codeOf(bytes: Uint8Array, from: Side, on: ConnectionKind, version = 1): string {
  try {
    decode(bytes, from, on, version);
    return "decoded";
  } catch (error) {
    if (error instanceof FrameError) return error.code;
    throw error;
  }
}

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));

describe("a frame", () => {
  it.each(names)("%s comes back as it went, and is the only encoding of itself", (name) => {
    const { from, on } = home(name);
    fc.assert(
      fc.property(frameOf(name), (frame) => {
        const bytes = encodeFrames(frame);
        const [back, ...rest] = decode(bytes, from, on);
        expect(rest).toEqual([]);
        expect(back).toEqual(frame);
        expect(encodeFrames(back as Frame)).toEqual(bytes);
      }),
      { numRuns: 100 },
    );
  });

  it.each(names)("%s cut short at any byte is malformed", (name) => {
    const { from, on } = home(name);
    const [frame] = fc.sample(frameOf(name), { numRuns: 1, seed: 7 });
    const bytes = encodeFrames(frame as Frame);
    for (let length = 0; length < bytes.length; length++)
      expect(codeOf(bytes.subarray(0, length), from, on), `${length} of ${bytes.length}`).toBe(
        "malformed-frame",
      );
  });

  it.each(names)("%s with a byte too many in its body is malformed", (name) => {
    const { from, on } = home(name);
    const [frame] = fc.sample(frameOf(name), { numRuns: 1, seed: 8 });
    const bytes = encodeFrames(frame as Frame);
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    const length = bytes.length - 4 + 1;
    longer.set([length >>> 16, (length >>> 8) & 0xff, length & 0xff], 1);
    expect(codeOf(longer, from, on)).toBe("malformed-frame");
  });

  it.each(names)("%s from the wrong side or on the wrong kind of connection is unexpected", (name) => {
    const { from, on } = FRAMES[name];
    const [frame] = fc.sample(frameOf(name), { numRuns: 1, seed: 9 });
    const bytes = encodeFrames(frame as Frame);
    for (const side of ["client", "relay"] as const)
      for (const kind of ["device", "anonymous"] as const) {
        const fits = (from === "both" || from === side) && (on === "both" || on === kind);
        expect(codeOf(bytes, side, kind)).toBe(fits ? "decoded" : "unexpected-frame");
      }
  });

  it.each(names)("%s is unknown below the version that brought it", (name) => {
    const { from, on } = home(name);
    const [frame] = fc.sample(frameOf(name), { numRuns: 1, seed: 10 });
    expect(codeOf(encodeFrames(frame as Frame), from, on, FRAMES[name].since - 1)).toBe("unknown-frame");
  });
});

describe("a message", () => {
  it("carries several frames, in order", () => {
    const frames: RelayFrame[] = [
      { frame: "ping", token: 1 },
      { frame: "drained" },
      { frame: "error", code: 2 },
    ];
    const bytes = encodeFrames(...frames);
    expect(Buffer.from(bytes).toString("hex")).toBe("500000040000000122000000530000020002");
    expect(decode(bytes, "relay", "device")).toEqual(frames);
  });

  it("is refused whole if one of its frames cannot be decoded", () => {
    const bytes = Buffer.concat([encodeFrames({ frame: "ping", token: 1 }), Buffer.from("ff000000", "hex")]);
    expect(codeOf(bytes, "client", "device")).toBe("unknown-frame");
  });

  it.each([
    ["nothing at all", "", "malformed-frame"],
    ["half a header", "5000", "malformed-frame"],
    ["an opcode that is not in the table", "fe 000000", "unknown-frame"],
    ["a length over the frame limit", "50 ffffff", "frame-too-large"],
    ["a list of no ids", "21 000002 0000", "malformed-frame"],
    ["a list longer than its limit", "21 000002 0401", "malformed-frame"],
    [
      "an integer over 2^53 - 1",
      "01 00001c 0101 101112131415161718191a1b1c1d1e1f 0001 0020000000000000",
      "malformed-frame",
    ],
    [
      "device number 0",
      "01 00001c 0101 101112131415161718191a1b1c1d1e1f 0000 0000000000000001",
      "malformed-frame",
    ],
    [
      "an optional that is neither there nor not",
      "41 000015 00000001 101112131415161718191a1b1c1d1e1f 02",
      "malformed-frame",
    ],
    ["text that is not UTF-8", "40 000007 00000001 0001 ff", "malformed-frame"],
  ])("with %s is refused", (_what, hex, code) => {
    expect(codeOf(bytesOf(hex), "client", "device")).toBe(code);
  });

  it("over the message limit is refused before it is looked at", () => {
    expect(codeOf(new Uint8Array(MAX_MESSAGE_BYTES + 1), "client", "device")).toBe("frame-too-large");
    expect(codeOf(new Uint8Array(MAX_MESSAGE_BYTES), "client", "device")).toBe("unknown-frame");
  });

  it("of anything at all is decoded or refused with a code, and what decodes encodes back to the same bytes", () => {
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(anyFrame, fc.nat(), fc.nat(255)).map(([frame, at, value]) => {
        const bytes = encodeFrames(frame);
        bytes[at % bytes.length] = value;
        return bytes;
      }),
    );
    fc.assert(
      fc.property(anyBytes, fc.constantFrom<Side>("client", "relay"), (bytes, side) => {
        if (codeOf(bytes, side, "device") !== "decoded") return;
        expect(encodeFrames(...decode(bytes, side, "device"))).toEqual(bytes);
      }),
      { numRuns: 20_000 },
    );
  });
});

describe("encoding", () => {
  it("refuses a field over its limit and leaves nothing behind for the next frame", () => {
    const ciphertext = new Uint8Array(MAX_FRAME_BYTES);
    const id = "0123456789abcdef" as never;
    expect(() => encodeFrames({ frame: "push", id, kind: "pairwise", ciphertext })).toThrow(RangeError);
    expect(() => encodeFrames({ frame: "epoch-behind", last: 2 ** 53 })).toThrow(RangeError);
    expect(() => encodeFrames({ frame: "error", code: 65_536 })).toThrow(RangeError);
    expect(encodeFrames({ frame: "drained" })).toEqual(bytesOf("22000000"));
  });
});
