// Olm's functions (the Olm specification, "The Ratchet Algorithm" and AES-256 with HMAC-SHA-256) for this project's ratchet
// core, from node:crypto: HKDF-SHA-256 for the root, HMAC with 0x01 and 0x02 for chains, AES-256-CBC with 8 bytes of HMAC.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import type { RatchetSuite } from "../../../crypto/double-ratchet.ts";
import { Secret } from "../../../crypto/index.ts";
import { letheSuite } from "../../../crypto/suite.ts";

export const OLM_MAC_BYTES = 8;

/** HKDF-SHA-256, `salt` 32 zero bytes where there is none. */
export function olmHkdf(ikm: Uint8Array, salt: Uint8Array, info: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", ikm, salt, info, length));
}

const NO_SALT = new Uint8Array(32);

function hmac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(part);
  return new Uint8Array(mac.digest());
}

/** The cipher key, MAC key and IV of one message. */
function messageKeys(key: Uint8Array): { aes: Uint8Array; mac: Uint8Array; iv: Uint8Array } {
  const okm = olmHkdf(key, NO_SALT, "OLM_KEYS", 80);
  return { aes: okm.slice(0, 32), mac: okm.slice(32, 64), iv: okm.slice(64) };
}

/** Root key and first chain key from the triple Diffie-Hellman's secrets, one after another. */
export function olmStart(shared: readonly Uint8Array[]): { root: Secret; chain: Secret } {
  const okm = olmHkdf(Buffer.concat(shared), NO_SALT, "OLM_ROOT", 64);
  return { root: new Secret(okm.slice(0, 32)), chain: new Secret(okm.slice(32)) };
}

export const olmSuite: RatchetSuite = {
  generate: (random) => letheSuite.generate(random),
  dh: (secret, publicKey) => letheSuite.dh(secret, publicKey),
  root(root, shared) {
    const okm = olmHkdf(shared, root, "OLM_RATCHET", 64);
    return { root: new Secret(okm.slice(0, 32)), chain: new Secret(okm.slice(32)) };
  },
  chain: (key) => ({ message: hmac(key, Uint8Array.of(1)), next: hmac(key, Uint8Array.of(2)) }),
  seal(key, ad, plain) {
    const { aes, mac, iv } = messageKeys(key);
    const cipher = createCipheriv("aes-256-cbc", aes, iv);
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([sealed, hmac(mac, ...ad, sealed).subarray(0, OLM_MAC_BYTES)]);
  },
  open(key, ad, sealed) {
    const { aes, mac, iv } = messageKeys(key);
    const body = sealed.subarray(0, -OLM_MAC_BYTES);
    const tag = sealed.subarray(-OLM_MAC_BYTES);
    if (!timingSafeEqual(hmac(mac, ...ad, body).subarray(0, OLM_MAC_BYTES), tag)) return undefined;
    const cipher = createDecipheriv("aes-256-cbc", aes, iv);
    return new Uint8Array(Buffer.concat([cipher.update(body), cipher.final()]));
  },
  tag: (sealed) => sealed.slice(-OLM_MAC_BYTES),
};
