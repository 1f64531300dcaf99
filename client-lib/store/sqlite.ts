// The store of a client in Node: one file, `node:sqlite`, every record encrypted.
// Always true: one process has it open, by a lock of the operating system that a killed process cannot leave behind;
// a commit that has resolved is on the disk; what is deleted is overwritten in the file (best effort: see the docs).
import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, existsSync, openSync } from "node:fs";
import type * as Sqlite from "node:sqlite";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { ready } from "@lethe/crypto";
import type { Row, Write } from "../delivery/events.ts";
import { makeDataKey, openDataKey } from "./data-key.ts";
import { combine, Records, SCHEMA_VERSION } from "./records.ts";
import { type ClientStore, StoreError, type StoreErrorCode } from "./store.ts";

export interface SqliteStoreOptions {
  /** The store's file; made, readable by its owner alone, if it is not there. */
  readonly file: string;
  /** Undefined: the key is kept in `keyFile`. */
  readonly passphrase?: string;
  /** Default: the store's file name with `.key`. */
  readonly keyFile?: string;
}

const STORE_ID_BYTES = 16;
const DIGEST_BYTES = 32;
/** The header record: a counter of commits and the digest of all other records. */
const HEADER = { table: "header", key: "header" } as const;

/** Opens or makes the store. @throws StoreError */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<ClientStore> {
  await ready();
  const database = openLocked(options.file);
  try {
    const records = await unlock(database, options);
    return new SqliteStore(database, records);
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Not imported, so that an older Node says what it lacks and not that a module is missing. */
function sqlite(): typeof Sqlite {
  const found = process.getBuiltinModule?.("node:sqlite");
  if (found === undefined)
    throw new StoreError(
      "store-unreachable",
      `Node.js 22.18 or later is needed, this is ${process.versions.node}`,
    );
  return found;
}

function openLocked(file: string): DatabaseSync {
  try {
    if (!existsSync(file)) closeSync(openSync(file, "a", 0o600));
    chmodSync(file, 0o600);
  } catch (error) {
    throw new StoreError("store-unreachable", error instanceof Error ? error.message : file);
  }
  const database = new (sqlite().DatabaseSync)(file, { timeout: 0 });
  try {
    // Exclusive locking mode keeps the lock that the first write takes, until the connection ends or the process dies.
    database.exec("PRAGMA locking_mode = EXCLUSIVE");
    database.exec("PRAGMA journal_mode = WAL");
    database.exec("PRAGMA synchronous = FULL");
    database.exec("PRAGMA secure_delete = ON");
    database.exec("BEGIN IMMEDIATE");
    database.exec(
      "CREATE TABLE IF NOT EXISTS plain (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    );
    database.exec(
      "CREATE TABLE IF NOT EXISTS record (tab TEXT NOT NULL, place BLOB NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (tab, place)) WITHOUT ROWID",
    );
    database.exec("COMMIT");
    return database;
  } catch (error) {
    database.close();
    throw new StoreError(codeOf(error), error instanceof Error ? error.message : undefined);
  }
}

/** SQLite's primary result codes: 5 BUSY, 6 LOCKED, 11 CORRUPT, 26 NOTADB. */
function codeOf(error: unknown): StoreErrorCode {
  const code =
    error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : 0;
  const primary = code & 0xff;
  if (primary === 5 || primary === 6) return "store-in-use";
  return primary === 11 || primary === 26 ? "store-damaged" : "store-failed";
}

async function unlock(database: DatabaseSync, options: SqliteStoreOptions): Promise<Records> {
  const plain = (name: string): Uint8Array | undefined =>
    bytesOf(database.prepare("SELECT value FROM plain WHERE name = ?").get(name)?.["value"]);
  const how = { passphrase: options.passphrase, keyFile: options.keyFile ?? `${options.file}.key` };
  const storeId = plain("store-id");
  if (storeId === undefined) return make(database, how);
  const version = plain("schema");
  if (version?.[0] !== SCHEMA_VERSION) throw new StoreError("store-version");
  const wrapped = plain("data-key");
  if (wrapped === undefined) throw new StoreError("store-damaged", "data key");
  const dataKey = await openDataKey(wrapped, { ...how, storeId });
  return keyed(dataKey, storeId);
}

async function make(
  database: DatabaseSync,
  how: { passphrase: string | undefined; keyFile: string },
): Promise<Records> {
  const storeId = new Uint8Array(randomBytes(STORE_ID_BYTES));
  const { dataKey, wrapped } = await makeDataKey({ ...how, storeId });
  const put = database.prepare("INSERT INTO plain (name, value) VALUES (?, ?)");
  database.exec("BEGIN");
  put.run("store-id", storeId);
  put.run("schema", Uint8Array.of(SCHEMA_VERSION));
  put.run("data-key", wrapped);
  database.exec("COMMIT");
  return keyed(dataKey, storeId);
}

function keyed(dataKey: Buffer, storeId: Uint8Array): Records {
  const records = new Records(dataKey, storeId);
  dataKey.fill(0);
  return records;
}

class SqliteStore implements ClientStore {
  readonly #database: DatabaseSync;
  readonly #records: Records;
  readonly #read: StatementSync;
  readonly #readAll: StatementSync;
  readonly #write: StatementSync;
  readonly #delete: StatementSync;
  #digest: Uint8Array;
  #counter: number;
  #open = true;

  constructor(database: DatabaseSync, records: Records) {
    this.#database = database;
    this.#records = records;
    this.#read = database.prepare("SELECT bytes FROM record WHERE tab = ? AND place = ?");
    this.#readAll = database.prepare("SELECT place, bytes FROM record WHERE tab = ?");
    this.#write = database.prepare("INSERT OR REPLACE INTO record (tab, place, bytes) VALUES (?, ?, ?)");
    this.#delete = database.prepare("DELETE FROM record WHERE tab = ? AND place = ?");
    const header = this.#header();
    this.#counter = header.counter;
    this.#digest = header.digest;
    this.#verify();
  }

  #header(): { counter: number; digest: Uint8Array } {
    const place = this.#records.placeOf(HEADER.table, HEADER.key);
    const bytes = bytesOf(this.#read.get(HEADER.table, place)?.["bytes"]);
    if (bytes === undefined) return { counter: 0, digest: new Uint8Array(DIGEST_BYTES) };
    const { value } = this.#records.open(HEADER.table, place, bytes);
    const counter = Number(Buffer.from(value).readBigUInt64BE());
    return { counter, digest: value.slice(8) };
  }

  /** Every record is the one of the last commit: none was put back, taken away or added. */
  #verify(): void {
    const digest = new Uint8Array(DIGEST_BYTES);
    for (const row of this.#database.prepare("SELECT tab, place, bytes FROM record").iterate()) {
      const [table, place, bytes] = [row["tab"], bytesOf(row["place"]), bytesOf(row["bytes"])];
      if (typeof table !== "string" || place === undefined || bytes === undefined)
        throw new StoreError("store-damaged");
      if (table !== HEADER.table) combine(digest, this.#records.share(table, place, bytes));
    }
    if (!Buffer.from(digest).equals(this.#digest))
      throw new StoreError("store-damaged", "records were exchanged");
  }

  async get(table: string, key: string): Promise<Uint8Array | undefined> {
    this.#check();
    const place = this.#records.placeOf(table, key);
    const bytes = bytesOf(this.#read.get(table, place)?.["bytes"]);
    return bytes === undefined ? undefined : this.#records.open(table, place, bytes).value;
  }

  async list(table: string): Promise<Row[]> {
    this.#check();
    return this.#readAll.all(table).map((row) => {
      const [place, bytes] = [bytesOf(row["place"]), bytesOf(row["bytes"])];
      if (place === undefined || bytes === undefined) throw new StoreError("store-damaged", table);
      return this.#records.open(table, place, bytes);
    });
  }

  async commit(writes: readonly Write[]): Promise<void> {
    this.#check();
    if (writes.length === 0) return;
    const digest = this.#digest.slice();
    try {
      this.#database.exec("BEGIN");
      for (const write of writes) this.#apply(write, digest);
      this.#writeHeader(digest);
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error instanceof StoreError
        ? error
        : new StoreError("store-failed", error instanceof Error ? error.message : undefined);
    }
    this.#digest = digest;
    this.#counter += 1;
  }

  #apply({ table, key, value }: Write, digest: Uint8Array): void {
    const place = this.#records.placeOf(table, key);
    const old = bytesOf(this.#read.get(table, place)?.["bytes"]);
    if (old !== undefined) combine(digest, this.#records.share(table, place, old));
    if (value === undefined) {
      if (old !== undefined) this.#delete.run(table, place);
      return;
    }
    const sealed = this.#records.seal(table, key, value);
    combine(digest, this.#records.share(table, place, sealed));
    this.#write.run(table, place, sealed);
  }

  #writeHeader(digest: Uint8Array): void {
    const value = Buffer.alloc(8 + DIGEST_BYTES);
    value.writeBigUInt64BE(BigInt(this.#counter + 1));
    value.set(digest, 8);
    const place = this.#records.placeOf(HEADER.table, HEADER.key);
    this.#write.run(HEADER.table, place, this.#records.seal(HEADER.table, HEADER.key, value));
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#database.close();
  }

  #check(): void {
    if (!this.#open) throw new StoreError("store-closed");
  }
}

function bytesOf(value: unknown): Uint8Array | undefined {
  return value instanceof Uint8Array ? value : undefined;
}
