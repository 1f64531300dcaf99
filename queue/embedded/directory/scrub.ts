// Overwriting what SQLite leaves behind. `secure_delete` zeroes freed cells and pages, but where a b-tree page is rebuilt
// (its neighbours were split or joined) cells that moved away stay in the page's unallocated space, and outlive the
// deletion of their row. This file zeroes that space in the database file, and nothing else.
//
// Always true: it runs while the write-ahead log is empty and no statement is under way; every byte it changes is one that
// the file format defines as unallocated (SQLite, "Database File Format", 1.6: between the cell pointer array and the cell
// content area), so a torn write harms nothing; SQLite's cached copies are dropped before it runs again. The descriptor
// stays open as long as the database: closing any one of a file's descriptors lets go of all its POSIX locks.
import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";

/** Bytes looked at between two batches of requests. */
const SLICE_BYTES = 16 * 1_048_576;
const FILE_HEADER_BYTES = 100;
/** Beyond so many pages an overflow page's first byte could be taken for a b-tree page's type (64 GB). */
const MAX_PAGES = 2 ** 24;
const ZEROS = Buffer.alloc(65_536);
/** Length of a b-tree page's header by its type: interior and leaf pages of indexes and tables. */
const HEADER_BYTES: ReadonlyMap<number, number> = new Map([
  [0x02, 12],
  [0x05, 12],
  [0x0a, 8],
  [0x0d, 8],
]);

export class Scrubber {
  readonly #db: DatabaseSync;
  readonly #fd: number;

  constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#fd = openSync(path, "r+");
  }

  /** Scrubs a slice from byte `from` on; returns where the next begins, undefined at the end of the file. @throws */
  slice(from: number): number | undefined {
    const { size } = fstatSync(this.#fd);
    const header = Buffer.alloc(FILE_HEADER_BYTES);
    readSync(this.#fd, header, 0, FILE_HEADER_BYTES, 0);
    // A page of 65,536 bytes stands as 1.
    const pageBytes = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
    if (size / pageBytes > MAX_PAGES) throw new RangeError("the directory is too large to be scrubbed");
    const bytes = Buffer.allocUnsafe(Math.min(SLICE_BYTES, size - from));
    const length = readSync(this.#fd, bytes, 0, bytes.length, from);
    let changed = 0;
    for (let at = 0; at + pageBytes <= length; at += pageBytes) {
      const page = bytes.subarray(at, at + pageBytes);
      if (!scrubPage(page, from + at === 0 ? FILE_HEADER_BYTES : 0)) continue;
      writeSync(this.#fd, page, 0, pageBytes, from + at);
      changed++;
    }
    if (changed > 0) fdatasyncSync(this.#fd);
    this.#db.exec("PRAGMA shrink_memory");
    return from + length < size && length > 0 ? from + length : undefined;
  }

  /** After the database has been closed. */
  close(): void {
    closeSync(this.#fd);
  }
}

/** Zeroes the unallocated space of a b-tree page; true where anything was in it. */
function scrubPage(page: Buffer, at: number): boolean {
  const headerBytes = HEADER_BYTES.get(page[at] as number);
  if (headerBytes === undefined) return false;
  const from = at + headerBytes + 2 * page.readUInt16BE(at + 3);
  const content = page.readUInt16BE(at + 5);
  const to = content === 0 ? 65_536 : content;
  if (from >= to || to > page.length) return false;
  const gap = page.subarray(from, to);
  if (gap.equals(ZEROS.subarray(0, gap.length))) return false;
  gap.fill(0);
  return true;
}
