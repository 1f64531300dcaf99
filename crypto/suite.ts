// The suite of Lethe's ratchets: X25519, HKDF-SHA-512 for the root, HMAC-SHA-512 for chains, XChaCha20-Poly1305 with a
// random nonce in front of each ciphertext, so that a store that was rolled back leaks no keystream.
import { joined } from "@lethe/protocol";
import type { RatchetSuite } from "./double-ratchet.ts";
import { LABELS } from "./labels.ts";
import { Secret } from "./secret.ts";
import {
  AEAD_TAG_BYTES,
  hkdfSha512,
  hmacSha512,
  x25519,
  x25519Base,
  xchachaOpen,
  xchachaSeal,
} from "./primitives.ts";

const NONCE_BYTES = 24;
/** What a ciphertext is longer than its plaintext. */
export const MESSAGE_OVERHEAD_BYTES = NONCE_BYTES + AEAD_TAG_BYTES;

export const letheSuite: RatchetSuite = {
  generate(random) {
    const own = random.bytes(32);
    return { secret: new Secret(own), publicKey: x25519Base(own) };
  },
  dh: x25519,
  root(root, shared) {
    const okm = hkdfSha512({ salt: root, ikm: [shared], info: [LABELS.ratchetRoot], length: 64 });
    shared.fill(0);
    return { root: new Secret(okm.slice(0, 32)), chain: halfOf(okm) };
  },
  chain(key) {
    const out = hmacSha512(key, LABELS.ratchetChain);
    const split = { next: out.slice(0, 32), message: out.slice(32) };
    out.fill(0);
    return split;
  },
  seal(key, ad, plain, random) {
    const nonce = random.bytes(NONCE_BYTES);
    return joined(nonce, xchachaSeal({ key, nonce, ad }, plain));
  },
  open(key, ad, sealed) {
    if (sealed.length < MESSAGE_OVERHEAD_BYTES) return undefined;
    const nonce = sealed.subarray(0, NONCE_BYTES);
    return xchachaOpen({ key, nonce, ad }, sealed.subarray(NONCE_BYTES));
  },
  tag: (sealed) => sealed.slice(-AEAD_TAG_BYTES).slice(0, 8),
};

function halfOf(okm: Uint8Array): Secret {
  const chain = new Secret(okm.slice(32));
  okm.fill(0);
  return chain;
}
