// The primitives, over libsodium's raw exports. Bytes in, bytes out; a wrong length is a RangeError, what an attacker can
// cause is a value. Every function ends by zeroing what it used of the scratch area, also when it throws.
import { clear, type Decrypt, type Encrypt, get, lib, NULL, put, putAll, room } from "./sodium.ts";

export const HASH_BYTES = 64;
export const X25519_BYTES = 32;
export const ED25519_PUBLIC_BYTES = 32;
export const SIGNATURE_BYTES = 64;
export const KEM_PUBLIC_BYTES = 1_184;
export const KEM_SEED_BYTES = 64;
export const KEM_CIPHERTEXT_BYTES = 1_088;
export const AEAD_TAG_BYTES = 16;
const KEM_SECRET_BYTES = 2_400;
const ED25519_SECRET_BYTES = 64;

function lengthOf(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}

function exactly(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new RangeError(`${length} bytes expected`);
  return bytes;
}

function succeeded(result: number): void {
  if (result !== 0) throw new Error(); // libsodium refused a call that cannot fail
}

/** SHA-512 (FIPS 180-4) of the parts one after another. */
export function sha512(...parts: Uint8Array[]): Uint8Array {
  try {
    const length = lengthOf(parts);
    const out = room(HASH_BYTES);
    succeeded(lib()._crypto_hash(out, putAll(parts, length), length, 0));
    return get(out, HASH_BYTES);
  } finally {
    clear();
  }
}

/** BLAKE2b (RFC 7693), unkeyed, 16 to 64 bytes, of the parts one after another. */
export function blake2b(length: number, ...parts: Uint8Array[]): Uint8Array {
  try {
    const size = lengthOf(parts);
    const out = room(length);
    succeeded(lib()._crypto_generichash(out, length, putAll(parts, size), size, 0, NULL, 0));
    const hash = get(out, length);
    // libsodium leaves the result on its stack, and a store's keys are such results: that of nothing goes over it.
    succeeded(lib()._crypto_generichash(out, length, NULL, 0, 0, NULL, 0));
    return hash;
  } finally {
    clear();
  }
}

/** HMAC-SHA-512 (RFC 2104) of the parts: HKDF-Extract is HMAC with the salt as key (RFC 5869 section 2.2). */
export function hmacSha512(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  try {
    const length = lengthOf(parts);
    const out = room(64);
    succeeded(
      lib()._crypto_kdf_hkdf_sha512_extract(out, put(key), key.length, putAll(parts, length), length),
    );
    return get(out, 64);
  } finally {
    clear();
  }
}

/** HMAC-SHA-256 of the parts. */
export function hmacSha256(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  try {
    const length = lengthOf(parts);
    const out = room(32);
    succeeded(
      lib()._crypto_kdf_hkdf_sha256_extract(out, put(key), key.length, putAll(parts, length), length),
    );
    return get(out, 32);
  } finally {
    clear();
  }
}

/** HKDF-Expand with SHA-256 (RFC 5869 section 2.3). `prk` is 32 bytes. */
export function hkdfSha256Expand(prk: Uint8Array, info: readonly Uint8Array[], length: number): Uint8Array {
  try {
    const infoLength = lengthOf(info);
    const out = room(length);
    const at = putAll(info, infoLength);
    succeeded(lib()._crypto_kdf_hkdf_sha256_expand(out, length, at, infoLength, put(exactly(prk, 32))));
    return get(out, length);
  } finally {
    clear();
  }
}

/** What HKDF-SHA-512 is asked for. */
export interface Derivation {
  readonly salt: Uint8Array;
  /** Input key material, in parts. */
  readonly ikm: readonly Uint8Array[];
  readonly info: readonly Uint8Array[];
  readonly length: number;
}

/** HKDF-SHA-512 (RFC 5869), extract and expand. */
export function hkdfSha512({ salt, ikm, info, length }: Derivation): Uint8Array {
  try {
    const raw = lib();
    const prk = room(64);
    const ikmLength = lengthOf(ikm);
    succeeded(
      raw._crypto_kdf_hkdf_sha512_extract(prk, put(salt), salt.length, putAll(ikm, ikmLength), ikmLength),
    );
    const infoLength = lengthOf(info);
    const out = room(length);
    succeeded(raw._crypto_kdf_hkdf_sha512_expand(out, length, putAll(info, infoLength), infoLength, prk));
    return get(out, length);
  } finally {
    clear();
  }
}

/** X25519 with the base point (RFC 7748): the public key of `secret`. */
export function x25519Base(secret: Uint8Array): Uint8Array {
  try {
    const out = room(X25519_BYTES);
    succeeded(lib()._crypto_scalarmult_base(out, put(exactly(secret, X25519_BYTES))));
    return get(out, X25519_BYTES);
  } finally {
    clear();
  }
}

/** X25519 (RFC 7748 section 6.1); undefined where the result is all zero. */
export function x25519(secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  try {
    const out = room(X25519_BYTES);
    const scalar = put(exactly(secret, X25519_BYTES));
    const failed = lib()._crypto_scalarmult(out, scalar, put(exactly(publicKey, X25519_BYTES)));
    return failed === 0 ? get(out, X25519_BYTES) : undefined;
  } finally {
    clear();
  }
}

/** The Ed25519 public key of a 32-byte seed (RFC 8032 section 5.1.5). */
export function ed25519Public(seed: Uint8Array): Uint8Array {
  try {
    const publicKey = room(ED25519_PUBLIC_BYTES);
    const secret = room(ED25519_SECRET_BYTES);
    succeeded(lib()._crypto_sign_seed_keypair(publicKey, secret, put(exactly(seed, 32))));
    return get(publicKey, ED25519_PUBLIC_BYTES);
  } finally {
    clear();
  }
}

/** An Ed25519 signature (RFC 8032 section 5.1.6) over the parts one after another. */
export function ed25519Sign(seed: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  try {
    const raw = lib();
    const secret = room(ED25519_SECRET_BYTES);
    succeeded(raw._crypto_sign_seed_keypair(room(ED25519_PUBLIC_BYTES), secret, put(exactly(seed, 32))));
    const length = lengthOf(parts);
    const out = room(SIGNATURE_BYTES);
    succeeded(raw._crypto_sign_detached(out, NULL, putAll(parts, length), length, 0, secret));
    return get(out, SIGNATURE_BYTES);
  } finally {
    clear();
  }
}

/** Whether an Ed25519 signature is good, by libsodium's rules (no small order, canonical A, R and S). */
export function ed25519Verify(publicKey: Uint8Array, signature: Uint8Array, ...parts: Uint8Array[]): boolean {
  if (publicKey.length !== ED25519_PUBLIC_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  try {
    const length = lengthOf(parts);
    const at = putAll(parts, length);
    return lib()._crypto_sign_verify_detached(put(signature), at, length, 0, put(publicKey)) === 0;
  } finally {
    clear();
  }
}

/** The ML-KEM-768 encapsulation key of a 64-byte seed (FIPS 203, algorithm 16). */
export function kemPublic(seed: Uint8Array): Uint8Array {
  try {
    const publicKey = room(KEM_PUBLIC_BYTES);
    const secret = room(KEM_SECRET_BYTES);
    succeeded(lib()._crypto_kem_mlkem768_seed_keypair(publicKey, secret, put(exactly(seed, KEM_SEED_BYTES))));
    return get(publicKey, KEM_PUBLIC_BYTES);
  } finally {
    clear();
  }
}

/** What encapsulation gives: the ciphertext to send, and the shared secret of 32 bytes. */
export interface Encapsulated {
  readonly ciphertext: Uint8Array;
  readonly shared: Uint8Array;
}

/**
 * ML-KEM-768 encapsulation (FIPS 203, algorithm 17) with 32 random bytes; undefined where the key fails the modulus
 * check of section 7.2.
 */
export function kemEncapsulate(publicKey: Uint8Array, chance: Uint8Array): Encapsulated | undefined {
  if (publicKey.length !== KEM_PUBLIC_BYTES) return undefined;
  try {
    const ct = room(KEM_CIPHERTEXT_BYTES);
    const shared = room(32);
    const seed = put(exactly(chance, 32));
    const failed = lib()._crypto_kem_mlkem768_enc_deterministic(ct, shared, put(publicKey), seed);
    return failed === 0 ? { ciphertext: get(ct, KEM_CIPHERTEXT_BYTES), shared: get(shared, 32) } : undefined;
  } finally {
    clear();
  }
}

/**
 * ML-KEM-768 decapsulation (FIPS 203, algorithm 21) with the key made from its 64-byte seed: libsodium does not check an
 * expanded key's hash, so none is ever taken. Undefined only where the ciphertext has the wrong length.
 */
export function kemDecapsulate(seed: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined {
  if (ciphertext.length !== KEM_CIPHERTEXT_BYTES) return undefined;
  try {
    const raw = lib();
    const secret = room(KEM_SECRET_BYTES);
    const from = put(exactly(seed, KEM_SEED_BYTES));
    succeeded(raw._crypto_kem_mlkem768_seed_keypair(room(KEM_PUBLIC_BYTES), secret, from));
    const shared = room(32);
    return raw._crypto_kem_mlkem768_dec(shared, put(ciphertext), secret) === 0 ? get(shared, 32) : undefined;
  } finally {
    clear();
  }
}

/** Key (32 bytes), nonce, and associated data in parts. */
export interface AeadInput {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly ad: readonly Uint8Array[];
}

function seal(
  cipher: Encrypt,
  nonceBytes: number,
  { key, nonce, ad }: AeadInput,
  plain: readonly Uint8Array[],
): Uint8Array {
  try {
    const length = lengthOf(plain);
    const adLength = lengthOf(ad);
    const out = room(length + AEAD_TAG_BYTES);
    const m = putAll(plain, length);
    const a = putAll(ad, adLength);
    const n = put(exactly(nonce, nonceBytes));
    succeeded(cipher(out, NULL, m, length, 0, a, adLength, 0, NULL, n, put(exactly(key, 32))));
    return get(out, length + AEAD_TAG_BYTES);
  } finally {
    clear();
  }
}

function unseal(
  cipher: Decrypt,
  nonceBytes: number,
  { key, nonce, ad }: AeadInput,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const length = sealed.length - AEAD_TAG_BYTES;
  if (length < 0) return undefined;
  try {
    const adLength = lengthOf(ad);
    const out = room(length);
    const c = put(sealed);
    const a = putAll(ad, adLength);
    const n = put(exactly(nonce, nonceBytes));
    const failed = cipher(out, NULL, NULL, c, sealed.length, 0, a, adLength, 0, n, put(exactly(key, 32)));
    return failed === 0 ? get(out, length) : undefined;
  } finally {
    clear();
  }
}

/** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), nonce of 24 bytes: ciphertext and tag. */
export function xchachaSeal(input: AeadInput, ...plain: Uint8Array[]): Uint8Array {
  return seal(lib()._crypto_aead_xchacha20poly1305_ietf_encrypt, 24, input, plain);
}

/** The plaintext, or undefined where the tag does not verify. */
export function xchachaOpen(input: AeadInput, sealed: Uint8Array): Uint8Array | undefined {
  return unseal(lib()._crypto_aead_xchacha20poly1305_ietf_decrypt, 24, input, sealed);
}

/** ChaCha20-Poly1305 (RFC 8439 section 2.8), nonce of 12 bytes: ciphertext and tag. */
export function chachaSeal(input: AeadInput, ...plain: Uint8Array[]): Uint8Array {
  return seal(lib()._crypto_aead_chacha20poly1305_ietf_encrypt, 12, input, plain);
}

/** The plaintext, or undefined where the tag does not verify. */
export function chachaOpen(input: AeadInput, sealed: Uint8Array): Uint8Array | undefined {
  return unseal(lib()._crypto_aead_chacha20poly1305_ietf_decrypt, 12, input, sealed);
}

/** Compares bytes in time that depends on their lengths only. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let different = 0;
  for (let i = 0; i < a.length; i++) different |= (a[i] as number) ^ (b[i] as number);
  return different === 0;
}
