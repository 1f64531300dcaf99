// Chance for vectors, as crypto/README.md says it: SHA-512(seed u32 | i u32) for i = 0, 1, 2, ..., taken byte by byte.
import { type Bytes, join, u32 } from "./bytes.ts";
import { sha512 } from "./primitives.ts";

export interface Chance {
  bytes(length: number): Bytes;
}

export function chanceOf(seed: number): Chance {
  let [left, i] = [new Uint8Array(0) as Bytes, 0];
  return {
    bytes(length) {
      while (left.length < length) left = join(left, sha512(u32(seed), u32(i++)));
      const taken = left.slice(0, length);
      left = left.slice(length);
      return taken;
    },
  };
}
