// One example of each frame and signed tuple with its bytes. The examples are fixed: what they encode to is golden.
import {
  type AccountId,
  addressOf,
  type ClientFrame,
  type Codec,
  type DeviceNumber,
  encode,
  encodeFrames,
  type EnvelopeId,
  type GroupEnvelopeId,
  groupIdTuple,
  proofTuple,
  type RelayFrame,
  requestTuple,
  shardOf,
  type Time,
} from "@lethe/protocol";

const run = (from: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (from + i) & 0xff);
const binary = <T extends string>(from: number, length: number): T =>
  String.fromCharCode(...run(from, length)) as T;

const account = binary<AccountId>(0x10, 16);
const id = binary<EnvelopeId>(0x00, 16);
const id2 = binary<EnvelopeId>(0x80, 16);
const group = binary<GroupEnvelopeId>(0x40, 16);
const one = 1 as DeviceNumber;
const two = 2 as DeviceNumber;
const at = 1_767_225_600_000 as Time;
const ciphertext = Uint8Array.of(0xa1, 0xb2, 0xc3);
const accessKey = run(0xe0, 16);
const prekey = { id: run(0x70, 8), bytes: Uint8Array.of(1, 2, 3, 4) };
const envelopes = [
  { device: one, id, ciphertext },
  { device: two, id: id2, ciphertext },
];

export const EXAMPLES: readonly (ClientFrame | RelayFrame)[] = [
  { frame: "hello", minVersion: 1, maxVersion: 3, account, device: one, epoch: 7 },
  { frame: "hello-anonymous", minVersion: 1, maxVersion: 1 },
  { frame: "challenge", version: 1, relay: "lethe.example", nonce: run(0x20, 32) },
  { frame: "proof", signature: run(0x00, 64) },
  {
    frame: "welcome",
    version: 1,
    relay: "lethe.example",
    now: at,
    maxEnvelopeBytes: 73_728,
    maxTtlMs: 2_592_000_000,
    pingMs: 30_000,
  },
  { frame: "epoch-behind", last: Number.MAX_SAFE_INTEGER },
  { frame: "submit", recipient: account, accessKey, listVersion: 3, expiry: at, envelopes },
  {
    frame: "submit-group",
    groupEnvelope: group,
    expiry: at,
    ciphertext,
    recipients: [{ account, accessKey, listVersion: 1, devices: [one, two] }],
  },
  { frame: "accepted", ids: [id, id2] },
  { frame: "refused", code: 24, retryAfter: 30_000, ids: [id] },
  { frame: "stale-list", account, version: 4, missing: [two], extra: [], ids: [id] },
  { frame: "signal", recipient: account, accessKey: undefined, envelopes: [{ device: one, id, ciphertext }] },
  { frame: "push", id, kind: "pairwise", ciphertext },
  { frame: "delivered", ids: [id] },
  { frame: "drained" },
  { frame: "watch", account, accessKey },
  { frame: "unwatch", account },
  { frame: "notice", account, state: "offline", lastSeen: at },
  { frame: "ask-name", request: 1, name: "ben" },
  { frame: "ask-devices", request: 2, account, accessKey: undefined },
  { frame: "ask-prekeys", request: 3, account, device: one, accessKey, requestId: run(0x50, 16) },
  { frame: "is-account", request: 1, account },
  { frame: "has-devices", request: 2, version: 3, deviceList: ciphertext, certificates: [ciphertext] },
  {
    frame: "has-prekeys",
    request: 3,
    signed: prekey,
    lastResort: prekey,
    oneTime: prekey,
    oneTimeKem: undefined,
  },
  { frame: "ask-refused", request: 4, code: 21, retryAfter: 0 },
  { frame: "ping", token: 1 },
  { frame: "pong", token: 1 },
  { frame: "goaway", code: 14, retryAfter: 1_000 },
  { frame: "error", code: 1 },
];

const address = addressOf(account, two);
const TUPLES: Readonly<Record<string, Uint8Array>> = {
  proof: encode(proofTuple, { relay: "lethe.example", nonce: run(0x20, 32), address, epoch: 7, version: 1 }),
  request: encode(requestTuple, {
    relay: "lethe.example",
    method: "PUT",
    path: "/v1/prekeys",
    account,
    device: one,
    time: at,
    nonce: run(0x60, 16),
    bodyHash: run(0x00, 64),
  }),
  "group-id": encode(groupIdTuple, { groupEnvelope: group, address }),
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export interface Golden {
  readonly frames: readonly { readonly frame: string; readonly hex: string }[];
  readonly tuples: readonly { readonly tuple: string; readonly hex: string }[];
  readonly shards: readonly { readonly address: string; readonly shard: number }[];
}

export function goldenVectors(): Golden {
  return {
    frames: EXAMPLES.map((frame) => ({ frame: frame.frame, hex: hex(encodeFrames(frame)) })),
    tuples: Object.entries(TUPLES).map(([tuple, bytes]) => ({ tuple, hex: hex(bytes) })),
    shards: [0x00, 0x13, 0x85, 0xf7].flatMap((first) => {
      const at = [1, 65_535].map((device) => addressOf(binary<AccountId>(first, 16), device as DeviceNumber));
      return at.map((one) => ({ address: Buffer.from(one, "latin1").toString("hex"), shard: shardOf(one) }));
    }),
  };
}

export type { Codec };
