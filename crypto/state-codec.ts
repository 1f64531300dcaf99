// How a ratchet's state stands in bytes: total and canonical, with every count under its cap.
import type { Ratchet } from "./state.ts";

/** The ratchet as bytes, secrets included: what the client's store keeps, encrypted. */
export function encodeRatchet(_ratchet: Ratchet): Uint8Array {
  throw new Error("not built yet");
}

/** @throws MalformedError */
export function decodeRatchet(_bytes: Uint8Array): Ratchet {
  throw new Error("not built yet");
}
