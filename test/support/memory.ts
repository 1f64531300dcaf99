// How much memory the buffers of this process take.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes in buffers that somebody still holds. */
export function heldBytes(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}
