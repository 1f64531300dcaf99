// The frame table: everything that may stand on a socket between client and relay. Types, encoder, decoder, the fuzz
// generators and the specification's table come from it; which side sends a frame is in its type.
import {
  bytes,
  type Codec,
  fixed,
  list,
  MalformedError,
  type Of,
  oneOf,
  optional,
  Reader,
  struct,
  text,
  u8,
  u16,
  u32,
  u64,
  Writer,
} from "./codec.ts";
import {
  accountId,
  deviceAddress,
  deviceNumber,
  type EnvelopeId,
  envelopeId,
  groupEnvelopeId,
  time,
} from "./ids.ts";
import {
  MAX_CERTIFICATE_BYTES,
  MAX_DEVICE_LIST_BYTES,
  MAX_DEVICES,
  MAX_ENVELOPE_BYTES,
  MAX_FRAME_BYTES,
  MAX_GROUP_RECIPIENTS,
  MAX_IDS,
  MAX_MESSAGE_BYTES,
  MAX_PREKEY_BYTES,
  MAX_RELAY_NAME_BYTES,
  MAX_USER_NAME_BYTES,
} from "./limits.ts";

/** Who sends a frame. */
export type Side = "client" | "relay";
/** What a connection is: a device's own, or one that says nothing of who is behind it. */
export type ConnectionKind = "device" | "anonymous";

interface FrameRow {
  readonly opcode: number;
  readonly from: Side | "both";
  readonly on: ConnectionKind | "both";
  /** The protocol version that brought the frame. It is neither sent nor read below that. */
  readonly since: number;
  readonly body: Codec<unknown>;
}

const accessKey = fixed(16);
const ciphertext = bytes(MAX_ENVELOPE_BYTES);
const ids = list(envelopeId, MAX_IDS, 1);
const optionalAccessKey = optional(accessKey);
/** One envelope of a submit. */
export const sealed = struct(
  { device: deviceNumber, id: envelopeId, ciphertext },
  {
    read: (r) => ({ device: deviceNumber.read(r), id: envelopeId.read(r), ciphertext: ciphertext.read(r) }),
    write(w, v) {
      deviceNumber.write(w, v.device);
      envelopeId.write(w, v.id);
      ciphertext.write(w, v.ciphertext);
    },
  },
);
const sealedForAll = list(sealed, MAX_DEVICES, 1);
const kindOfPush = oneOf({ pairwise: 0, group: 1, signal: 2 });

/** A prekey as the relay keeps it: an id and bytes that only clients understand. */
export const prekey = struct({ id: fixed(8), bytes: bytes(MAX_PREKEY_BYTES) });

export const FRAMES = {
  hello: {
    opcode: 0x01,
    from: "client",
    on: "device",
    since: 1,
    body: struct({ minVersion: u8, maxVersion: u8, account: accountId, device: deviceNumber, epoch: u64 }),
  },
  "hello-anonymous": {
    opcode: 0x02,
    from: "client",
    on: "anonymous",
    since: 1,
    body: struct({ minVersion: u8, maxVersion: u8 }),
  },
  challenge: {
    opcode: 0x03,
    from: "relay",
    on: "device",
    since: 1,
    body: struct({ version: u8, relay: text(MAX_RELAY_NAME_BYTES), nonce: fixed(32) }),
  },
  proof: { opcode: 0x04, from: "client", on: "device", since: 1, body: struct({ signature: fixed(64) }) },
  welcome: {
    opcode: 0x05,
    from: "relay",
    on: "both",
    since: 1,
    body: struct({
      version: u8,
      relay: text(MAX_RELAY_NAME_BYTES),
      now: time,
      maxEnvelopeBytes: u32,
      maxTtlMs: u64,
      pingMs: u32,
    }),
  },
  "epoch-behind": { opcode: 0x06, from: "relay", on: "device", since: 1, body: struct({ last: u64 }) },
  submit: {
    opcode: 0x10,
    from: "client",
    on: "both",
    since: 1,
    body: struct(
      {
        recipient: accountId,
        accessKey: optionalAccessKey,
        listVersion: u32,
        expiry: time,
        envelopes: sealedForAll,
      },
      {
        read: (r) => ({
          recipient: accountId.read(r),
          accessKey: optionalAccessKey.read(r),
          listVersion: r.u32(),
          expiry: time.read(r),
          envelopes: sealedForAll.read(r),
        }),
        write(w, v) {
          accountId.write(w, v.recipient);
          optionalAccessKey.write(w, v.accessKey);
          w.u32(v.listVersion);
          time.write(w, v.expiry);
          sealedForAll.write(w, v.envelopes);
        },
      },
    ),
  },
  "submit-group": {
    opcode: 0x11,
    from: "client",
    on: "both",
    since: 1,
    body: struct({
      groupEnvelope: groupEnvelopeId,
      expiry: time,
      ciphertext,
      recipients: list(
        struct({
          account: accountId,
          accessKey: optional(accessKey),
          listVersion: u32,
          devices: list(deviceNumber, MAX_DEVICES, 1),
        }),
        MAX_GROUP_RECIPIENTS,
        1,
      ),
    }),
  },
  accepted: { opcode: 0x12, from: "relay", on: "both", since: 1, body: struct({ ids }) },
  refused: {
    opcode: 0x13,
    from: "relay",
    on: "both",
    since: 1,
    body: struct({ code: u16, retryAfter: u32, ids }),
  },
  "stale-list": {
    opcode: 0x14,
    from: "relay",
    on: "both",
    since: 1,
    body: struct({
      account: accountId,
      version: u32,
      missing: list(deviceNumber, MAX_DEVICES),
      extra: list(deviceNumber, MAX_DEVICES),
      ids,
    }),
  },
  signal: {
    opcode: 0x15,
    from: "client",
    on: "both",
    since: 1,
    body: struct({
      recipient: accountId,
      accessKey: optional(accessKey),
      envelopes: list(sealed, MAX_DEVICES, 1),
    }),
  },
  push: {
    opcode: 0x20,
    from: "relay",
    on: "device",
    since: 1,
    body: struct(
      { id: envelopeId, kind: kindOfPush, ciphertext },
      {
        read: (r) => ({ id: envelopeId.read(r), kind: kindOfPush.read(r), ciphertext: ciphertext.read(r) }),
        write(w, v) {
          envelopeId.write(w, v.id);
          kindOfPush.write(w, v.kind);
          ciphertext.write(w, v.ciphertext);
        },
      },
    ),
  },
  delivered: { opcode: 0x21, from: "client", on: "device", since: 1, body: struct({ ids }) },
  drained: { opcode: 0x22, from: "relay", on: "device", since: 1, body: struct({}) },
  watch: {
    opcode: 0x30,
    from: "client",
    on: "anonymous",
    since: 1,
    body: struct({ account: accountId, accessKey }),
  },
  unwatch: { opcode: 0x31, from: "client", on: "anonymous", since: 1, body: struct({ account: accountId }) },
  notice: {
    opcode: 0x32,
    from: "relay",
    on: "anonymous",
    since: 1,
    body: struct({
      account: accountId,
      state: oneOf({ denied: 0, offline: 1, online: 2 }),
      /** Minute of the last disconnection, 0 where it is not told. */
      lastSeen: time,
    }),
  },
  "ask-name": {
    opcode: 0x40,
    from: "client",
    on: "device",
    since: 1,
    body: struct({ request: u32, name: text(MAX_USER_NAME_BYTES) }),
  },
  "ask-devices": {
    opcode: 0x41,
    from: "client",
    on: "both",
    since: 1,
    body: struct({ request: u32, account: accountId, accessKey: optional(accessKey) }),
  },
  "ask-prekeys": {
    opcode: 0x42,
    from: "client",
    on: "both",
    since: 1,
    body: struct({
      request: u32,
      account: accountId,
      device: deviceNumber,
      accessKey: optional(accessKey),
      requestId: fixed(16),
    }),
  },
  "is-account": {
    opcode: 0x48,
    from: "relay",
    on: "device",
    since: 1,
    body: struct({ request: u32, account: accountId }),
  },
  "has-devices": {
    opcode: 0x49,
    from: "relay",
    on: "both",
    since: 1,
    body: struct({
      request: u32,
      version: u32,
      deviceList: bytes(MAX_DEVICE_LIST_BYTES),
      certificates: list(bytes(MAX_CERTIFICATE_BYTES), MAX_DEVICES),
    }),
  },
  "has-prekeys": {
    opcode: 0x4a,
    from: "relay",
    on: "both",
    since: 1,
    body: struct({
      request: u32,
      signed: prekey,
      lastResort: prekey,
      oneTime: optional(prekey),
      oneTimeKem: optional(prekey),
    }),
  },
  "ask-refused": {
    opcode: 0x4b,
    from: "relay",
    on: "both",
    since: 1,
    body: struct({ request: u32, code: u16, retryAfter: u32 }),
  },
  ping: { opcode: 0x50, from: "both", on: "both", since: 1, body: struct({ token: u32 }) },
  pong: { opcode: 0x51, from: "both", on: "both", since: 1, body: struct({ token: u32 }) },
  goaway: {
    opcode: 0x52,
    from: "relay",
    on: "both",
    since: 1,
    body: struct({ code: u16, retryAfter: u32 }),
  },
  error: { opcode: 0x53, from: "relay", on: "both", since: 1, body: struct({ code: u16 }) },
} as const satisfies Record<string, FrameRow>;

export type FrameName = keyof typeof FRAMES;

/** One frame: its name and its fields. */
export type FrameOf<N extends FrameName> = N extends FrameName
  ? { readonly frame: N } & Readonly<Of<(typeof FRAMES)[N]["body"]>>
  : never;

type NamesFrom<S extends Side> = {
  [N in FrameName]: (typeof FRAMES)[N]["from"] extends S | "both" ? N : never;
}[FrameName];

/** Every frame that a client may send. */
export type ClientFrame = FrameOf<NamesFrom<"client">>;
/** Every frame that the relay may send. */
export type RelayFrame = FrameOf<NamesFrom<"relay">>;

/** A frame that cannot be taken, with the code that the connection ends with. */
export class FrameError extends Error {
  override readonly name = "FrameError";
  readonly code: "malformed-frame" | "unknown-frame" | "unexpected-frame" | "frame-too-large";

  constructor(code: FrameError["code"], detail: string) {
    super(detail);
    this.code = code;
  }
}

/** Opcode and length: what stands before every body. */
export const FRAME_HEADER_BYTES = 4;

const byOpcode: ({ name: FrameName; row: FrameRow } | undefined)[] = [];
for (const name of Object.keys(FRAMES) as FrameName[])
  byOpcode[FRAMES[name].opcode] = { name, row: FRAMES[name] };

/** What a decoder takes: frames of one side, on one kind of connection, of one agreed version. */
export interface Expecting {
  readonly from: Side;
  readonly on: ConnectionKind;
  readonly version: number;
}

/**
 * Decodes every frame of one WebSocket message. Ciphertexts are views into `message`.
 * @throws FrameError: the whole message is refused, with nothing of it handed on.
 */
export function decodeFrames(message: Uint8Array, expecting: Expecting & { from: "client" }): ClientFrame[];
export function decodeFrames(message: Uint8Array, expecting: Expecting & { from: "relay" }): RelayFrame[];
export function decodeFrames(message: Uint8Array, expecting: Expecting): (ClientFrame | RelayFrame)[] {
  if (message.length > MAX_MESSAGE_BYTES) throw new FrameError("frame-too-large", "message over its limit");
  const reader = new Reader(message);
  const out: (ClientFrame | RelayFrame)[] = [];
  if (message.length === 0) throw new FrameError("malformed-frame", "empty message");
  while (reader.remaining > 0) out.push(readFrame(reader, expecting));
  return out;
}

function readFrame(reader: Reader, expecting: Expecting): ClientFrame | RelayFrame {
  try {
    const found = byOpcode[reader.u8()];
    if (found === undefined || found.row.since > expecting.version)
      throw new FrameError("unknown-frame", "opcode is not in the table");
    const { name, row } = found;
    if (row.from !== "both" && row.from !== expecting.from)
      throw new FrameError("unexpected-frame", `${name} from the wrong side`);
    if (row.on !== "both" && row.on !== expecting.on)
      throw new FrameError("unexpected-frame", `${name} on the wrong kind of connection`);
    const length = reader.u24();
    if (length > MAX_FRAME_BYTES) throw new FrameError("frame-too-large", `${name} over the frame limit`);
    const end = reader.narrow(length);
    const frame = row.body.read(reader) as Record<string, unknown>;
    reader.end();
    reader.widen(end);
    frame["frame"] = name;
    return frame as unknown as ClientFrame | RelayFrame;
  } catch (error) {
    if (error instanceof MalformedError) throw new FrameError("malformed-frame", error.message);
    throw error;
  }
}

/** Writes one frame behind what the writer holds. @throws RangeError if a field is over its limit. */
export function writeFrame(writer: Writer, frame: ClientFrame | RelayFrame): void {
  const row: FrameRow = FRAMES[frame.frame];
  writer.u8(row.opcode);
  const hold = writer.holdU24();
  const start = writer.length;
  row.body.write(writer, frame);
  const length = writer.length - start;
  if (length > MAX_FRAME_BYTES) throw new RangeError("frame over its limit");
  writer.setU24(hold, length);
}

const shared = new Writer(4_096);

/** One WebSocket message of the frames given. @throws RangeError if a field is over its limit. */
export function encodeFrames(...frames: (ClientFrame | RelayFrame)[]): Uint8Array {
  try {
    for (const frame of frames) writeFrame(shared, frame);
    return shared.take();
  } catch (error) {
    shared.clear();
    throw error;
  }
}

/**
 * What the device signs for `proof`, after the label of device signatures: it binds the proof to this relay, this
 * nonce, this device and this connection epoch (clause A-PROOF).
 */
export const proofTuple = struct({
  relay: text(MAX_RELAY_NAME_BYTES),
  nonce: fixed(32),
  address: deviceAddress,
  epoch: u64,
  version: u8,
});

/** What the id of a group envelope for one device is the BLAKE2b-128 of (clause D-GROUP-ID). */
export const groupIdTuple = struct({ groupEnvelope: groupEnvelopeId, address: deviceAddress });

/** The wire's own view of an envelope that somebody submits. */
export interface SealedFor {
  readonly device: number;
  readonly id: EnvelopeId;
  readonly ciphertext: Uint8Array;
}
