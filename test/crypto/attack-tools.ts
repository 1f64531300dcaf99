// What the attacks on ratchet set-up are made with: bad points, items signed again, bytes put elsewhere.

import { decodeAll, toBytes } from "@lethe/protocol";

import { type PrekeyItem, type Ratchet } from "../../crypto/index.ts";
import { encode } from "../../crypto/layout.ts";
import { type Prelude, prelude } from "../../crypto/pqxdh.ts";
import { keyId } from "../../crypto/sealing-key.ts";
import { ed25519Sign } from "../../crypto/primitives.ts";
import { Device, hex, seededRandom } from "./support.ts";

export const MODULUS = new URL("../../../shared/vectors/cctv_mlkem768_modulus.txt.gz", import.meta.url);

/** Points of small order and non-canonical encodings (RFC 7748 sections 5 and 6.1). */
export const BAD_POINTS = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  `09${"00".repeat(30)}80`,
].map(hex);

/** A bundle item of these bytes under the id that its key has. */
export function itemWith(bytes: Uint8Array, encodedKey: Uint8Array): PrekeyItem {
  return { id: toBytes(keyId(encodedKey)), bytes };
}

/** Signs a changed prekey with its owner's own key: only purpose, key and times are left to catch it. */
export function signAgain(owner: Device, bytes: Uint8Array, label: Uint8Array): Uint8Array {
  const said = bytes.subarray(0, -64);
  return Uint8Array.of(...said, ...ed25519Sign(owner.identity.signingSeed.reveal(), label, said));
}

/** Where the key of a signed prekey stands: format 1, address 18, type byte 1. */
export const KEY_AT = 20;

export function withBytes(bytes: Uint8Array, at: number, put: Uint8Array): Uint8Array {
  const out = bytes.slice();
  out.set(put, at);
  return out;
}

/** The ratchet with another prelude: what a relay could do if it could write into envelopes. */
export function withPrelude(ratchet: Ratchet, change: (said: Prelude) => Partial<Prelude>): Ratchet {
  if (ratchet.standing.at !== "unconfirmed") throw new Error("already confirmed");
  const said = decodeAll(prelude, ratchet.standing.prelude);
  const bytes = encode(prelude, { ...said, ...change(said) }, 2_048);
  return { ...ratchet, standing: { at: "unconfirmed", prelude: bytes } };
}

export function setRatchet(device: Device, peer: Device, ratchet: Ratchet): void {
  device.ratchets.set(peer.address, [ratchet]);
}

export const people = (seed: number): [Device, Device] => {
  const random = seededRandom(seed);
  return [new Device(random), new Device(random)];
};
