/// <reference lib="dom" />
// The store of a client in a browser: one IndexedDB database, every record encrypted as in Node's store.
// Always true: one tab has it open, by a Web Lock, and a tab that lost it cannot write, by a fence inside each commit;
// a commit that has resolved is on the disk (durability `strict`); no call holds the page for more than one page of rows.
import { equal, ready, systemRandom } from "@lethe/crypto";
import type { Row, Write } from "../delivery/events.ts";
import {
  type Database,
  databaseName,
  keyOf,
  openDatabase,
  PAGE_ROWS,
  pagesOf,
  says,
  valueAt,
  writing,
} from "./idb-database.ts";
import { pause } from "../edge/clock.ts";
import { Mark, makeDataKey, openDataKey } from "./idb-key.ts";
import { type Hold, takeLock } from "./idb-lock.ts";
import { committed, given } from "./idb-requests.ts";
import { combine, type Place, Records, SCHEMA_VERSION } from "./records.ts";
import { type ClientStore, StoreError, type StoreErrorCode } from "./store.ts";

export interface IdbStoreOptions {
  /** The store's name within its origin: one for each account. */
  readonly name: string;
  /** While another tab has it open: `refuse` with store-in-use (default), or `wait` until that tab is gone. */
  readonly whenInUse?: "refuse" | "wait";
  /** Ends the wait. */
  readonly signal?: AbortSignal;
}

const ID_BYTES = 16;
const DIGEST_BYTES = 32;
/** The header record: a counter of commits and the digest of all other records. */
const HEADER = { table: "header", key: "header" } as const;

/** Opens or makes the store. @throws StoreError store-in-use, store-evicted, store-damaged, store-version, store-unreachable */
export async function openIdbStore(options: IdbStoreOptions): Promise<ClientStore> {
  await ready();
  const { name, whenInUse = "refuse", signal } = options;
  const fate = new Fate();
  const hold = await takeLock({ name, whenInUse, signal, lost: () => fate.lose("store-in-use") });
  try {
    const database = await openDatabase(name, () => fate.lose("store-evicted"));
    fate.holds(() => database.close());
    try {
      return await IdbStore.open({ database, hold, fate, mark: new Mark(name) });
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    hold.release();
    throw error;
  }
}

/** Removes the store and its mark: to forget an account, or to begin anew after store-evicted. @throws StoreError store-in-use */
export async function removeIdbStore(name: string): Promise<void> {
  const hold = await takeLock({ name, whenInUse: "refuse", signal: undefined, lost: () => undefined });
  try {
    await given(indexedDB.deleteDatabase(databaseName(name)));
    new Mark(name).remove();
  } finally {
    hold.release();
  }
}

/** Why a store is not usable any more, once it is not. */
class Fate {
  #ended: StoreErrorCode | undefined;
  #letGo: () => void = () => undefined;

  /** What is let go when the store is lost: who has it now may want to remove it. */
  holds(letGo: () => void): void {
    this.#letGo = letGo;
    if (this.#ended !== undefined) letGo();
  }

  lose(code: StoreErrorCode): void {
    this.#ended ??= code;
    this.#letGo();
  }

  close(): void {
    this.#ended ??= "store-closed";
  }

  check(): void {
    if (this.#ended !== undefined) throw new StoreError(this.#ended);
  }

  get code(): StoreErrorCode | undefined {
    return this.#ended;
  }
}

interface Parts {
  readonly database: Database;
  readonly hold: Hold;
  readonly fate: Fate;
}

interface Change {
  readonly table: string;
  readonly place: Place;
  /** Undefined: the record goes. */
  readonly sealed: Uint8Array | undefined;
}

class IdbStore implements ClientStore {
  readonly #database: Database;
  readonly #hold: Hold;
  readonly #fate: Fate;
  readonly #records: Records;
  /** Written at opening; who finds another one there has been replaced. */
  readonly #writer: Uint8Array;
  #digest: Uint8Array = new Uint8Array(DIGEST_BYTES);
  #counter = 0;
  /** Resolves when every commit that was called has ended. */
  #last: Promise<unknown> = Promise.resolve();

  static async open({ mark, ...parts }: Parts & { mark: Mark }): Promise<IdbStore> {
    const { database } = parts;
    const records = (await unlock(database)) ?? (await make(database, mark));
    mark.put();
    const writer = systemRandom.bytes(ID_BYTES);
    const turn = writing(database, "plain");
    turn.objectStore("plain").put(writer, "writer");
    await committed(turn);
    const store = new IdbStore(parts, records, writer);
    await store.#verify();
    return store;
  }

  private constructor({ database, hold, fate }: Parts, records: Records, writer: Uint8Array) {
    this.#database = database;
    this.#hold = hold;
    this.#fate = fate;
    this.#records = records;
    this.#writer = writer;
  }

  /** Every record is the one of the last commit: none was put back, taken away or added. */
  async #verify(): Promise<void> {
    const found = new Uint8Array(DIGEST_BYTES);
    for await (const page of pagesOf(this.#database, undefined)) {
      for (const { table, place, bytes } of page) {
        if (table !== HEADER.table) combine(found, this.#records.share(table, place, bytes));
        else this.#takeHeader(place, bytes);
      }
    }
    if (!equal(found, this.#digest)) throw new StoreError("store-damaged", "records were exchanged");
  }

  #takeHeader(place: Place, bytes: Uint8Array): void {
    const { value } = this.#records.open(HEADER.table, place, bytes);
    if (value.length !== 8 + DIGEST_BYTES) throw new StoreError("store-damaged", HEADER.table);
    this.#counter = Number(new DataView(value.buffer, value.byteOffset).getBigUint64(0));
    this.#digest = value.slice(8);
  }

  async get(table: string, key: string): Promise<Uint8Array | undefined> {
    this.#fate.check();
    const place = this.#records.placeOf(table, key);
    const found = valueAt(this.#database, "record", keyOf(table, place));
    const bytes = await found.catch((e: unknown) => this.#fail(e));
    return bytes === undefined ? undefined : this.#records.open(table, place, bytes as Uint8Array).value;
  }

  async list(table: string): Promise<Row[]> {
    this.#fate.check();
    const rows: Row[] = [];
    try {
      for await (const page of pagesOf(this.#database, table))
        for (const { place, bytes } of page) rows.push(this.#records.open(table, place, bytes));
    } catch (error) {
      this.#fail(error);
    }
    return rows;
  }

  async commit(writes: readonly Write[]): Promise<void> {
    this.#fate.check();
    if (writes.length === 0) return;
    // Copied before anything is waited for: the caller's bytes are its own again.
    const mine = writes.map(({ table, key, value }) => ({ table, key, value: value?.slice() }));
    const done = this.#last.then(() => this.#write(mine));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #write(writes: readonly Write[]): Promise<void> {
    try {
      const changes = await this.#sealed(writes);
      const turn = writing(this.#database, ["plain", "record"]);
      const done = committed(turn);
      // Whatever fails below fails this too, and is told below.
      done.catch(() => undefined);
      const writer = await given<unknown>(turn.objectStore("plain").get("writer"));
      if (!(writer instanceof Uint8Array) || !equal(writer, this.#writer)) {
        turn.abort();
        this.#fate.lose("store-in-use");
        throw new StoreError("store-in-use", "another tab took over");
      }
      const digest = this.#digest.slice();
      const records = turn.objectStore("record");
      for (const page of inPages(changes)) await this.#apply(page, records, digest);
      await this.#apply([this.#header(digest)], records, new Uint8Array(DIGEST_BYTES));
      await done;
      this.#digest = digest;
      this.#counter += 1;
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The last change of each record, sealed: what stood there in between is never written. */
  async #sealed(writes: readonly Write[]): Promise<Change[]> {
    const last = new Map(writes.map((write) => [`${write.table.length}/${write.table}/${write.key}`, write]));
    const changes: Change[] = [];
    for (const page of inPages([...last.values()])) {
      if (changes.length > 0) await pause();
      for (const write of page) changes.push(this.#seal(write));
    }
    return changes;
  }

  #seal({ table, key, value }: Write): Change {
    const place = this.#records.placeOf(table, key);
    return { table, place, sealed: value === undefined ? undefined : this.#records.seal(table, key, value) };
  }

  /** Puts changes into the transaction and into the digest; a request to the database is what lets others have their turn. */
  async #apply(changes: readonly Change[], records: IDBObjectStore, digest: Uint8Array): Promise<void> {
    const found = changes.map(({ table, place }) =>
      given<Uint8Array | undefined>(records.get(keyOf(table, place))),
    );
    const olds = await Promise.all(found);
    changes.forEach(({ table, place, sealed }, i) => {
      const old = olds[i];
      if (old !== undefined) combine(digest, this.#records.share(table, place, old));
      if (sealed !== undefined) combine(digest, this.#records.share(table, place, sealed));
      const key = keyOf(table, place);
      // What fails here ends the transaction, which is waited for.
      if (sealed === undefined) records.delete(key);
      else records.put(sealed, key);
    });
  }

  #header(digest: Uint8Array): Change {
    const value = new Uint8Array(8 + DIGEST_BYTES);
    new DataView(value.buffer).setBigUint64(0, BigInt(this.#counter + 1));
    value.set(digest, 8);
    return this.#seal({ ...HEADER, value });
  }

  /** What a failure of IndexedDB is: of a store that is gone, or of a disk. */
  #fail(error: unknown): never {
    if (error instanceof StoreError) throw error;
    throw new StoreError(this.#fate.code ?? "store-failed", says(error));
  }

  async close(): Promise<void> {
    if (this.#fate.code === "store-closed") return;
    this.#fate.close();
    await this.#last;
    this.#database.close();
    this.#hold.release();
  }
}

function inPages<T>(all: readonly T[]): T[][] {
  const pages: T[][] = [];
  for (let at = 0; at < all.length; at += PAGE_ROWS) pages.push(all.slice(at, at + PAGE_ROWS));
  return pages;
}

async function unlock(database: Database): Promise<Records | undefined> {
  const [storeId, schema, wrapped, wrappingKey] = await Promise.all(
    ["store-id", "schema", "data-key", "wrapping-key"].map((name) => valueAt(database, "plain", name)),
  );
  if (storeId === undefined) return undefined;
  if (!(schema instanceof Uint8Array) || schema[0] !== SCHEMA_VERSION) throw new StoreError("store-version");
  if (
    !(storeId instanceof Uint8Array) ||
    !(wrapped instanceof Uint8Array) ||
    !(wrappingKey instanceof CryptoKey)
  )
    throw new StoreError("store-damaged", "data key");
  const dataKey = await openDataKey({ wrappingKey, wrapped: Uint8Array.from(wrapped) }, storeId);
  return keyed(dataKey, storeId);
}

async function make(database: Database, mark: Mark): Promise<Records> {
  if (mark.isThere()) throw new StoreError("store-evicted");
  const storeId = systemRandom.bytes(ID_BYTES);
  const { dataKey, wrapped, wrappingKey } = await makeDataKey(storeId);
  const turn = writing(database, "plain");
  const plain = turn.objectStore("plain");
  plain.put(storeId, "store-id");
  plain.put(Uint8Array.of(SCHEMA_VERSION), "schema");
  plain.put(wrapped, "data-key");
  plain.put(wrappingKey, "wrapping-key");
  await committed(turn);
  askToPersist();
  return keyed(dataKey, storeId);
}

/** The browser may ask its person, or decide: nothing waits for it. A worker cannot ask. (Storage Standard, `persist`) */
function askToPersist(): void {
  const { storage } = globalThis.navigator as { readonly storage?: Partial<StorageManager> };
  storage?.persist?.().then(
    () => undefined,
    () => undefined,
  );
}

function keyed(dataKey: Uint8Array, storeId: Uint8Array): Records {
  const records = new Records(dataKey, storeId);
  dataKey.fill(0);
  return records;
}
