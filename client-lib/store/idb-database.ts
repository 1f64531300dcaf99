/// <reference lib="dom" />
// The database under a store in a browser: its layout, its keys, and reading it a page at a time.
// Always true: a key is a table and a place, so that a table's records stand together.
import { given, opened } from "./idb-requests.ts";
import type { Place } from "./records.ts";
import { StoreError } from "./store.ts";

type Key = [table: string, place: BufferSource];
export type Database = IDBDatabase;
/** `plain`, what is not a record: id, schema, wrapped key, wrapping key, the writer's token. */
type ObjectStore = "plain" | "record";

/** The version of IndexedDB's own layout. */
const LAYOUT = 1;
/** Rows that are read, opened or sealed at a stretch: about 4 ms of work. */
export const PAGE_ROWS = 128;

export const databaseName = (name: string): string => `lethe/${name}`;

/** `removed`: the browser, or somebody else, removes it. @throws StoreError store-version, store-unreachable */
export async function openDatabase(name: string, removed: () => void): Promise<Database> {
  try {
    return await opened(databaseName(name), {
      version: LAYOUT,
      make(database) {
        database.createObjectStore("plain");
        database.createObjectStore("record");
      },
      removed,
    });
  } catch (error) {
    const newer = error instanceof DOMException && error.name === "VersionError";
    throw new StoreError(newer ? "store-version" : "store-unreachable", says(error));
  }
}

export const says = (error: unknown): string => (error instanceof Error ? error.name : String(error));

export interface Stored {
  readonly table: string;
  readonly place: Place;
  readonly bytes: Uint8Array;
}

/**
 * The records of a table, or of all, a page at a time, as they are between two commits: in one transaction, which
 * lives only as long as the caller waits for nothing else between two pages.
 */
export async function* pagesOf(
  database: Database,
  table: string | undefined,
): AsyncGenerator<{ table: string; place: Place; bytes: Uint8Array }[]> {
  const last: Key | [string, []] | undefined = table === undefined ? undefined : [table, []];
  let after: Key | [string] | undefined = table === undefined ? undefined : [table];
  const store = database.transaction("record").objectStore("record");
  for (;;) {
    const range = rangeOf(after, last);
    const [keys, values] = await Promise.all([
      given(store.getAllKeys(range, PAGE_ROWS)) as Promise<Key[]>,
      given<Uint8Array[]>(store.getAll(range, PAGE_ROWS)),
    ]);
    yield keys.map(([of, place], i) => rowOf(of, place, values[i]));
    after = keys.at(-1);
    if (after === undefined || keys.length < PAGE_ROWS) return;
  }
}

/** The keys are their own types' order: text before bytes before lists. (Indexed Database API 3.0, "compare two keys") */
function rangeOf(
  after: readonly unknown[] | undefined,
  last: readonly unknown[] | undefined,
): IDBKeyRange | null {
  if (after === undefined) return null;
  return last === undefined
    ? IDBKeyRange.lowerBound(after, true)
    : IDBKeyRange.bound(after, last, true, true);
}

/** One value, in a transaction of its own. */
export async function valueAt(database: Database, of: ObjectStore, key: string | Key): Promise<unknown> {
  return given<unknown>(database.transaction(of).objectStore(of).get(key));
}

/** A transaction that writes: when it is committed, it is on the disk. */
export function writing(database: Database, of: ObjectStore | ObjectStore[]): IDBTransaction {
  return database.transaction(of, "readwrite", { durability: "strict" });
}

/** A copy: what is kept has a buffer of its own. */
export function keyOf(table: string, place: Place): Key {
  return [table, Uint8Array.from(place)];
}

function rowOf(table: string, place: BufferSource, bytes: Uint8Array | undefined): Stored {
  if (bytes === undefined || !(place instanceof ArrayBuffer)) throw new StoreError("store-damaged", table);
  return { table, place: new Uint8Array(place), bytes };
}
