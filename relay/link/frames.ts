// The frames between two nodes: one table, their encoder and decoder. Always true: decoding is total and canonical, with
// one error type; a frame names sessions, never nodes: whose they are is what the link's two ends have proved.
import {
  accountId,
  bytes,
  type Codec,
  deviceAddress,
  envelopeId,
  fixed,
  fromHex,
  ID_BYTES,
  list,
  MalformedError,
  MAX_ENVELOPE_BYTES,
  MAX_IDS,
  type Of,
  oneOf,
  Reader,
  struct,
  text,
  time,
  toHex,
  u32,
  u64,
  u8,
  type Writer,
} from "@lethe/protocol";
import type { NodeId } from "@lethe/queue";
import type { Answer } from "../delivery/types.ts";
import {
  MAX_ADDRESSES,
  MAX_LINK_ADDRESS_BYTES,
  MAX_LINK_FRAME_BYTES,
  MAX_LINK_MESSAGE_BYTES,
} from "./limits.ts";

/** Which versions of this table a node speaks. A node of version 1 is offered a group's envelopes one by one. */
export const LINK_VERSIONS = { min: 1, max: 2 } as const;

/** Node ids are 16 random bytes, held in hexadecimal. */
export const nodeId: Codec<NodeId> = {
  read: (r) => toHex(r.binary(ID_BYTES)) as NodeId,
  write(w, v) {
    if (v.length !== ID_BYTES * 2) throw new RangeError("node id is 16 bytes");
    w.binary(fromHex(v, ID_BYTES));
  },
};

const nonce = fixed(32);
const mac = fixed(32);
const addresses = list(deviceAddress, MAX_ADDRESSES, 1);

const envelope = struct({
  id: envelopeId,
  kind: oneOf({ pairwise: 1, group: 2 }),
  expiry: time,
  ciphertext: bytes(MAX_ENVELOPE_BYTES),
});

const hows = oneOf<Answer>({
  delivered: 1,
  stored: 2,
  "not-owner": 3,
  "mailbox-full": 4,
  expired: 5,
  "storage-full": 6,
  "storage-failed": 7,
  "no-device": 8,
});

const flag: Codec<boolean> = {
  read(r) {
    const value = r.u8();
    if (value > 1) throw new MalformedError("neither yes nor no");
    return value === 1;
  },
  write: (w, v) => w.u8(v ? 1 : 0),
};

/** What of an account is not as it was: drop what is held of it; end the watches that its old key had opened; be quiet. */
export type AccountChange = "record" | "access-key" | "shows-last-seen" | "hides-last-seen";

/** `opening`: before the link stands. `standing`: only afterwards. */
type When = "opening" | "standing";

interface LinkRow {
  readonly opcode: number;
  readonly when: When;
  readonly since: number;
  readonly body: Codec<never> | Codec<unknown>;
}

const moved = struct({ address: deviceAddress, online: flag });

export const LINK_FRAMES = {
  /** The caller: which versions it speaks, who it is, whom it means to reach, where it says that others reach it. */
  hello: {
    opcode: 0x01,
    when: "opening",
    since: 0,
    body: struct({
      min: u8,
      max: u8,
      from: nodeId,
      to: nodeId,
      address: text(MAX_LINK_ADDRESS_BYTES),
      nonce,
    }),
  },
  challenge: { opcode: 0x02, when: "opening", since: 0, body: struct({ version: u8, nonce }) },
  /** The caller's, then the listener's. */
  proof: { opcode: 0x03, when: "opening", since: 0, body: struct({ mac }) },
  /** The caller keeps this link, and no other to the same node. */
  ready: { opcode: 0x04, when: "opening", since: 0, body: struct({}) },
  /** The sender's wall clock, and how many devices have their sessions there. */
  heartbeat: { opcode: 0x08, when: "standing", since: 1, body: struct({ clock: time, sessions: u32 }) },
  /** To a session of the receiver's. */
  offer: {
    opcode: 0x10,
    when: "standing",
    since: 1,
    body: struct({ address: deviceAddress, session: u64, envelopes: list(envelope, MAX_IDS, 1) }),
  },
  /** Of a session of the sender's. */
  answer: {
    opcode: 0x11,
    when: "standing",
    since: 1,
    body: struct({ address: deviceAddress, session: u64, how: hows, ids: list(envelopeId, MAX_IDS, 1) }),
  },
  /** To a session of the receiver's: the device is connected to the sender now. */
  displace: {
    opcode: 0x12,
    when: "standing",
    since: 1,
    body: struct({ address: deviceAddress, session: u64 }),
  },
  signal: {
    opcode: 0x13,
    when: "standing",
    since: 1,
    body: struct({ address: deviceAddress, id: envelopeId, ciphertext: bytes(MAX_ENVELOPE_BYTES) }),
  },
  /** One ciphertext of a group, for sessions of the receiver's. */
  "offer-group": {
    opcode: 0x14,
    when: "standing",
    since: 2,
    body: struct({
      expiry: time,
      ciphertext: bytes(MAX_ENVELOPE_BYTES),
      to: list(struct({ address: deviceAddress, session: u64, id: envelopeId }), MAX_IDS, 1),
    }),
  },
  changed: {
    opcode: 0x20,
    when: "standing",
    since: 1,
    body: struct({
      account: accountId,
      what: oneOf<AccountChange>({
        record: 1,
        "access-key": 2,
        "shows-last-seen": 3,
        "hides-last-seen": 4,
      }),
    }),
  },
  /** Devices whose mailboxes are no more: their sessions close. */
  retired: { opcode: 0x21, when: "standing", since: 1, body: struct({ addresses }) },
  /** Devices that came to or went from the sender. */
  presence: {
    opcode: 0x22,
    when: "standing",
    since: 1,
    body: struct({ moved: list(moved, MAX_ADDRESSES, 1) }),
  },
  /** All devices that are connected to the sender, in parts, when the link stands. */
  present: {
    opcode: 0x23,
    when: "standing",
    since: 1,
    body: struct({ last: flag, addresses: list(deviceAddress, MAX_ADDRESSES) }),
  },
} as const satisfies Record<string, LinkRow>;

export type LinkFrameName = keyof typeof LINK_FRAMES;

export type WireFrameOf<N extends LinkFrameName> = N extends LinkFrameName
  ? { readonly frame: N } & Readonly<Of<(typeof LINK_FRAMES)[N]["body"]>>
  : never;

export type WireFrame = WireFrameOf<LinkFrameName>;

/** Why a link ended, or did not come to stand. Each with the close status that the other side sees. */
export const LINK_ENDS = {
  malformed: 4400,
  "too-large": 4401,
  unexpected: 4402,
  "version-unsupported": 4403,
  "not-proved": 4404,
  "wrong-node": 4405,
  "not-alive": 4406,
  "too-many": 4407,
  late: 4408,
  /** Another link to the same node stands, or is about to. */
  superseded: 4409,
  silent: 4410,
  slow: 4411,
  leaving: 4412,
  /** Nobody answered at its address. */
  unreached: 4413,
  /** The connection ended without a word. */
  broken: 4414,
} as const;
export type LinkEnd = keyof typeof LINK_ENDS;

/** Bytes that no node sends. The message names the field, never its content. */
export class LinkError extends Error {
  override readonly name = "LinkError";
  readonly code: LinkEnd;

  constructor(code: LinkEnd, detail: string) {
    super(detail);
    this.code = code;
  }
}

const byOpcode: ({ name: LinkFrameName; row: LinkRow } | undefined)[] = [];
for (const name of Object.keys(LINK_FRAMES) as LinkFrameName[])
  byOpcode[LINK_FRAMES[name].opcode] = { name, row: LINK_FRAMES[name] };

/** @param version agreed on; 0 before that. */
export interface Awaited {
  readonly when: When;
  readonly version: number;
}

/**
 * Decodes every frame of one message. Ciphertexts are views into it.
 * @throws LinkError: the whole message is refused, with nothing of it handed on.
 */
export function decodeLinkFrames(message: Uint8Array, awaited: Awaited): WireFrame[] {
  if (message.length > MAX_LINK_MESSAGE_BYTES) throw new LinkError("too-large", "message over its limit");
  if (message.length === 0) throw new LinkError("malformed", "empty message");
  const reader = new Reader(message);
  const out: WireFrame[] = [];
  while (reader.remaining > 0) out.push(readFrame(reader, awaited));
  return out;
}

function readFrame(reader: Reader, { when, version }: Awaited): WireFrame {
  try {
    const found = byOpcode[reader.u8()];
    if (found === undefined || found.row.since > version)
      throw new LinkError(when === "opening" ? "unexpected" : "malformed", "opcode is not in the table");
    const { name, row } = found;
    if (row.when !== when) throw new LinkError("unexpected", `${name} is ${row.when}`);
    const length = reader.u24();
    if (length > MAX_LINK_FRAME_BYTES) throw new LinkError("too-large", `${name} over the frame limit`);
    const end = reader.narrow(length);
    const frame = row.body.read(reader) as Record<string, unknown>;
    reader.end();
    reader.widen(end);
    frame["frame"] = name;
    return frame as unknown as WireFrame;
  } catch (error) {
    if (error instanceof MalformedError) throw new LinkError("malformed", error.message);
    throw error;
  }
}

/** Writes one frame behind what the writer holds. @throws RangeError if a field is over its limit. */
export function writeLinkFrame(writer: Writer, frame: WireFrame): void {
  const row: LinkRow = LINK_FRAMES[frame.frame];
  writer.u8(row.opcode);
  const hold = writer.holdU24();
  const start = writer.length;
  (row.body as Codec<unknown>).write(writer, frame);
  const length = writer.length - start;
  if (length > MAX_LINK_FRAME_BYTES) throw new RangeError("frame over its limit");
  writer.setU24(hold, length);
}

/** What both ends' proofs are made of: everything that was said, and who says it. */
export const transcript = struct({
  label: text(32),
  role: oneOf({ caller: 1, listener: 2 }),
  version: u8,
  min: u8,
  max: u8,
  caller: nodeId,
  listener: nodeId,
  callerAddress: text(MAX_LINK_ADDRESS_BYTES),
  listenerAddress: text(MAX_LINK_ADDRESS_BYTES),
  callerNonce: nonce,
  listenerNonce: nonce,
});
