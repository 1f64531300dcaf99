// X25519 and Ed25519 from node:crypto, that is OpenSSL: ten times faster than @noble/curves, which makes a thousand
// conversations possible. Keys are wrapped in the DER of RFC 8410 section 7.
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject, sign, verify } from "node:crypto";
import type { Bytes } from "./bytes.ts";

type Curve = "X25519" | "Ed25519";
const OID = { X25519: "2b656e", Ed25519: "2b6570" } as const;

function privateKey(curve: Curve, secret: Bytes): KeyObject {
  const front = Buffer.from(`302e02010030050603${OID[curve]}04220420`, "hex");
  return createPrivateKey({ key: Buffer.concat([front, secret]), format: "der", type: "pkcs8" });
}

function publicKey(curve: Curve, key: Bytes): KeyObject {
  const front = Buffer.from(`302a30050603${OID[curve]}032100`, "hex");
  return createPublicKey({ key: Buffer.concat([front, key]), format: "der", type: "spki" });
}

function publicOf(curve: Curve, secret: Bytes): Bytes {
  const der = createPublicKey(privateKey(curve, secret)).export({ format: "der", type: "spki" });
  return new Uint8Array(der.subarray(-32));
}

export const x25519Public = (secret: Bytes): Bytes => publicOf("X25519", secret);
export const ed25519Public = (seed: Bytes): Bytes => publicOf("Ed25519", seed);

/** @throws Error where the result is all zero */
export function dh(secret: Bytes, key: Bytes): Bytes {
  const keys = { privateKey: privateKey("X25519", secret), publicKey: publicKey("X25519", key) };
  return new Uint8Array(diffieHellman(keys));
}

export function ed25519Sign(seed: Bytes, said: Bytes): Bytes {
  return new Uint8Array(sign(null, said, privateKey("Ed25519", seed)));
}

export function ed25519Verify(key: Bytes, signature: Bytes, said: Bytes): boolean {
  return verify(null, said, publicKey("Ed25519", key), signature);
}
