// The folders that blobs lie in: `<root>/<2 hex>/<32 hex>`, made for the first part and gone with the last. Always true: names
// are read one by one, however many there are; and whoever makes a folder reckons with a removal that takes it away again.
import type { Dir } from "node:fs";
import { mkdir, opendir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, folderFiles, type StoreFile, syncFolder } from "../embedded/files.ts";
import { ifThere } from "./failures.ts";

/** Removals that may come between a folder and the first file in it. */
const ATTEMPTS = 100;

export class BlobFolders {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Where the parts of a blob lie. */
  of(blob: string): string {
    return join(this.#shelf(blob), blob);
  }

  /** Blobs of the same first byte. */
  #shelf(blob: string): string {
    return join(this.#root, blob.slice(0, 2));
  }

  /** A new file in the blob's folder, which is made if need be. While it is there the folder stays. */
  async create(blob: string, name: string): Promise<StoreFile> {
    for (let attempt = 1; ; attempt++) {
      try {
        for (const folder of [this.#shelf(blob), this.of(blob)]) await makeFolder(folder);
        return await folderFiles(this.of(blob)).create(name);
      } catch (error) {
        if (codeOf(error) !== "ENOENT" || attempt === ATTEMPTS) throw error;
      }
    }
  }

  /** Makes the names of a blob's parts durable, with all that they stand below, as far as it has not been removed meanwhile. */
  async sync(blob: string): Promise<void> {
    for (const folder of [this.of(blob), this.#shelf(blob), this.#root]) await ifThere(syncFolder(folder));
  }

  /** Removes what is empty of a blob's folders, and makes durable what has gone. */
  async sweep(blob: string): Promise<void> {
    for (const folder of [this.of(blob), this.#shelf(blob)])
      if (!(await removeEmpty(folder))) {
        await ifThere(syncFolder(folder));
        return;
      }
    await syncFolder(this.#root);
  }

  /** The names of all folders of blobs, also of empty ones. */
  async *blobs(): AsyncGenerator<string> {
    for await (const shelf of namesIn(this.#root))
      if (/^[0-9a-f]{2}$/.test(shelf))
        for await (const blob of namesIn(join(this.#root, shelf))) if (blob.startsWith(shelf)) yield blob;
  }
}

/** What stands in a folder; nothing where it is not there. */
export async function* namesIn(folder: string): AsyncGenerator<string> {
  const open: Dir | undefined = await ifThere(opendir(folder));
  if (open === undefined) return;
  for await (const { name } of open) yield name;
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

/** Whether the folder is gone. */
async function removeEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return true;
    if (code === "ENOTEMPTY" || code === "EEXIST") return false; // POSIX leaves the choice
    throw error;
  }
}
