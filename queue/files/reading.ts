// A range of a part's file, read as it is asked for. Always true: the file is open only while somebody reads.
import { type FileHandle, open } from "node:fs/promises";
import { BlobError } from "../media.ts";
import { blobError } from "./failures.ts";

const CHUNK_BYTES = 262_144;

/** Bytes `from` to `to`, exclusive. @throws BlobError while iterating */
export function rangeOf(path: string, from: number, to: number): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => chunks(path, from, to) };
}

async function* chunks(path: string, from: number, to: number): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r").catch((error: unknown) => {
    throw blobError(error);
  });
  try {
    for (let at = from; at < to; ) {
      const chunk = await read(file, at, Math.min(CHUNK_BYTES, to - at));
      at += chunk.length;
      yield chunk;
    }
  } finally {
    await file.close();
  }
}

async function read(file: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const into = Buffer.allocUnsafeSlow(length);
  const { bytesRead } = await file.read(into, 0, length, at).catch((error: unknown) => {
    throw blobError(error);
  });
  if (bytesRead === 0) throw new BlobError("failed", { cause: "the file is shorter than it was" });
  return into.subarray(0, bytesRead);
}
