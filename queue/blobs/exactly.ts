// A part's bytes on their way in. Always true: no more than the length that was said is handed on, and less is an error.
import { BlobError } from "../media.ts";

/** The chunks as they come. @throws BlobError where they come short, go on, or their source fails (cut-short, with its error as the cause) */
export async function* exactly(bytes: AsyncIterable<Uint8Array>, length: number): AsyncGenerator<Uint8Array> {
  let had = 0;
  try {
    for await (const chunk of bytes) {
      had += chunk.length;
      if (had > length) throw new BlobError("too-long");
      if (chunk.length > 0) yield chunk;
    }
  } catch (error) {
    throw error instanceof BlobError ? error : new BlobError("cut-short", { cause: error });
  }
  if (had < length) throw new BlobError("cut-short");
}

/** All of a part, in one piece. @throws BlobError */
export async function gathered(bytes: AsyncIterable<Uint8Array>, length: number): Promise<Buffer> {
  const whole = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for await (const chunk of exactly(bytes, length)) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
