// Generators of frames, made from the frame table's own codecs: a value of every field, within its limits.
import { FRAMES, type FrameName, type ClientFrame, type RelayFrame } from "@lethe/protocol";
import fc from "fast-check";

type Frame = ClientFrame | RelayFrame;

const bytes = (max: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength: Math.min(max, 300) });
const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((b) => String.fromCharCode(...b));
const u64 = fc.oneof(fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER));
const device = fc.integer({ min: 1, max: 65_535 });

const fixedBytes = (n: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: n, maxLength: n });
const key = fc.option(fixedBytes(16), { nil: undefined });
const prekey = fc.record({ id: fixedBytes(8), bytes: bytes(2_048) });
const ids = fc.array(id, { minLength: 1, maxLength: 20 });
const text = (max: number): fc.Arbitrary<string> =>
  fc.string({ unit: "binary", maxLength: Math.floor(max / 4) });
const devices = fc.array(device, { maxLength: 16 });
const u8 = fc.integer({ min: 0, max: 255 });
const u16 = fc.integer({ min: 0, max: 65_535 });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const sealed = fc.array(fc.record({ device, id, ciphertext: bytes(73_728) }), { minLength: 1, maxLength: 5 });
const request = { request: u32 };

/** A generator of the fields of each frame. A frame without one is a type error. */
const FIELDS: { readonly [N in FrameName]: fc.Arbitrary<Record<string, unknown>> } = {
  hello: fc.record({ minVersion: u8, maxVersion: u8, account: id, device, epoch: u64 }),
  "hello-anonymous": fc.record({ minVersion: u8, maxVersion: u8 }),
  challenge: fc.record({ version: u8, relay: text(255), nonce: fixedBytes(32) }),
  proof: fc.record({ signature: fixedBytes(64) }),
  welcome: fc.record({
    version: u8,
    relay: text(255),
    now: u64,
    maxEnvelopeBytes: u32,
    maxTtlMs: u64,
    pingMs: u32,
  }),
  "epoch-behind": fc.record({ last: u64 }),
  submit: fc.record({ recipient: id, accessKey: key, listVersion: u32, expiry: u64, envelopes: sealed }),
  "submit-group": fc.record({
    groupEnvelope: id,
    expiry: u64,
    ciphertext: bytes(73_728),
    recipients: fc.array(
      fc.record({
        account: id,
        accessKey: key,
        listVersion: u32,
        devices: fc.array(device, { minLength: 1, maxLength: 16 }),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  }),
  accepted: fc.record({ ids }),
  refused: fc.record({ code: u16, retryAfter: u32, ids }),
  "stale-list": fc.record({ account: id, version: u32, missing: devices, extra: devices, ids }),
  signal: fc.record({ recipient: id, accessKey: key, envelopes: sealed }),
  push: fc.record({ id, kind: fc.constantFrom("pairwise", "group", "signal"), ciphertext: bytes(73_728) }),
  delivered: fc.record({ ids }),
  drained: fc.constant({}),
  watch: fc.record({ account: id, accessKey: fixedBytes(16) }),
  unwatch: fc.record({ account: id }),
  notice: fc.record({ account: id, state: fc.constantFrom("denied", "offline", "online"), lastSeen: u64 }),
  "ask-name": fc.record({ ...request, name: text(32) }),
  "ask-devices": fc.record({ ...request, account: id, accessKey: key }),
  "ask-prekeys": fc.record({ ...request, account: id, device, accessKey: key, requestId: fixedBytes(16) }),
  "is-account": fc.record({ ...request, account: id }),
  "has-devices": fc.record({
    ...request,
    version: u32,
    deviceList: bytes(4_096),
    certificates: fc.array(bytes(1_024), { maxLength: 16 }),
  }),
  "has-prekeys": fc.record({
    ...request,
    signed: prekey,
    lastResort: prekey,
    oneTime: fc.option(prekey, { nil: undefined }),
    oneTimeKem: fc.option(prekey, { nil: undefined }),
  }),
  "ask-refused": fc.record({ ...request, code: u16, retryAfter: u32 }),
  ping: fc.record({ token: u32 }),
  pong: fc.record({ token: u32 }),
  goaway: fc.record({ code: u16, retryAfter: u32 }),
  error: fc.record({ code: u16 }),
};

export function frameOf(name: FrameName): fc.Arbitrary<Frame> {
  return FIELDS[name].map((fields) => ({ ...fields, frame: name }) as unknown as Frame);
}

export const anyFrame: fc.Arbitrary<Frame> = fc
  .constantFrom(...(Object.keys(FRAMES) as FrameName[]))
  .chain(frameOf);
