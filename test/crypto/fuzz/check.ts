// What is asked of a decoder for any bytes: a value or MalformedError, and a value encodes to the bytes that it came from.
import { MalformedError } from "@lethe/protocol";
import type { Target } from "./targets.ts";

/** Whether the bytes were taken. @throws Error where the decoder did anything else than take or refuse them. */
export function check(target: Target, bytes: Uint8Array): boolean {
  let value: unknown;
  try {
    value = target.decode(bytes);
  } catch (error) {
    if (error instanceof MalformedError) return false;
    throw new Error(`${target.name}: ${Buffer.from(bytes).toString("hex")}`, { cause: error });
  }
  if (target.again === undefined) return true;
  const again = target.again(value as never);
  if (Buffer.compare(again, bytes) !== 0)
    throw new Error(`${target.name}: two encodings of one value: ${Buffer.from(bytes).toString("hex")}`);
  return true;
}
