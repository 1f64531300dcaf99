// Where files come from and go to. Always true: an existing file is never written over; what is called as a person or a sender has
// said is whole, and what is not yet has a name beside it.
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, parse, resolve, sep } from "node:path";
import { fileSource } from "../media/file-source.ts";
import { safeName } from "../media/safe-name.ts";
import type { MediaSource } from "../media/source.ts";
import { mediaTypeOf } from "./file-kinds.ts";
import { HEADER_BYTES, imageHeader } from "./image-header.ts";

/** A file that is to be sent. */
export interface FileToSend {
  readonly source: MediaSource;
  readonly name: string;
  readonly type: string;
  readonly width: number | undefined;
  readonly height: number | undefined;
}

/** Of `name (N).jpg`. */
const MAX_SAME_NAME = 10_000;

/** `~` is the person's own folder. */
function pathOf(typed: string): string {
  return resolve(/^~(?:$|[/\\])/.test(typed) ? join(homedir(), typed.slice(1)) : typed);
}

async function kindOf(path: string): Promise<"file" | "folder" | undefined> {
  const is = await stat(path).catch(() => undefined);
  return is === undefined ? undefined : is.isDirectory() ? "folder" : "file";
}

/** @throws Error in words */
export async function fileToSend(typed: string): Promise<FileToSend> {
  const path = pathOf(typed);
  const kind = await kindOf(path);
  if (kind === undefined) throw new Error(`There is no file ${path}.`);
  if (kind === "folder") throw new Error(`${path} is a folder: a file can be sent.`);
  const header = imageHeader(await firstBytes(path));
  const { base: name } = parse(path);
  const type = header?.type ?? mediaTypeOf(name);
  const source = await fileSource(path, { type });
  return { source, name, type, width: header?.width, height: header?.height };
}

async function firstBytes(path: string): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  for await (const piece of createReadStream(path, { end: HEADER_BYTES - 1 })) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** All of a file, if it is no larger. */
export async function smallFile(path: string, cap: number): Promise<Uint8Array | undefined> {
  const is = await stat(path).catch(() => undefined);
  if (is === undefined || is.size > cap) return undefined;
  const pieces: Buffer[] = [];
  for await (const piece of createReadStream(path, { end: cap })) pieces.push(piece as Buffer);
  const bytes = Buffer.concat(pieces);
  return bytes.length > cap ? undefined : bytes;
}

/** Made if it is not there. @throws Error in words */
export async function folderAt(typed: string): Promise<string> {
  const path = pathOf(typed);
  await mkdir(path, { recursive: true }).catch(() => undefined);
  if ((await kindOf(path)) !== "folder")
    throw new Error(`${path} is no folder that files could be saved in.`);
  return path;
}

/** Where a received file is to be: in the folder or under the name that was typed, else where downloads are. @throws Error in words */
export async function placeFor(typed: string, claimed: string): Promise<string> {
  if (typed === "") {
    const downloads = join(homedir(), "Downloads");
    return join((await kindOf(downloads)) === "folder" ? downloads : resolve("."), safeName(claimed));
  }
  const path = pathOf(typed);
  const isFolder = /[/\\]$/.test(typed) || (await kindOf(path)) === "folder";
  const folder = isFolder ? path : dirname(path);
  if ((await kindOf(folder)) !== "folder") throw new Error(`There is no folder ${folder}.`);
  return isFolder ? join(path, safeName(claimed)) : path;
}

/** Gives a file the name that was wanted, or the first free one like it. @returns the path that it has */
export async function moveToFree(from: string, wanted: string): Promise<string> {
  const { dir, name, ext } = parse(wanted);
  for (let count = 0; count < MAX_SAME_NAME; count++) {
    const path = count === 0 ? wanted : `${dir}${dir.endsWith(sep) ? "" : sep}${name} (${count})${ext}`;
    if (!(await take(path))) continue;
    await rename(from, path).catch(async (error: unknown) => {
      await rm(path, { force: true });
      throw error;
    });
    return path;
  }
  throw new Error(`There are too many files called ${name} in ${dir}.`);
}

/** An empty file under that name, so that nobody else takes it. False: something is there. */
async function take(path: string): Promise<boolean> {
  try {
    const file = await open(path, "wx", 0o600);
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

export async function isFile(path: string): Promise<boolean> {
  return (await kindOf(path)) === "file";
}

/** What was written of a file under a name of its own, whole or not. */
export async function removeBeside(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(`${path}.part`, { force: true });
}
