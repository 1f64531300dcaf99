// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) on node:crypto's ChaCha20-Poly1305: HChaCha20 makes the key.
// Always true: a nonce is 24 random bytes, drawn for each record; what does not verify gives undefined, never bytes.
import { createCipheriv, createDecipheriv } from "node:crypto";

export const NONCE_BYTES = 24;
const TAG_BYTES = 16;
const SIGMA = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;

interface Keyed {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  readonly ad: Uint8Array;
}

/** Ciphertext and tag. */
export function xchachaSeal({ key, nonce, ad }: Keyed, plaintext: Uint8Array): Uint8Array {
  const cipher = createCipheriv("chacha20-poly1305", hchacha20(key, nonce), shortNonce(nonce), {
    authTagLength: TAG_BYTES,
  });
  cipher.setAAD(ad, { plaintextLength: plaintext.length });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The plaintext, or undefined where key, nonce, associated data or ciphertext do not fit together. */
export function xchachaOpen({ key, nonce, ad }: Keyed, sealed: Uint8Array): Uint8Array | undefined {
  const length = sealed.length - TAG_BYTES;
  if (length < 0) return undefined;
  const decipher = createDecipheriv("chacha20-poly1305", hchacha20(key, nonce), shortNonce(nonce), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(ad, { plaintextLength: length });
  decipher.setAuthTag(sealed.subarray(length));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, length)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** Section 2.3: four zero bytes and the last eight of the nonce. */
function shortNonce(nonce: Uint8Array): Uint8Array {
  const out = new Uint8Array(12);
  out.set(nonce.subarray(16), 4);
  return out;
}

/** Section 2.2: the ChaCha20 rounds without the final addition; the first and last rows are the key. */
export function hchacha20(key: Uint8Array, nonce: Uint8Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(48));
  for (let i = 0; i < 32; i++) view.setUint8(i, key[i] ?? 0);
  for (let i = 0; i < 16; i++) view.setUint8(32 + i, nonce[i] ?? 0);
  const x = new Uint32Array(16);
  x.set(SIGMA);
  for (let i = 0; i < 12; i++) x[4 + i] = view.getUint32(i * 4, true);
  for (let i = 0; i < 10; i++) doubleRound(x);
  const out = new DataView(new ArrayBuffer(32));
  for (let i = 0; i < 4; i++) {
    out.setUint32(i * 4, x[i] ?? 0, true);
    out.setUint32(16 + i * 4, x[12 + i] ?? 0, true);
  }
  return new Uint8Array(out.buffer);
}

function doubleRound(x: Uint32Array): void {
  for (let i = 0; i < 4; i++) quarterRound(x, i, 4 + i, 8 + i, 12 + i);
  for (let i = 0; i < 4; i++) quarterRound(x, i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4));
}

function quarterRound(x: Uint32Array, a: number, b: number, c: number, d: number): void {
  mix(x, a, b, d, 16);
  mix(x, c, d, b, 12);
  mix(x, a, b, d, 8);
  mix(x, c, d, b, 7);
}

/** to += by; then target = (target ^ to) <<< bits. */
function mix(x: Uint32Array, to: number, by: number, target: number, bits: number): void {
  const sum = ((x[to] ?? 0) + (x[by] ?? 0)) >>> 0;
  x[to] = sum;
  const turned = (x[target] ?? 0) ^ sum;
  x[target] = (turned << bits) | (turned >>> (32 - bits));
}
