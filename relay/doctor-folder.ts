// What may be done with a folder, and how much room it has. Always true: nothing is left behind in it.
import { constants } from "node:fs";
import { access, mkdir, readdir, rm, stat, statfs, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

export const MIB = 1_048_576;

/** Bytes that somebody without privileges may still write there. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** @throws where nothing can be made in it */
export async function mayUse(folder: string): Promise<void> {
  await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  await probe(folder);
}

/** A relay that was once run as somebody else has left files that only they may use. @throws the first that may not be used */
export async function mayUseAll(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    try {
      await access(path, constants.R_OK | constants.W_OK);
      if (entry.isDirectory()) await mayUseAll(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // a relay that runs has removed it
    }
  }
}

/** The folder itself or the nearest above it that is there. */
export async function existing(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined && dirname(path) !== path ? existing(dirname(path)) : path;
}

async function probe(folder: string): Promise<void> {
  const trial = join(folder, `.lethe-doctor-${process.pid}`);
  await mkdir(trial);
  try {
    await writeFile(join(trial, "trial"), "x");
  } finally {
    await rm(trial, { recursive: true });
  }
}
