// A connection before it is open: hello, challenge, proof, claim. Always true: a proof is checked against the key on
// record for exactly the device, epoch, nonce and relay name that were said; an unknown device is challenged like any other.
import { generateKeyPairSync, randomBytes, verify } from "node:crypto";
import {
  addressOf,
  agreeOn,
  type DeviceAddress,
  encode,
  type FrameOf,
  type ProblemCode,
  proofTuple,
  signedBytes,
} from "@lethe/protocol";

export type Greeting =
  | { readonly at: "awaiting-hello"; readonly since: number }
  | {
      readonly at: "awaiting-proof";
      readonly since: number;
      readonly hello: FrameOf<"hello">;
      readonly nonce: Uint8Array;
    }
  | { readonly at: "claiming"; readonly since: number; readonly address: DeviceAddress }
  | { readonly at: "open"; readonly address: DeviceAddress | undefined };

/** How long a connection may take until it is open, ms. */
export const GREETING_MS = 10_000;

const ED25519_SPKI = Buffer.from("302a300506032b6570032100", "hex"); // RFC 8410 section 4, without the key itself

/** A key like any other whose secret was thrown away: proofs for a device that is not on record are verified with it. */
const NOBODYS_KEY = new Uint8Array(
  generateKeyPairSync("ed25519").publicKey.export({ format: "der", type: "spki" }).subarray(-32),
);

/** Verification with the key on record; where there is none the same work, and false. */
export function verifiesFor(
  key: Uint8Array | undefined,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const isRight = verifies(key ?? NOBODYS_KEY, message, signature);
  return isRight && key !== undefined;
}

/** RFC 8032 verification; false for anything that is not a valid signature. */
function verifies(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const der = Buffer.concat([ED25519_SPKI, key]);
  try {
    return verify(null, message, { key: der, format: "der", type: "spki" }, signature);
  } catch {
    return false;
  }
}

export function greet(
  hello: FrameOf<"hello">,
  relay: string,
  now: number,
): { challenge: FrameOf<"challenge">; greeting: Greeting } | ProblemCode {
  const version = agreeOn({ min: hello.minVersion, max: hello.maxVersion });
  if (version === undefined) return "version-unsupported";
  const nonce = randomBytes(32);
  return {
    challenge: { frame: "challenge", version, relay, nonce },
    greeting: { at: "awaiting-proof", since: now, hello, nonce },
  };
}

/** Clause A-PROOF. `key` is undefined for a device that is not on record. */
export function proves(
  greeting: Extract<Greeting, { at: "awaiting-proof" }>,
  relay: string,
  version: number,
  key: Uint8Array | undefined,
  signature: Uint8Array,
): boolean {
  const { hello, nonce } = greeting;
  const tuple = encode(proofTuple, {
    relay,
    nonce,
    address: addressOf(hello.account, hello.device),
    epoch: hello.epoch,
    version,
  });
  return verifiesFor(key, signedBytes("connect", tuple), signature);
}
