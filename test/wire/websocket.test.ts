// The WebSocket layer under a client that knows RFC 6455 and breaks it: the groups of the Autobahn test suite that are not
// about text or compression (1 framing, 2 pings, 3 reserved bits, 4 opcodes, 5 fragmentation, 6 UTF-8, 7 closing, 9 limits,
// 12 and 13 extensions), as tables of bytes and what must become of them.
import { decodeFrames, encodeFrames, MAX_MESSAGE_BYTES, PROBLEMS } from "@lethe/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BareSocket, binaryMessage, OPCODE, socketFrame } from "../support/bare-socket.ts";
import { aFolder, type Folder } from "../support/folder.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { Arrivals, within } from "../support/waiting.ts";

const PATIENCE_MS = 15_000;
const FIN = 0x80;
const [RSV1, RSV2, RSV3] = [0x40, 0x20, 0x10] as const;
/** RFC 6455 section 7.4.1. */
const STATUS = { normal: 1000, protocol: 1002, utf8: 1007, policy: 1008, tooLarge: 1009 } as const;

let folder: Folder;
let relay: RelayProcess;
beforeAll(async () => {
  folder = await aFolder();
  relay = await RelayProcess.start({ data: folder.path });
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

const none = new Uint8Array(0);
const ping = (token: number): Uint8Array => encodeFrames({ frame: "ping", token });
const status = (code: number, reason = ""): Buffer => {
  const out = Buffer.alloc(2 + Buffer.byteLength(reason));
  out.writeUInt16BE(code);
  out.write(reason, 2);
  return out;
};

interface Talk {
  readonly socket: BareSocket;
  readonly frames: Arrivals<string>;
  readonly pongs: Arrivals<string>;
}

/** An anonymous connection that has greeted and been welcomed. */
async function aTalk(): Promise<Talk> {
  const frames = new Arrivals<string>();
  const pongs = new Arrivals<string>();
  const take = (message: Buffer): void => {
    for (const frame of decodeFrames(message, { from: "relay", on: "anonymous", version: 1 }))
      frames.put(frame.frame === "pong" ? `pong ${frame.token}` : frame.frame);
  };
  const socket = new BareSocket(relay.port, "anonymous", take, (payload) =>
    pongs.put(payload.toString("hex")),
  );
  socket.write(binaryMessage(encodeFrames({ frame: "hello-anonymous", minVersion: 1, maxVersion: 1 })));
  expect(await within(PATIENCE_MS, "a welcome", frames.next())).toBe("welcome");
  return { socket, frames, pongs };
}

/** What is written in one go, and the tokens of our pings that are answered, in order; then the connection still works. */
async function expectGoesOn(pieces: readonly Uint8Array[], tokens: readonly number[]): Promise<Talk> {
  const talk = await aTalk();
  for (const piece of pieces) talk.socket.write(piece);
  talk.socket.write(binaryMessage(ping(0xff)));
  for (const token of [...tokens, 0xff])
    expect(await within(PATIENCE_MS, `pong ${token}`, talk.frames.next())).toBe(`pong ${token}`);
  talk.socket.destroy();
  await talk.socket.ended;
  return talk;
}

async function expectEnds(bytes: Uint8Array, ...statuses: readonly number[]): Promise<void> {
  const talk = await aTalk();
  talk.socket.write(bytes);
  const ended = await within(PATIENCE_MS, "the end", talk.socket.ended);
  expect(statuses).toContain(ended.status);
}

function fragments(message: Uint8Array, size: number): Buffer[] {
  const out: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const isLast = at + size >= message.length;
    const opcode = at === 0 ? OPCODE.binary : OPCODE.continuation;
    out.push(socketFrame((isLast ? FIN : 0) | opcode, message.subarray(at, at + size)));
  }
  return out;
}

describe("1: a message", () => {
  it.each([1, 11, 16, 5_000, 8_192])(
    "of %i frames of ours is read, whatever its length's encoding",
    async (count) => {
      const tokens = Array.from({ length: count }, (_, token) => token);
      await expectGoesOn([binaryMessage(Buffer.concat(tokens.map(ping)))], tokens);
    },
  );

  it("that comes a byte at a time is read", async () => {
    const bytes = [...binaryMessage(ping(7))].map((byte) => Uint8Array.of(byte));
    await expectGoesOn(bytes, [7]);
  });

  it("of text is no frame of this protocol", async () => {
    const { close = 0 } = PROBLEMS["malformed-frame"];
    await expectEnds(socketFrame(FIN | OPCODE.text, Buffer.from("hello")), close);
  });
});

describe("2: a ping of the WebSocket layer", () => {
  it.each([
    ["nothing", none],
    ["text", Buffer.from("payload")],
    ["bytes that are no text", Buffer.from("00fffefdfcfb00ff", "hex")],
    ["125 bytes", new Uint8Array(125).fill(0xfe)],
  ])("is answered with what it holds: %s", async (_what, payload) => {
    const { pongs } = await expectGoesOn([socketFrame(FIN | OPCODE.ping, payload)], []);
    expect(await pongs.next()).toBe(Buffer.from(payload).toString("hex"));
  });

  it("is answered in order, ten of them, and a pong that nobody asked for is not", async () => {
    const ten = Array.from({ length: 10 }, (_, i) => socketFrame(FIN | OPCODE.ping, Uint8Array.of(i)));
    const { pongs } = await expectGoesOn([socketFrame(FIN | OPCODE.pong, Buffer.from("x")), ...ten], []);
    expect(pongs.takeAll()).toEqual(Array.from({ length: 10 }, (_, i) => `0${i}`));
  });
});

describe("3, 4, 12, 13: what was not agreed on", () => {
  const opcodes = [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf];
  const table: [string, Buffer][] = [
    ...[RSV1, RSV2, RSV3, RSV1 | RSV2 | RSV3].flatMap((rsv): [string, Buffer][] => [
      [`reserved bits ${rsv.toString(16)} on a message`, socketFrame(FIN | rsv | OPCODE.binary, ping(1))],
      [`reserved bits ${rsv.toString(16)} on an empty message`, socketFrame(FIN | rsv | OPCODE.binary, none)],
      [`reserved bits ${rsv.toString(16)} on a ping`, socketFrame(FIN | rsv | OPCODE.ping, none)],
      [`reserved bits ${rsv.toString(16)} on a close`, socketFrame(FIN | rsv | OPCODE.close, status(1000))],
    ]),
    [
      "a compressed continuation",
      Buffer.concat([socketFrame(OPCODE.binary, none), socketFrame(FIN | RSV1, none)]),
    ],
    ...opcodes.map((opcode): [string, Buffer] => [`opcode ${opcode}`, socketFrame(FIN | opcode, none)]),
    ...opcodes.map((opcode): [string, Buffer] => [
      `opcode ${opcode} with bytes`,
      socketFrame(FIN | opcode, ping(1)),
    ]),
    ["a frame that is not masked", socketFrame(FIN | OPCODE.binary, ping(1), false)],
    ["a ping that is not masked", socketFrame(FIN | OPCODE.ping, none, false)],
    ["a control frame of 126 bytes", socketFrame(FIN | OPCODE.ping, new Uint8Array(126))],
    ["a control frame in parts", socketFrame(OPCODE.ping, none)],
    ["a close of 126 bytes", socketFrame(FIN | OPCODE.close, status(1000, "x".repeat(124)))],
  ];
  it.each(table)("ends the connection with 1002: %s", async (_what, bytes) => {
    await expectEnds(bytes, STATUS.protocol);
  });

  it("and nothing behind it is read", async () => {
    const talk = await aTalk();
    talk.socket.write(Buffer.concat([socketFrame(FIN | 0xb, none), binaryMessage(ping(3))]));
    expect((await within(PATIENCE_MS, "the end", talk.socket.ended)).status).toBe(STATUS.protocol);
    expect(talk.frames.takeAll()).toEqual([]);
  });
});

describe("5: a message in fragments", () => {
  const long = Buffer.concat(Array.from({ length: 8 }, (_, token) => ping(token)));
  const all = [0, 1, 2, 3, 4, 5, 6, 7];

  it.each([1, 2, 3, 7, 31, 63])("of %i bytes is put together", async (size) => {
    await expectGoesOn(
      fragments(size === 1 ? long.subarray(0, 32) : long, size),
      size === 1 ? all.slice(0, 4) : all,
    );
  });

  it("with empty ones among them, and with pings and pongs between them, is put together", async () => {
    const between = [
      socketFrame(FIN | OPCODE.ping, Buffer.from("a")),
      socketFrame(OPCODE.continuation, none),
    ];
    const pieces = fragments(long, 16).flatMap((piece, i, { length }) =>
      i < length - 1 ? [piece, ...between] : [piece],
    );
    await expectGoesOn(pieces, all);
  });

  it.each<[string, Buffer[]]>([
    ["a continuation of nothing", [socketFrame(FIN | OPCODE.continuation, ping(1))]],
    ["a continuation of nothing, not the last", [socketFrame(OPCODE.continuation, ping(1))]],
    [
      "a continuation after the last",
      [...fragments(ping(1), 4), socketFrame(FIN | OPCODE.continuation, none)],
    ],
    ["a message within a message", [socketFrame(OPCODE.binary, ping(1)), binaryMessage(ping(2))]],
    ["text within a message", [socketFrame(OPCODE.binary, ping(1)), socketFrame(FIN | OPCODE.text, none)]],
  ])("ends the connection with 1002: %s", async (_what, pieces) => {
    await expectEnds(Buffer.concat(pieces), STATUS.protocol);
  });

  it("has at most 64: one more ends the connection", async () => {
    const of = (count: number): Buffer[] => [
      socketFrame(OPCODE.binary, ping(5)),
      ...Array.from({ length: count - 2 }, () => socketFrame(OPCODE.continuation, none)),
      socketFrame(FIN | OPCODE.continuation, none),
    ];
    await expectGoesOn(of(64), [5]);
    await expectEnds(Buffer.concat(of(65)), STATUS.policy);
  });
});

describe("6: text that is no UTF-8", () => {
  it.each(["c0af", "eda080", "f4908080", "fe", "cebae1bdb9cf83cebcceb5f4"])(
    "ends with 1007: %s",
    async (bytes) => {
      await expectEnds(socketFrame(FIN | OPCODE.text, Buffer.from(bytes, "hex")), STATUS.utf8);
    },
  );
});

describe("7: a close", () => {
  const good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
  it.each(good)("with the status %i is answered with it", async (code) => {
    await expectEnds(socketFrame(FIN | OPCODE.close, status(code, "done")), code);
  });

  it("without a status is answered without one, and nothing behind it is read", async () => {
    const talk = await aTalk();
    talk.socket.write(Buffer.concat([socketFrame(FIN | OPCODE.close, none), binaryMessage(ping(1))]));
    expect((await within(PATIENCE_MS, "the end", talk.socket.ended)).status).toBeUndefined();
    expect(talk.frames.takeAll()).toEqual([]);
  });

  it("in the middle of a message is answered: the message is never read", async () => {
    const talk = await aTalk();
    const close = socketFrame(FIN | OPCODE.close, status(1000));
    talk.socket.write(Buffer.concat([socketFrame(OPCODE.binary, ping(1)), close]));
    expect((await within(PATIENCE_MS, "the end", talk.socket.ended)).status).toBe(STATUS.normal);
    expect(talk.frames.takeAll()).toEqual([]);
  });

  it.each([0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535])(
    "with the status %i, which nobody may send, ends with 1002",
    async (code) => {
      await expectEnds(socketFrame(FIN | OPCODE.close, status(code)), STATUS.protocol);
    },
  );

  it("with half a status ends with 1002, with a reason that is no UTF-8 with 1007", async () => {
    await expectEnds(socketFrame(FIN | OPCODE.close, Uint8Array.of(3)), STATUS.protocol);
    const reason = Buffer.concat([status(1000), Buffer.from("cebae1bdb9f4", "hex")]);
    await expectEnds(socketFrame(FIN | OPCODE.close, reason), STATUS.utf8);
  });
});

async function counted(frames: Arrivals<string>, total: number): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let seen = 0; seen < total; ) {
    const some = [await frames.next(), ...frames.takeAll()];
    for (const frame of some) counts.set(frame, (counts.get(frame) ?? 0) + 1);
    seen += some.length;
  }
  return counts;
}

describe("9: a message at its limit", () => {
  it("of 1 MiB is read, in one frame and in 64; a byte more ends the connection", async () => {
    const full = Buffer.concat(Array.from({ length: MAX_MESSAGE_BYTES / 8 }, () => ping(9)));
    expect(full.length).toBe(MAX_MESSAGE_BYTES);
    for (const pieces of [[binaryMessage(full)], fragments(full, MAX_MESSAGE_BYTES / 64)]) {
      const talk = await aTalk();
      for (const piece of pieces) talk.socket.write(piece);
      const count = await within(PATIENCE_MS, "every pong", counted(talk.frames, MAX_MESSAGE_BYTES / 8));
      expect(count).toEqual(new Map([["pong 9", MAX_MESSAGE_BYTES / 8]]));
      talk.socket.destroy();
      await talk.socket.ended;
    }
    await expectEnds(binaryMessage(new Uint8Array(MAX_MESSAGE_BYTES + 1)), STATUS.tooLarge);
  });

  it("is not waited for where it says that it is longer: 2^32 and 2^63 bytes are announced, and nothing follows", async () => {
    for (const [length, ends] of [
      ["0000000100000000", STATUS.tooLarge],
      ["8000000000000000", STATUS.tooLarge],
      ["7fffffffffffffff", STATUS.tooLarge],
    ] as const)
      await expectEnds(Buffer.from(`82ff${length}00000000`, "hex"), ends);
  });
});
