// X25519 and Ed25519 from node:crypto, that is OpenSSL: ten times faster than @noble/curves, which makes a thousand
// conversations possible. Keys are wrapped in the DER of RFC 8410 section 7.
import { createPrivateKey, createPublicKey, diffieHellman, sign, verify } from "node:crypto";
import type { Bytes } from "./bytes.ts";
import { memo } from "./memo.ts";

type Curve = "X25519" | "Ed25519";
const OID = { X25519: "2b656e", Ed25519: "2b6570" } as const;

function curve(name: Curve) {
  const privateFront = Buffer.from(`302e02010030050603${OID[name]}04220420`, "hex");
  const publicFront = Buffer.from(`302a30050603${OID[name]}032100`, "hex");
  const privateKey = memo((secret) =>
    createPrivateKey({ key: Buffer.concat([privateFront, secret]), format: "der", type: "pkcs8" }),
  );
  const publicKey = memo((key) =>
    createPublicKey({ key: Buffer.concat([publicFront, key]), format: "der", type: "spki" }),
  );
  const publicOf = memo((secret): Bytes => {
    const der = createPublicKey(privateKey(secret)).export({ format: "der", type: "spki" });
    return new Uint8Array(der.subarray(-32));
  });
  return { privateKey, publicKey, publicOf };
}

const [montgomery, edwards] = [curve("X25519"), curve("Ed25519")];

export const x25519Public = montgomery.publicOf;
export const ed25519Public = edwards.publicOf;

/** @throws Error where the result is all zero */
export function dh(secret: Bytes, key: Bytes): Bytes {
  const keys = { privateKey: montgomery.privateKey(secret), publicKey: montgomery.publicKey(key) };
  return new Uint8Array(diffieHellman(keys));
}

export function ed25519Sign(seed: Bytes, said: Bytes): Bytes {
  return new Uint8Array(sign(null, said, edwards.privateKey(seed)));
}

export function ed25519Verify(key: Bytes, signature: Bytes, said: Bytes): boolean {
  return verify(null, said, edwards.publicKey(key), signature);
}
