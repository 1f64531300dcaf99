// A file on the disk as a source. Always true: it is noticed when the file has changed while it was read.
import { open, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { ClientError } from "../errors.ts";
import type { MediaSource } from "./source.ts";

const PIECE_BYTES = 1_048_576;

/** The file at a path. `resume` of it is its path: after a restart `client.media.unfinished()` names it. @throws ClientError media-source-invalid: there is no file that can be read, with the system's code */
export async function fileSource(path: string, about: Pick<MediaSource, "type"> = {}): Promise<MediaSource> {
  const at = resolve(path);
  const { size, stamp } = await stateOf(at);
  return { ...about, size, stamp, name: basename(at), resume: at, read: (from) => pieces(at, from, stamp) };
}

async function* pieces(path: string, from: number, stamp: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r");
  try {
    for (let at = from; ; ) {
      const piece = new Uint8Array(PIECE_BYTES);
      const { bytesRead } = await file.read(piece, 0, PIECE_BYTES, at);
      if (bytesRead === 0) break;
      yield piece.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
  const after = await stateOf(path).catch(() => undefined);
  if (after?.stamp !== stamp) throw new ClientError("media-source-changed", "while it was read");
}

async function stateOf(path: string): Promise<{ readonly size: number; readonly stamp: string }> {
  const is = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => error);
  if (is instanceof Error) throw new ClientError("media-source-invalid", is.code ?? is.message);
  if (!is.isFile()) throw new ClientError("media-source-invalid", is.isDirectory() ? "EISDIR" : "no file");
  const { size, mtimeNs, ino } = is;
  return { size: Number(size), stamp: `${ino}-${mtimeNs}` };
}
