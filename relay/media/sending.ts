// A part on its way out. Always true: of each part one chunk is in memory at a time, and none is read before the one before it
// has gone out to the system: who reads nothing makes nothing grow.
import type { ServerResponse } from "node:http";

/** Sends all of it, after the head, and ends the answer. @throws Error where the other side has gone, or a chunk cannot be had */
export async function send(chunks: AsyncIterable<Uint8Array>, to: ServerResponse): Promise<void> {
  for await (const chunk of chunks) await goneOut(chunk, to);
  to.end();
}

function goneOut(chunk: Uint8Array, to: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const left = (): void => reject(new Error("nobody is there any more"));
    if (to.destroyed) return left();
    to.once("close", left);
    to.write(chunk, (error) => {
      to.off("close", left);
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
