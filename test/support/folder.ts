// Folders of one test's own, gone when it is over; and what stands in their files, byte by byte.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./waiting.ts";

/** The forget bound of the embedded backend, ms. */
export const FORGET_MS = 60_000;

export interface Folder extends AsyncDisposable {
  readonly path: string;
}

export async function aFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), "lethe-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** Every regular file below the folder, with what it holds; files that go while we look are not there. */
export async function contentsOf(folder: string): Promise<{ path: string; bytes: Buffer }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const out: { path: string; bytes: Buffer }[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path).catch(() => undefined);
    if (bytes !== undefined) out.push({ path, bytes });
  }
  return out;
}

/** The files of the folder in which the bytes stand. */
export async function filesHolding(folder: string, needle: Uint8Array): Promise<string[]> {
  const files = await contentsOf(folder);
  return files.filter(({ bytes }) => bytes.includes(Buffer.from(needle))).map(({ path }) => path);
}

/** How often the bytes stand in the files of the folder. */
export async function copiesIn(folder: string, needle: Uint8Array): Promise<number> {
  const files = await contentsOf(folder);
  return files.reduce((copies, { bytes }) => copies + occurrences(bytes, needle), 0);
}

export function occurrences(bytes: Buffer, needle: Uint8Array): number {
  let found = 0;
  for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1)) found++;
  return found;
}

/** Waits until none of these bytes stand in any file of the folder, no longer than the forget bound. */
export async function untilForgotten(
  folder: string,
  needles: Readonly<Record<string, Uint8Array>>,
): Promise<void> {
  for (const [what, bytes] of Object.entries(needles))
    await eventually(
      FORGET_MS,
      `the end of ${what} in the files`,
      async () => ((await filesHolding(folder, bytes)).length === 0 ? true : undefined),
      200,
    );
}
