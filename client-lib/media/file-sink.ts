// A file on the disk as the place of a file that comes. Always true: nothing but the path given and the same with `.part` behind
// it is written; a link at either is never followed; under the path itself stands only what is whole, and durable.
import { constants } from "node:fs";
import { type FileHandle, lstat, open, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { ClientError } from "../errors.ts";
import type { FetchOptions, ReceivedMedia } from "./received.ts";
import type { MediaSink } from "./sink.ts";

const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
/** Windows knows no such flag. */
const SAFELY = O_RDWR | (O_NOFOLLOW ?? 0);

/**
 * Writes a received file to a path, whose folder is there; what stands under it is replaced at the end. It grows as `PATH.part`,
 * and goes on there after cuts and restarts. @throws ClientError media-not-saved, the code of a fault, media-gone, ...
 */
export function saveMedia(media: ReceivedMedia, path: string, options: FetchOptions = {}): Promise<void> {
  return media.save(fileSink(path), options);
}

/** A path as the place of one file. */
function fileSink(path: string): MediaSink {
  return new FileSink(resolve(path));
}

class FileSink implements MediaSink {
  readonly place: string;
  readonly #part: string;
  #file: FileHandle | undefined;
  #at = 0;

  constructor(path: string) {
    this.place = path;
    this.#part = `${path}.part`;
  }

  begin(at: number): Promise<boolean> {
    return saving(async () => {
      await this.close();
      if (at > 0 && !(await isFile(this.#part, (size) => size >= at))) return false;
      const is = await lstat(this.#part).catch(() => undefined);
      // Neither a link nor a pipe: it is replaced.
      if (is !== undefined && !is.isFile()) await rm(this.#part);
      this.#file = await open(this.#part, SAFELY | O_CREAT, 0o600);
      await this.#file.truncate(at);
      this.#at = at;
      return true;
    });
  }

  write(bytes: Uint8Array): Promise<void> {
    return saving(async () => {
      for (let from = 0; from < bytes.length; ) {
        const { bytesWritten } = await this.#open.write(bytes, from, bytes.length - from, this.#at);
        from += bytesWritten;
        this.#at += bytesWritten;
      }
    });
  }

  flush(): Promise<void> {
    return saving(() => this.#open.sync());
  }

  finish(size: number): Promise<void> {
    return saving(async () => {
      await this.close();
      if (await isFile(this.#part, (has) => has === size)) await rename(this.#part, this.place);
      else if (!(await isFile(this.place, (has) => has === size))) throw new Error("it is not there");
      await syncFolder(dirname(this.place));
    });
  }

  remove(): Promise<void> {
    return saving(async () => {
      await this.close();
      await rm(this.#part, { force: true });
    });
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  get #open(): FileHandle {
    if (this.#file === undefined) throw new Error("it is closed");
    return this.#file;
  }
}

async function isFile(path: string, fits: (size: number) => boolean): Promise<boolean> {
  const is = await lstat(path).catch(() => undefined);
  return is?.isFile() === true && fits(is.size);
}

/** The rename survives a power cut; where folders cannot be synced (Windows) it is durable by itself. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

/** @throws ClientError media-not-saved, with the system's code */
async function saving<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ClientError("media-not-saved", code ?? message);
  }
}
