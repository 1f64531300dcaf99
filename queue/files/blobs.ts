// Blobs as files of a folder, one for each part. Always true: a part has its name only when all of it is on the disk; what is
// under way is called `<part>.<digits>.new`, and is nobody's once the process has ended.
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync } from "node:fs";
import { rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { blobName, blobOf, checkLength, checkRange, partName, partOf } from "../blobs/names.ts";
import { exactly } from "../blobs/exactly.ts";
import { codeOf, type StoreFile, syncFolder, writeAll } from "../embedded/files.ts";
import { StoreClosedError, StoreOpenError } from "../mailbox.ts";
import type { Blobs, MediaId } from "../media.ts";
import { blobError, ifThere } from "./failures.ts";
import { BlobFolders, namesIn } from "./folders.ts";
import { rangeOf } from "./reading.ts";

export interface FileBlobsConfig {
  readonly kind: "files";
  /** Made if it is missing; nobody else may write to it. */
  readonly folder: string;
}

/** @throws StoreOpenError */
export async function openFileBlobs({ folder }: FileBlobsConfig): Promise<Blobs> {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
    await syncFolder(join(folder, ".."));
    return new FileBlobs(folder);
  } catch (error) {
    throw new StoreOpenError("folder-unusable", `cannot use ${folder}: ${codeOf(error)}`);
  }
}

class FileBlobs implements Blobs {
  readonly #folders: BlobFolders;
  /** Files that a `put` of this process writes: a removal leaves them alone, and their `put` clears up behind itself. */
  readonly #unfinished = new Set<string>();
  readonly #writing = new Set<Promise<void>>();
  #closed = false;

  constructor(folder: string) {
    this.#folders = new BlobFolders(folder);
  }

  put(media: MediaId, part: number, length: number, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const writing = this.#put(media, part, length, bytes);
    this.#writing.add(writing);
    return writing.finally(() => this.#writing.delete(writing));
  }

  async #put(media: MediaId, part: number, length: number, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    this.#mustBeOpen();
    const blob = blobName(media);
    const name = partName(part);
    checkLength(length);
    const folder = this.#folders.of(blob);
    const unfinished = `${name}.${randomBytes(8).toString("hex")}.new`;
    this.#unfinished.add(join(folder, unfinished));
    try {
      await fill(await this.#folders.create(blob, unfinished), exactly(bytes, length));
      await rename(join(folder, unfinished), join(folder, name));
      await this.#folders.sync(blob);
    } catch (error) {
      await this.#clear(blob, unfinished);
      throw blobError(error);
    } finally {
      this.#unfinished.delete(join(folder, unfinished));
    }
  }

  /** What cannot be cleared stays, and goes with the blob. */
  async #clear(blob: string, unfinished: string): Promise<void> {
    try {
      await ifThere(unlink(join(this.#folders.of(blob), unfinished)));
      await this.#folders.sweep(blob);
    } catch {}
  }

  async get(
    media: MediaId,
    part: number,
    from: number,
    to: number,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    this.#mustBeOpen();
    checkRange(from, to);
    const path = join(this.#folders.of(blobName(media)), partName(part));
    const there = await ifThere(stat(path)).catch(failed);
    return there === undefined || there.size < to ? undefined : rangeOf(path, from, to);
  }

  async parts(media: MediaId): Promise<ReadonlyMap<number, number>> {
    this.#mustBeOpen();
    const folder = this.#folders.of(blobName(media));
    const lengths = new Map<number, number>();
    try {
      for await (const name of namesIn(folder)) {
        const part = partOf(name);
        const there = part === undefined ? undefined : await ifThere(stat(join(folder, name)));
        if (part !== undefined && there !== undefined) lengths.set(part, there.size);
      }
    } catch (error) {
      throw blobError(error);
    }
    return lengths;
  }

  async remove(media: MediaId): Promise<void> {
    this.#mustBeOpen();
    const blob = blobName(media);
    try {
      // Some file systems pass over names while others of the same folder are removed.
      while ((await this.#unlinkAll(this.#folders.of(blob))) > 0);
      await this.#folders.sweep(blob);
    } catch (error) {
      throw blobError(error);
    }
  }

  async #unlinkAll(folder: string): Promise<number> {
    let gone = 0;
    for await (const name of namesIn(folder)) {
      const path = join(folder, name);
      if (this.#unfinished.has(path)) continue;
      await ifThere(unlink(path));
      gone++;
    }
    return gone;
  }

  async *list(): AsyncGenerator<MediaId> {
    this.#mustBeOpen();
    try {
      for await (const name of this.#folders.blobs()) {
        const media = blobOf(name);
        if (media !== undefined) yield media;
      }
    } catch (error) {
      throw blobError(error);
    }
  }

  place(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#writing);
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new StoreClosedError("the blobs are closed");
  }
}

/** Writes all of it to the disk, and closes the file in any case. */
async function fill(file: StoreFile, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    let at = 0;
    for await (const chunk of chunks) {
      await writeAll(file, [chunk], at);
      at += chunk.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

function failed(error: unknown): never {
  throw blobError(error);
}
