// oxlint-disable-next-line typescript/triple-slash-reference -- a declaration without a module: there is nothing to import
/// <reference path="./libsodium.d.ts" />
// The only importer of libsodium: its raw exports, and one fixed scratch area in its memory for their arguments. Without
// the wrapper, which lacks HKDF, frees secrets unwiped where the scratch area is zeroed after each call, and costs a
// page 16 KB. Always true: between calls the scratch area holds only zeros.
import instantiate from "libsodium";

/** A pointer into the wasm memory. */
export type Pointer = number;

interface Raw {
  /** Replaced when the memory grows: read at each use. */
  readonly HEAPU8: Uint8Array;
  _malloc(length: number): Pointer;
  /** Negative where it failed. */
  _sodium_init(): number;
  _crypto_hash(out: Pointer, m: Pointer, mLow: number, mHigh: number): number;
  _crypto_generichash(
    out: Pointer,
    outLength: number,
    m: Pointer,
    mLow: number,
    mHigh: number,
    key: Pointer,
    keyLength: number,
  ): number;
  _crypto_kdf_hkdf_sha256_extract(
    prk: Pointer,
    salt: Pointer,
    saltLength: number,
    ikm: Pointer,
    ikmLength: number,
  ): number;
  _crypto_kdf_hkdf_sha256_expand(
    out: Pointer,
    length: number,
    info: Pointer,
    infoLength: number,
    prk: Pointer,
  ): number;
  _crypto_kdf_hkdf_sha512_extract(
    prk: Pointer,
    salt: Pointer,
    saltLength: number,
    ikm: Pointer,
    ikmLength: number,
  ): number;
  _crypto_kdf_hkdf_sha512_expand(
    out: Pointer,
    length: number,
    info: Pointer,
    infoLength: number,
    prk: Pointer,
  ): number;
  _crypto_scalarmult_base(out: Pointer, secret: Pointer): number;
  _crypto_scalarmult(out: Pointer, secret: Pointer, publicKey: Pointer): number;
  _crypto_sign_seed_keypair(publicKey: Pointer, secret: Pointer, seed: Pointer): number;
  _crypto_sign_detached(
    out: Pointer,
    outLength: Pointer,
    m: Pointer,
    mLow: number,
    mHigh: number,
    secret: Pointer,
  ): number;
  _crypto_sign_verify_detached(
    signature: Pointer,
    m: Pointer,
    mLow: number,
    mHigh: number,
    publicKey: Pointer,
  ): number;
  _crypto_kem_mlkem768_seed_keypair(publicKey: Pointer, secret: Pointer, seed: Pointer): number;
  _crypto_kem_mlkem768_enc_deterministic(
    ct: Pointer,
    shared: Pointer,
    publicKey: Pointer,
    seed: Pointer,
  ): number;
  _crypto_kem_mlkem768_dec(shared: Pointer, ct: Pointer, secret: Pointer): number;
  _crypto_aead_xchacha20poly1305_ietf_encrypt: Encrypt;
  _crypto_aead_xchacha20poly1305_ietf_decrypt: Decrypt;
  _crypto_aead_chacha20poly1305_ietf_encrypt: Encrypt;
  _crypto_aead_chacha20poly1305_ietf_decrypt: Decrypt;
  _crypto_secretstream_xchacha20poly1305_init_pull(state: Pointer, header: Pointer, key: Pointer): number;
  _crypto_secretstream_xchacha20poly1305_push(
    state: Pointer,
    out: Pointer,
    outLength: Pointer,
    m: Pointer,
    mLow: number,
    mHigh: number,
    ad: Pointer,
    adLow: number,
    adHigh: number,
    tag: number,
  ): number;
  _crypto_secretstream_xchacha20poly1305_pull(
    state: Pointer,
    m: Pointer,
    mLength: Pointer,
    tag: Pointer,
    c: Pointer,
    cLow: number,
    cHigh: number,
    ad: Pointer,
    adLow: number,
    adHigh: number,
  ): number;
}

export type Encrypt = (
  c: Pointer,
  cLength: Pointer,
  m: Pointer,
  mLow: number,
  mHigh: number,
  ad: Pointer,
  adLow: number,
  adHigh: number,
  nsec: Pointer,
  nonce: Pointer,
  key: Pointer,
) => number;
export type Decrypt = (
  m: Pointer,
  mLength: Pointer,
  nsec: Pointer,
  c: Pointer,
  cLow: number,
  cHigh: number,
  ad: Pointer,
  adLow: number,
  adHigh: number,
  nonce: Pointer,
  key: Pointer,
) => number;

/** Holds the largest envelope twice (in and out) with associated data. */
const SCRATCH_BYTES = 262_144;
export const NULL: Pointer = 0;

let raw: Raw | undefined;
let base: Pointer = 0;
let top: Pointer = 0;

/** The raw exports. @throws Error before `ready` has resolved. */
export function lib(): Raw {
  if (raw === undefined) throw new Error("await ready() before using @lethe/crypto");
  return raw;
}

/** Takes `length` bytes of the scratch area, aligned to 16. */
export function room(length: number): Pointer {
  const at = top;
  top = (at + length + 15) & ~15;
  if (top > base + SCRATCH_BYTES) throw new RangeError(); // input over the scratch area
  return at;
}

export function put(bytes: Uint8Array): Pointer {
  const at = room(bytes.length);
  lib().HEAPU8.set(bytes, at);
  return at;
}

/** Puts parts one directly behind the other. */
export function putAll(parts: readonly Uint8Array[], length: number): Pointer {
  const at = room(length);
  const heap = lib().HEAPU8;
  let to = at;
  for (const part of parts) {
    heap.set(part, to);
    to += part.length;
  }
  return at;
}

/** Writes bytes `from` to `from + length` of the parts one after another to `at`; zeros where they have ended. */
export function putRange(at: Pointer, parts: readonly Uint8Array[], from: number, length: number): void {
  const heap = lib().HEAPU8;
  let start = 0;
  for (const part of parts) {
    const [a, b] = [Math.max(from, start), Math.min(from + length, start + part.length)];
    if (a < b) heap.set(part.subarray(a - start, b - start), at + a - from);
    start += part.length;
  }
  if (start < from + length) heap.fill(0, at + Math.max(0, start - from), at + length);
}

export function get(at: Pointer, length: number): Uint8Array {
  return lib().HEAPU8.slice(at, at + length);
}

/** Zeroes what a call has used. Every exported primitive ends with it, also when it throws. */
export function clear(): void {
  lib().HEAPU8.fill(0, base, Math.min(top, base + SCRATCH_BYTES));
  top = base;
}

const NEEDED = [
  "_malloc",
  "_sodium_init",
  "_crypto_hash",
  "_crypto_generichash",
  "_crypto_kdf_hkdf_sha256_extract",
  "_crypto_kdf_hkdf_sha256_expand",
  "_crypto_kdf_hkdf_sha512_extract",
  "_crypto_kdf_hkdf_sha512_expand",
  "_crypto_scalarmult_base",
  "_crypto_scalarmult",
  "_crypto_sign_seed_keypair",
  "_crypto_sign_detached",
  "_crypto_sign_verify_detached",
  "_crypto_kem_mlkem768_seed_keypair",
  "_crypto_kem_mlkem768_enc_deterministic",
  "_crypto_kem_mlkem768_dec",
  "_crypto_aead_xchacha20poly1305_ietf_encrypt",
  "_crypto_aead_xchacha20poly1305_ietf_decrypt",
  "_crypto_aead_chacha20poly1305_ietf_encrypt",
  "_crypto_aead_chacha20poly1305_ietf_decrypt",
  "_crypto_secretstream_xchacha20poly1305_init_pull",
  "_crypto_secretstream_xchacha20poly1305_push",
  "_crypto_secretstream_xchacha20poly1305_pull",
] as const satisfies readonly (keyof Raw)[];

/** 32 bits: libsodium's own source of chance, which nothing here draws from. */
function getRandomValue(): number {
  return globalThis.crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

/** Loads the library. Until then, and after `unload`, `lib` throws. */
export async function load(): Promise<void> {
  const found = (await instantiate({ getRandomValue })) as Raw;
  for (const name of NEEDED)
    if (typeof found[name] !== "function") throw new Error(`libsodium has no ${name}`);
  if (found._sodium_init() < 0) throw new Error(); // libsodium does not start
  base = (found._malloc(SCRATCH_BYTES + 15) + 15) & ~15;
  top = base;
  raw = found;
}

/** Fails closed: nothing works any more. */
export function unload(): void {
  raw = undefined;
}
