// What a relay does to an envelope, in the smallest way.
import type { Bytes } from "./bytes.ts";

/** The bytes with one bit changed, counted from the front and round again. */
export function flipped(bytes: Bytes, bit: number): Bytes {
  const [out, at] = [bytes.slice(), Math.floor(bit / 8) % bytes.length];
  out[at] = (out[at] as number) ^ (1 << (bit % 8));
  return out;
}
