// BLAKE2b (RFC 7693) for what is hashed on the way of every group's envelope: its ids and its payload's name. Node's OpenSSL
// gives no digest but 64 bytes, and arithmetic of 64 bits costs JavaScript twenty times what it costs WebAssembly: the
// compression function is one, made here at the start. Always true: one hash at a time, from beginning to end, in one memory.
import {
  CAPABILITY_MARK_BYTES,
  type DeviceAddress,
  type EnvelopeId,
  type GroupEnvelopeId,
  sixteen,
} from "@lethe/protocol";
import type { CapabilityMark, PayloadId } from "@lethe/queue";

/** As much of the platform's interface as is used; its types come with those of browsers only. */
declare const WebAssembly: {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (
    module: object,
  ) => {
    readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; readonly compress: Compress };
  };
};

/** Takes in the block at `at`, up to whose end `bytes` have been hashed; `last` is 1 for the last one, else 0. */
type Compress = (at: number, bytes: number, last: number) => void;

const IV = [
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n,
] as const;
// Section 2.7.
const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
] as const;
const ROUNDS = 12;
/** Words that one G mixes: columns, then diagonals. */
const MIXED = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

const BLOCK_BYTES = 128;
/** The state lies at 0, the block that is hashed behind it. */
const STATE_BYTES = 64;

// --- the machine code: WebAssembly 1.0, sections 5.4 and 5.5 ---------------------------------------------------------------

const LOCAL = { at: 0, bytes: 1, last: 2, words: 3 } as const;
const OP = {
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  load: 0x29,
  store: 0x37,
  i32: 0x41,
  i64: 0x42,
  minus32: 0x6b,
  add: 0x7c,
  xor: 0x85,
  rotr: 0x8a,
  signed: 0xac,
  unsigned: 0xad,
} as const;
const WORD = 3; // alignment, as a power of two

function signed(value: bigint): number[] {
  const out: number[] = [];
  for (let rest = BigInt.asIntN(64, value); ; ) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    const isLast = (rest === 0n && byte < 0x40) || (rest === -1n && byte >= 0x40);
    out.push(isLast ? byte : byte | 0x80);
    if (isLast) return out;
  }
}

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function word(i: number): number {
  return LOCAL.words + i;
}

/** a += b + m; d = (d ^ a) >>> first; c += d; b = (b ^ c) >>> second: half of G, section 3.1. */
function halfOfG([a, b, c, d]: readonly number[], m: number, first: bigint, second: bigint): number[] {
  const [wa, wb, wc, wd] = [a, b, c, d].map((i) => word(i as number)) as [number, number, number, number];
  const message = [OP.get, LOCAL.at, OP.load, WORD, ...unsigned(m * 8)];
  const turn = (bits: bigint): number[] => [OP.i64, ...signed(bits), OP.rotr];
  return [
    ...[OP.get, wa, OP.get, wb, OP.add, ...message, OP.add, OP.set, wa],
    ...[OP.get, wd, OP.get, wa, OP.xor, ...turn(first), OP.set, wd],
    ...[OP.get, wc, OP.get, wd, OP.add, OP.set, wc],
    ...[OP.get, wb, OP.get, wc, OP.xor, ...turn(second), OP.set, wb],
  ];
}

function compression(): number[] {
  const code: number[] = [];
  const state = (i: number): number[] => [OP.i32, 0, OP.load, WORD, i * 8];
  for (let i = 0; i < 8; i++) {
    code.push(...state(i), OP.set, word(i));
    code.push(OP.i64, ...signed(IV[i] as bigint), OP.set, word(i + 8));
  }
  code.push(OP.get, word(12), OP.get, LOCAL.bytes, OP.unsigned, OP.xor, OP.set, word(12));
  const all = [OP.i32, 0, OP.get, LOCAL.last, OP.minus32, OP.signed];
  code.push(OP.get, word(14), ...all, OP.xor, OP.set, word(14));
  for (let round = 0; round < ROUNDS; round++)
    for (const [i, mixed] of MIXED.entries()) {
      const order = SIGMA[round % 10] as readonly number[];
      code.push(...halfOfG(mixed, order[2 * i] as number, 32n, 24n));
      code.push(...halfOfG(mixed, order[2 * i + 1] as number, 16n, 63n));
    }
  for (let i = 0; i < 8; i++)
    code.push(
      ...[OP.i32, 0, ...state(i), OP.get, word(i), OP.xor, OP.get, word(i + 8), OP.xor],
      ...[OP.store, WORD, i * 8],
    );
  return code;
}

function moduleCode(): Uint8Array {
  const section = (id: number, body: number[]): number[] => [id, ...unsigned(body.length), ...body];
  const name = (text: string): number[] => [text.length, ...Buffer.from(text)];
  const [i32, i64, end] = [0x7f, 0x7e, 0x0b];
  const body = [1, 16, i64, ...compression(), end];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 3, i32, i32, i32, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name("memory"), 2, 0, ...name("compress"), 0, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
}

// --- hashing --------------------------------------------------------------------------------------------------------------

const { memory, compress } = new WebAssembly.Instance(new WebAssembly.Module(moduleCode())).exports;
const bytes = new Uint8Array(memory.buffer);

/** The state before the first block: no key, a digest of so many bytes. */
function firstState(digestBytes: number): Uint8Array {
  const state = Buffer.alloc(STATE_BYTES);
  for (const [i, value] of IV.entries()) state.writeBigUInt64LE(value, i * 8);
  state.writeBigUInt64LE((IV[0] as bigint) ^ BigInt(0x01010000 ^ digestBytes), 0);
  return state;
}

const FIRST_16 = firstState(16);
const FIRST_32 = firstState(32);

/** BLAKE2b-256 of a ciphertext that many envelopes share. */
export function payloadIdOf(ciphertext: Uint8Array): PayloadId {
  bytes.set(FIRST_32, 0);
  const blocks = Math.max(1, Math.ceil(ciphertext.length / BLOCK_BYTES));
  for (let i = 0; i < blocks; i++) {
    const from = i * BLOCK_BYTES;
    const to = Math.min(from + BLOCK_BYTES, ciphertext.length);
    bytes.fill(0, STATE_BYTES, STATE_BYTES + BLOCK_BYTES);
    bytes.set(ciphertext.subarray(from, to), STATE_BYTES);
    compress(STATE_BYTES, to, i === blocks - 1 ? 1 : 0);
  }
  return String.fromCharCode(...bytes.subarray(0, 32)) as PayloadId;
}

/** What is kept of an upload key or a release token: the first bytes of its BLAKE2b-256. */
export function capabilityMarkOf(capability: Uint8Array): CapabilityMark {
  return payloadIdOf(capability).slice(0, CAPABILITY_MARK_BYTES) as string as CapabilityMark;
}

const TUPLE_BYTES = 34;

/** The id of a group's shared ciphertext for one device: BLAKE2b-128(group envelope id 16 | address 18), clause D-GROUP-ID. */
export function groupIdOf(group: GroupEnvelopeId, address: DeviceAddress): EnvelopeId {
  bytes.set(FIRST_16, 0);
  for (let i = 0; i < 16; i++) bytes[STATE_BYTES + i] = group.charCodeAt(i);
  for (let i = 0; i < 18; i++) bytes[STATE_BYTES + 16 + i] = address.charCodeAt(i);
  bytes.fill(0, STATE_BYTES + TUPLE_BYTES, STATE_BYTES + BLOCK_BYTES);
  compress(STATE_BYTES, TUPLE_BYTES, 1);
  return sixteen(bytes, 0) as EnvelopeId;
}
