// A connection before it is open: hello, challenge, proof, claim. Always true: a proof is checked against the key on
// record for exactly the device, epoch, nonce and relay name that were said; an unknown device is challenged like any other.
import { randomBytes } from "node:crypto";
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
import { verifies } from "./verifying.ts";

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
): Promise<boolean> {
  const { hello, nonce } = greeting;
  const tuple = encode(proofTuple, {
    relay,
    nonce,
    address: addressOf(hello.account, hello.device),
    epoch: hello.epoch,
    version,
  });
  return verifies(key, signedBytes("connect", tuple), signature);
}
