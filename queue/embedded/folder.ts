// The data folder: what makes it one of ours, and its rights. The lock is the directory's database (see its schema).
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { StoreOpenError } from "../mailbox.ts";
import { codeOf, syncFolder } from "./files.ts";

/** What stands in the folder's `format` file: raised whenever older code could not read what newer code wrote. */
export const FORMAT = "lethe-queue 3\n";
/** Without payloads that envelopes share (1) or media (2): read as they are, and never written by this version. */
const OLDER = ["lethe-queue 1\n", "lethe-queue 2\n"];

export interface DataFolder {
  readonly database: string;
  /** Where the segments are. */
  readonly mail: string;
}

/** Makes the folder if need be. @throws StoreOpenError */
export async function prepareFolder(folder: string): Promise<DataFolder> {
  const paths = { database: join(folder, "directory.sqlite"), mail: join(folder, "mail") };
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await checkFormat(folder, paths);
    mkdirSync(paths.mail, { recursive: true, mode: 0o700 });
    for (const path of [folder, paths.mail]) chmodSync(path, 0o700);
    await syncFolder(folder);
    return paths;
  } catch (error) {
    if (error instanceof StoreOpenError) throw error;
    throw new StoreOpenError("folder-unusable", `cannot use ${folder}: ${codeOf(error)}`);
  }
}

async function checkFormat(folder: string, paths: DataFolder): Promise<void> {
  const path = join(folder, "format");
  if (existsSync(path)) {
    const format = readFileSync(path, "latin1");
    if (format === FORMAT || OLDER.includes(format)) return;
    throw new StoreOpenError("format-unknown", `${path} names a format that this version does not know`);
  }
  if (existsSync(paths.database) || existsSync(paths.mail)) {
    throw new StoreOpenError("format-unknown", `${folder} holds a store, but ${path} is missing`);
  }
  await writeFormat(path);
}

/** From now on older code refuses the folder. To be called once the folder is locked, and before anything is appended. */
export async function raiseFormat(folder: string): Promise<void> {
  const path = join(folder, "format");
  if (readFileSync(path, "latin1") === FORMAT) return;
  const beside = `${path}.new`;
  await writeFormat(beside);
  await rename(beside, path);
  await syncFolder(folder);
}

async function writeFormat(path: string): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(FORMAT);
    await file.sync();
  } finally {
    await file.close();
  }
}
