// Hostile input for a client's socket, and what must become of it. Always true: the oracle is the contract's own decoder
// and the relay's rules of the greeting, written down a second time; it never asks the relay.
import {
  agreeOn,
  type ClientFrame,
  type ConnectionKind,
  decodeFrames,
  encodeFrames,
  FrameError,
  type FrameName,
  MAX_FRAME_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_UNPROVEN_BYTES,
  MAX_VERSION,
  type ProblemCode,
} from "@lethe/protocol";
import { binaryMessage, OPCODE, socketFrame } from "./bare-socket.ts";
import type { Chance } from "./chance.ts";
import type { Person } from "./person.ts";
import { clientFrames, draw, forbiddenFrames } from "./samples.ts";

export type Standing = "greeting" | "challenged" | "open";

/** One input: the bytes of its WebSocket frames, and what the relay must make of them. */
export interface Input {
  readonly what: string;
  readonly bytes: Buffer;
  readonly fate: Fate;
}

export type Fate =
  /** The connection goes on, and this many answers come, one for each question and each envelope. */
  | { readonly is: "goes-on"; readonly standing: Standing; readonly answers: number }
  /** An error frame with this code, then the close status of the table. */
  | { readonly is: "ends"; readonly code: ProblemCode }
  /** The WebSocket layer ends it with a status of its own (RFC 6455 section 7.4.1). */
  | { readonly is: "breaks" };

/** What must become of one WebSocket message on a connection that stands so. */
export function fateOf(message: Uint8Array, on: ConnectionKind, standing: Standing): Fate {
  if (message.length > MAX_MESSAGE_BYTES) return { is: "breaks" };
  if (standing !== "open" && message.length > MAX_UNPROVEN_BYTES)
    return { is: "ends", code: "frame-too-large" };
  let frames: ClientFrame[];
  try {
    frames = decodeFrames(message, { from: "client", on, version: MAX_VERSION });
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    return { is: "ends", code: error.code };
  }
  let at = standing;
  let answers = 0;
  for (const frame of frames) {
    const next = stepOf(frame, at);
    if (next.is !== "goes-on") return next;
    at = next.standing;
    answers += next.answers;
  }
  return { is: "goes-on", standing: at, answers };
}

function stepOf(frame: ClientFrame, at: Standing): Fate {
  const unexpected: Fate = { is: "ends", code: "unexpected-frame" };
  const on = (answers: number, standing: Standing = at): Fate => ({ is: "goes-on", standing, answers });
  switch (frame.frame) {
    case "ping":
      return on(1);
    case "pong":
      return on(0);
    case "hello":
    case "hello-anonymous":
      if (at !== "greeting") return unexpected;
      if (agreeOn({ min: frame.minVersion, max: frame.maxVersion }) === undefined)
        return { is: "ends", code: "version-unsupported" };
      return on(1, frame.frame === "hello" ? "challenged" : "open");
    case "proof": // nobody here signs what was asked
      return at === "challenged" ? { is: "ends", code: "authentication-failed" } : unexpected;
    case "submit":
      return at === "open" ? on(frame.envelopes.length) : unexpected;
    case "submit-group":
      return at === "open" ? on(frame.recipients.reduce((sum, r) => sum + r.devices.length, 0)) : unexpected;
    case "ask-name":
    case "ask-devices":
    case "ask-prekeys":
      return at === "open" ? on(1) : unexpected;
    case "watch": // a notice, and more of them whenever the person comes and goes
    case "unwatch":
    case "signal":
    case "delivered":
      return at === "open" ? on(0) : unexpected;
  }
}

type Kind = "valid" | "mutated" | "cut" | "random" | "forbidden" | "lying" | "text" | "fragmented" | "broken";

/** How often each kind of input comes, in 64. Few of them end a connection at once, so that the others get their turn. */
const SHARES: readonly (readonly [Kind, number])[] = [
  ["valid", 38],
  ["mutated", 7],
  ["fragmented", 13],
  ["cut", 1],
  ["random", 1],
  ["forbidden", 1],
  ["lying", 1],
  ["text", 1],
  ["broken", 1],
];
const KINDS = SHARES.flatMap(([kind, share]) => Array.from({ length: share }, () => kind));

export interface Drawing {
  readonly chance: Chance;
  readonly on: ConnectionKind;
  readonly standing: Standing;
  readonly person: () => Person;
}

/** A new input for a connection that stands so. */
export function drawInput(drawing: Drawing): Input {
  const { chance, on, standing } = drawing;
  const kind = chance.pick(KINDS);
  if (kind === "broken") return { what: "broken", bytes: brokenFrames(chance), fate: { is: "breaks" } };
  if (kind === "text")
    return {
      what: "text",
      bytes: socketFrame(0x80 | OPCODE.text, Buffer.from("héllo")),
      fate: { is: "ends", code: "malformed-frame" },
    };
  const message = messageOf(kind, drawing);
  const bytes = kind === "fragmented" ? fragments(message, chance) : binaryMessage(message);
  return { what: kind, bytes, fate: fateOf(message, on, standing) };
}

function messageOf(kind: Kind, { chance, on, standing, person }: Drawing): Uint8Array {
  const frame = (name: FrameName): Uint8Array => encodeFrames(draw(name, chance, person));
  const valid = (): Uint8Array => frame(chance.pick(sensible(on, standing)));
  switch (kind) {
    case "mutated":
      return mutate(valid(), chance);
    case "cut": {
      const whole = valid();
      return chance.oneIn(2)
        ? whole.subarray(0, chance.below(whole.length))
        : Buffer.concat([whole, chance.bytes(chance.between(1, 5))]);
    }
    case "random":
      return chance.bytes(chance.oneIn(20) ? chance.below(6_000) : chance.below(80));
    case "forbidden":
      return frame(chance.pick(forbiddenFrames(on)));
    case "lying":
      return lie(valid(), chance);
    default:
      return chance.oneIn(4) ? Buffer.concat([valid(), valid(), valid()]) : valid();
  }
}

/** Frames that go on: greetings where they belong, and not too many of them. */
function sensible(on: ConnectionKind, standing: Standing): FrameName[] {
  const greetings = ["hello", "hello-anonymous", "proof"];
  if (standing === "open") return clientFrames(on).filter((name) => !greetings.includes(name));
  return ["ping", "pong", on === "device" ? "hello" : "hello-anonymous"];
}

function mutate(bytes: Uint8Array, chance: Chance): Uint8Array {
  const out = Uint8Array.from(bytes);
  for (let i = chance.between(1, 3); i > 0; i--) {
    const at = chance.oneIn(3) ? chance.below(Math.min(out.length, 8)) : chance.below(out.length);
    out[at] = chance.oneIn(2)
      ? (out[at] as number) ^ (1 << chance.below(8))
      : chance.pick([0, 1, 0x7f, 0x80, 0xff]);
  }
  return out;
}

/** A frame whose length says something else than what follows. */
function lie(bytes: Uint8Array, chance: Chance): Uint8Array {
  const out = Buffer.from(bytes);
  out.writeUIntBE(
    chance.pick([0, out.length, 0xffffff, MAX_FRAME_BYTES, MAX_FRAME_BYTES + 1, chance.below(64)]),
    1,
    3,
  );
  return out;
}

/** One message in several WebSocket frames, with pings between them (RFC 6455 section 5.4). */
function fragments(message: Uint8Array, chance: Chance): Buffer {
  const out: Buffer[] = [];
  let at = 0;
  let opcode: number = OPCODE.binary;
  for (let left = chance.between(1, 8); left > 0; left--) {
    const to = left === 1 ? message.length : Math.min(message.length, at + chance.below(16));
    out.push(socketFrame((left === 1 ? 0x80 : 0) | opcode, message.subarray(at, to)));
    if (left > 1 && chance.oneIn(4)) out.push(socketFrame(0x80 | OPCODE.ping, chance.bytes(4)));
    opcode = OPCODE.continuation;
    at = to;
  }
  return Buffer.concat(out);
}

/** What RFC 6455 forbids. */
function brokenFrames(chance: Chance): Buffer {
  const payload = chance.bytes(chance.below(20));
  const huge = socketFrame(0x82, new Uint8Array(0));
  return chance.pick([
    () => socketFrame(0x82, payload, false), // not masked
    () => socketFrame(0xc2, payload), // RSV1 without an extension
    () => socketFrame(0x80 | chance.pick([3, 4, 5, 6, 7, 0xb, 0xc, 0xf]), payload), // no such opcode
    () => socketFrame(0x80, payload), // continues nothing
    () => Buffer.concat([socketFrame(0x02, payload), socketFrame(0x82, payload)]), // begins within a message
    () => socketFrame(0x09, payload), // a control frame in parts
    () => socketFrame(0x89, new Uint8Array(126)), // a control frame that is too long
    () => socketFrame(0x88, Uint8Array.of(1)), // half a status
    () => socketFrame(0x81, Uint8Array.of(0xff, 0xfe)), // text that is no UTF-8
    () => Buffer.concat([Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]), huge]), // announces 4 GiB
    () =>
      Buffer.concat(
        Array.from({ length: 70 }, (_, i) => socketFrame(i === 0 ? 0x02 : 0x00, Uint8Array.of(0))),
      ),
  ])();
}
