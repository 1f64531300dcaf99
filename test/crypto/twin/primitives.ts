// The primitives of crypto/README.md from other people's code than libsodium: the @noble packages and node:crypto.
import { createHash, createHmac } from "node:crypto";
import { chacha20poly1305, xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { blake2b as nobleBlake2b } from "@noble/hashes/blake2.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { ascii, type Bytes, join, u16, u8 } from "./bytes.ts";
import * as curves from "./curves.ts";
import { memo } from "./memo.ts";

export { dh, ed25519Public, x25519Public } from "./curves.ts";

type Hash = "sha256" | "sha512";

export const sha512 = (...parts: Bytes[]): Bytes =>
  new Uint8Array(
    createHash("sha512")
      .update(join(...parts))
      .digest(),
  );
export const blake2b = (length: number, ...parts: Bytes[]): Bytes =>
  nobleBlake2b(join(...parts), { dkLen: length });

/** HMAC (RFC 2104). */
export function hmac(hash: Hash, key: Bytes, ...parts: Bytes[]): Bytes {
  return new Uint8Array(
    createHmac(hash, key)
      .update(join(...parts))
      .digest(),
  );
}
export const hmacSha512 = (key: Bytes, ...parts: Bytes[]): Bytes => hmac("sha512", key, ...parts);

/** HKDF-Expand (RFC 5869 section 2.3). */
function expand(hash: Hash, prk: Bytes, info: Bytes, length: number): Bytes {
  let [out, block] = [new Uint8Array(0) as Bytes, new Uint8Array(0) as Bytes];
  for (let i = 1; out.length < length; i++) {
    block = hmac(hash, prk, block, info, u8(i));
    out = join(out, block);
  }
  return out.slice(0, length);
}

/** HKDF-SHA-512 (RFC 5869 sections 2.2 and 2.3). */
export function hkdfSha512(salt: Bytes, ikm: Bytes, info: Bytes, length: number): Bytes {
  return expand("sha512", hmacSha512(salt, ikm), info, length);
}

export const ed25519Sign = (seed: Bytes, ...said: Bytes[]): Bytes => curves.ed25519Sign(seed, join(...said));

/** @throws Error where the signature is bad */
export function verify(key: Bytes, signature: Bytes, ...said: Bytes[]): void {
  if (!curves.ed25519Verify(key, signature, join(...said))) throw new Error("bad signature");
}

const kemKeys = memo((seed) => ml_kem768.keygen(seed));
export const kemPublic = (seed: Bytes): Bytes => kemKeys(seed).publicKey;
export function encapsulate(key: Bytes, chance: Bytes): { ct: Bytes; ss: Bytes } {
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(key, chance);
  return { ct: cipherText, ss: sharedSecret };
}
export const decapsulate = (seed: Bytes, ct: Bytes): Bytes =>
  ml_kem768.decapsulate(ct, kemKeys(seed).secretKey);

export const xchachaSeal = (key: Bytes, nonce: Bytes, ad: Bytes, plain: Bytes): Bytes =>
  xchacha20poly1305(key, nonce, ad).encrypt(plain);
/** @throws Error where the tag does not verify */
export const xchachaOpen = (key: Bytes, nonce: Bytes, ad: Bytes, sealed: Bytes): Bytes =>
  xchacha20poly1305(key, nonce, ad).decrypt(sealed);

// HPKE (RFC 9180), base and psk mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305; names are the RFC's.
const KEM_ID = join(ascii("KEM"), u16(0x0020));
const SUITE_ID = join(ascii("HPKE"), u16(0x0020), u16(0x0001), u16(0x0003));
const NOTHING = new Uint8Array(0);

/** LabeledExtract of section 4. */
function labeledExtract(suite: Bytes, salt: Bytes, label: string, ikm: Bytes): Bytes {
  return hmac("sha256", salt, ascii("HPKE-v1"), suite, ascii(label), ikm);
}

/** LabeledExpand of section 4. */
function labeledExpand(suite: Bytes, prk: Bytes, label: string, info: Bytes, length: number): Bytes {
  return expand("sha256", prk, join(u16(length), ascii("HPKE-v1"), suite, ascii(label), info), length);
}

export interface Psk {
  readonly key: Bytes;
  readonly id: Bytes;
}

/** Key and nonce of the one message of a context, and its exporter: sections 4.1, 5.1 and 5.3. */
function keySchedule(shared: Bytes, enc: Bytes, pkR: Bytes, info: Bytes, psk?: Psk) {
  const eaePrk = labeledExtract(KEM_ID, NOTHING, "eae_prk", shared);
  const secretOfKem = labeledExpand(KEM_ID, eaePrk, "shared_secret", join(enc, pkR), 32);
  const context = join(
    u8(psk === undefined ? 0x00 : 0x01),
    labeledExtract(SUITE_ID, NOTHING, "psk_id_hash", psk?.id ?? NOTHING),
    labeledExtract(SUITE_ID, NOTHING, "info_hash", info),
  );
  const secret = labeledExtract(SUITE_ID, secretOfKem, "secret", psk?.key ?? NOTHING);
  const derived = (label: string, length: number): Bytes =>
    labeledExpand(SUITE_ID, secret, label, context, length);
  const exporter = derived("exp", 32);
  return {
    key: derived("key", 32),
    nonce: derived("base_nonce", 12),
    exported: (of: Bytes, length: number): Bytes => labeledExpand(SUITE_ID, exporter, "sec", of, length),
  };
}

/** The sender's side with a given ephemeral key; `seal` is for one message. */
export function hpkeSender(pkR: Bytes, skE: Bytes, info: Bytes, psk?: Psk) {
  const enc = curves.x25519Public(skE);
  const { key, nonce, exported } = keySchedule(curves.dh(skE, pkR), enc, pkR, info, psk);
  return {
    enc,
    seal: (aad: Bytes, plain: Bytes) => chacha20poly1305(key, nonce, aad).encrypt(plain),
    exported,
  };
}

export interface HpkeMessage {
  readonly enc: Bytes;
  readonly info: Bytes;
  readonly aad: Bytes;
  readonly ct: Bytes;
}

/** @throws Error where it does not open */
export function hpkeOpen(skR: Bytes, { enc, info, aad, ct }: HpkeMessage): Bytes {
  const { key, nonce } = keySchedule(curves.dh(skR, enc), enc, curves.x25519Public(skR), info);
  return chacha20poly1305(key, nonce, aad).decrypt(ct);
}
