// Files as crypto/README.md says them, on other primitives: libsodium's secretstream from HChaCha20, ChaCha20 and Poly1305, and
// the blob, its digest and its tokens above it. Chunks of any tag and content can be made, as a sealer makes them that cheats.
import { createHash } from "node:crypto";
import { poly1305 } from "@noble/ciphers/_poly1305.js";
import { chacha20, hchacha } from "@noble/ciphers/chacha.js";
import { type Bytes, join, L, u64 } from "./bytes.ts";
import { blake2b, hkdfSha512 } from "./primitives.ts";

const CHUNK = 65_536;
const PART_CHUNKS = 32;
const NOTHING = new Uint8Array(0);
export const TAG = { message: 0, push: 1, rekey: 2, final: 3 } as const;

const words = (bytes: Bytes): Uint32Array => new Uint32Array(bytes.slice().buffer);
function littleEndian(length: 4 | 8, value: number): Bytes {
  const out = Buffer.alloc(length);
  out.writeUIntLE(value, 0, 4);
  return new Uint8Array(out);
}

/** draft-irtf-cfrg-xchacha-03, section 2.2. */
function hchacha20(key: Bytes, input: Bytes): Bytes {
  const out = new Uint32Array(8);
  const constants = words(new TextEncoder().encode("expand 32-byte k"));
  hchacha(constants, words(key), words(input), out);
  return new Uint8Array(out.buffer);
}

/** libsodium's crypto_secretstream_xchacha20poly1305; names are those of its documentation. */
export class TwinStream {
  #k: Bytes;
  #inonce: Bytes;
  #counter = 1;

  constructor(key: Bytes, header: Bytes) {
    this.#k = hchacha20(key, header.slice(0, 16));
    this.#inonce = header.slice(16);
  }

  push(message: Bytes, ad: Bytes, tag: number): Bytes {
    const nonce = join(littleEndian(4, this.#counter), this.#inonce);
    const stream = (bytes: Bytes, block: number): Bytes => chacha20(this.#k, nonce, bytes, undefined, block);
    const block = stream(join(Uint8Array.of(tag), new Uint8Array(63)), 1);
    const c = stream(message, 2);
    const padded = join(ad, new Uint8Array((16 - (ad.length % 16)) % 16), block, c);
    const lengths = join(littleEndian(8, ad.length), littleEndian(8, 64 + message.length));
    const oneTime = stream(new Uint8Array(32), 0);
    const mac = poly1305(join(padded, new Uint8Array(message.length % 16), lengths), oneTime);
    this.#inonce = this.#inonce.map((byte, i) => byte ^ (mac[i] as number));
    this.#counter++;
    if ((tag & TAG.rekey) !== 0) this.#rekey();
    return join(block.slice(0, 1), c, mac);
  }

  #rekey(): void {
    const nonce = join(littleEndian(4, this.#counter), this.#inonce);
    const next = chacha20(this.#k, nonce, join(this.#k, this.#inonce));
    [this.#k, this.#inonce, this.#counter] = [next.slice(0, 32), next.slice(32), 1];
  }
}

export interface TwinKey {
  readonly id: Bytes;
  readonly key: Bytes;
}

/** Padmé with integers alone: the bits behind the mantissa's are cleared, upwards. */
export function padded(size: number): number {
  const length = BigInt(Math.max(4_096, 8 + size));
  const exponent = length.toString(2).length - 1;
  const low = BigInt(exponent - exponent.toString(2).length);
  return Number(((length + (1n << low) - 1n) >> low) << low);
}

export const streamOf = ({ id, key }: TwinKey): TwinStream =>
  new TwinStream(key, hkdfSha512(NOTHING, key, join(L("media-header"), id), 24));
export const firstAd = (id: Bytes, size: number): Bytes => join(L("media"), id, u64(padded(size)));

/** The plaintext stream of a file in its chunks. */
export function chunksOf(data: Bytes): Bytes[] {
  const stream = join(u64(data.length), data, new Uint8Array(padded(data.length) - 8 - data.length));
  return Array.from({ length: Math.ceil(stream.length / CHUNK) }, (_, i) =>
    stream.slice(i * CHUNK, (i + 1) * CHUNK),
  );
}

/** What a chunk is, where it is not what the specification says. */
export interface Cheat {
  readonly chunks?: readonly Bytes[];
  readonly tag?: (i: number, last: number) => number;
  /** The AD of the first chunk. */
  readonly ad?: Bytes;
}

/** The blob's sealed chunks. */
export function sealChunks(key: TwinKey, data: Bytes, cheat: Cheat = {}): Bytes[] {
  const stream = streamOf(key);
  const chunks = cheat.chunks ?? chunksOf(data);
  const ad = cheat.ad ?? firstAd(key.id, data.length);
  const tag = cheat.tag ?? ((i, last) => (i === last ? TAG.final : TAG.message));
  return chunks.map((chunk, i) => stream.push(chunk, i === 0 ? ad : NOTHING, tag(i, chunks.length - 1)));
}

/** Chunks as parts: 32 in each but the last. */
export function partsOf(chunks: readonly Bytes[]): Bytes[] {
  const parts: Bytes[] = [];
  for (let i = 0; i < chunks.length; i += PART_CHUNKS) parts.push(join(...chunks.slice(i, i + PART_CHUNKS)));
  return parts;
}

const sha256 = (bytes: Bytes): Bytes => new Uint8Array(createHash("sha256").update(bytes).digest());

export function digestOf(parts: readonly Bytes[]): Bytes {
  return parts.reduce((before, part) => sha256(join(before, sha256(part))), new Uint8Array(32));
}

export const tokenOf = ({ id, key }: TwinKey, address: Bytes): Bytes =>
  hkdfSha512(NOTHING, key, join(L("release"), id, address), 32);
export const markOf = (capability: Bytes): Bytes => blake2b(32, capability).slice(0, 16);
