// The few things that the segment log asks of a file system, so that tests can lose power, fill the disk and fail syncs.
// Always true of every implementation: nothing is kept of a file's bytes but what `sync` resolved for, nor of names but
// what `syncNames` resolved for. Errors carry Node's `code`.
import * as fs from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

export interface StoreFile {
  /** Fills `bytes` from `position` on; fewer only at the end of the file. */
  read(bytes: Uint8Array, position: number): Promise<number>;
  /** Writes the parts one behind the other; may write fewer bytes than there are. */
  write(parts: readonly Uint8Array[], position: number): Promise<number>;
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** The files of one folder. */
export interface FileLayer {
  names(): Promise<readonly string[]>;
  /** A new, empty file, readable by its owner only. */
  create(name: string): Promise<StoreFile>;
  open(name: string): Promise<StoreFile>;
  unlink(name: string): Promise<void>;
  syncNames(): Promise<void>;
  /** Bytes of the disk, and how many of them this user may still fill. */
  room(): Promise<{ readonly free: number; readonly size: number }>;
}

const open = promisify(fs.open);
const close = promisify(fs.close);
const fstat = promisify(fs.fstat);
const fsync = promisify(fs.fsync);
const fdatasync = promisify(fs.fdatasync);
const ftruncate = promisify(fs.ftruncate);
const unlink = promisify(fs.unlink);
const readdir = promisify(fs.readdir);
const statfs = promisify(fs.statfs);

/** A file through raw descriptors: a FileHandle costs several microseconds more for each call. */
class RealFile implements StoreFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async read(bytes: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < bytes.length) {
      const n = await readOnce(this.#fd, bytes, done, position + done);
      if (n === 0) break;
      done += n;
    }
    return done;
  }

  write(parts: readonly Uint8Array[], position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.writev(this.#fd, parts, position, (error, written) =>
        error === null ? resolve(written) : reject(error),
      );
    });
  }

  sync(): Promise<void> {
    return fdatasync(this.#fd);
  }

  truncate(length: number): Promise<void> {
    return ftruncate(this.#fd, length);
  }

  async size(): Promise<number> {
    return (await fstat(this.#fd)).size;
  }

  close(): Promise<void> {
    return close(this.#fd);
  }
}

function readOnce(fd: number, bytes: Uint8Array, at: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, bytes, at, bytes.length - at, position, (error, n) =>
      error === null ? resolve(n) : reject(error),
    );
  });
}

/** The real files of `folder`, which must exist. */
export function folderFiles(folder: string): FileLayer {
  return {
    names: () => readdir(folder),
    create: async (name) => new RealFile(await open(join(folder, name), "wx+", 0o600)),
    open: async (name) => new RealFile(await open(join(folder, name), "r+")),
    unlink: (name) => unlink(join(folder, name)),
    syncNames: () => syncFolder(folder),
    room: async () => {
      const { bavail, blocks, bsize } = await statfs(folder);
      return { free: bavail * bsize, size: blocks * bsize };
    },
  };
}

/** Makes the names in a folder durable. Windows cannot open a folder, and does without. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const fd = await open(folder, "r");
  try {
    await fsync(fd);
  } finally {
    await close(fd);
  }
}

/** Writes all parts, however short the single writes are. Nothing is promised of the file where it throws. */
export async function writeAll(
  file: StoreFile,
  parts: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let left = parts;
  let at = position;
  while (left.length > 0) {
    const written = await file.write(left, at);
    if (written <= 0) throw Object.assign(new Error("nothing was written"), { code: "EIO" });
    at += written;
    left = skip(left, written);
  }
}

function skip(parts: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let left = bytes;
  for (const [i, part] of parts.entries()) {
    if (left < part.length) return [part.subarray(left), ...parts.slice(i + 1)];
    left -= part.length;
  }
  return [];
}

/** Node's error code, for reports and decisions. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown";
}

/** No room, or none that this user may have. */
export function isNoRoom(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOSPC" || code === "EDQUOT";
}
