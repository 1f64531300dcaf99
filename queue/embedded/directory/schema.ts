// The embedded directory's database: how it is opened, and its tables. Always true: WAL with synchronous FULL, so that a
// commit that returned is on the disk; secure_delete, so that what is deleted is overwritten; locking mode exclusive, so
// that the file is the data folder's lock, which the system lets go of whatever way the process ends.
import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { StoreOpenError } from "../../mailbox.ts";

export const SCHEMA_VERSION = 3;
/** Knew no media. */
const BEFORE_MEDIA = 2;

const TABLES = `
  CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE account (
    account BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, account_key BLOB NOT NULL, access_key_hash BLOB NOT NULL,
    list_version INTEGER NOT NULL, device_list BLOB NOT NULL,
    -- The day of UTC on which it was last used, counted from 1970-01-01.
    used_day INTEGER NOT NULL, hides_last_seen INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX account_used ON account (used_day);
  CREATE TABLE device (
    account BLOB NOT NULL, device INTEGER NOT NULL, signing_key BLOB NOT NULL, certificate BLOB NOT NULL,
    PRIMARY KEY (account, device)
  ) STRICT;
  -- SHA-256 of a deleted account's id, cut to 16 bytes: it is never registered again.
  CREATE TABLE deleted_account (mark BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;

  CREATE TABLE invite (mark BLOB PRIMARY KEY, uses INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  -- kind: 0 signed, 1 last resort, 2 one-time, 3 one-time KEM. serial is the order in which one-time keys are taken.
  CREATE TABLE prekey (
    serial INTEGER PRIMARY KEY, account BLOB NOT NULL, device INTEGER NOT NULL, kind INTEGER NOT NULL,
    id BLOB NOT NULL, bytes BLOB NOT NULL, UNIQUE (account, device, kind, id)
  ) STRICT;
  -- Ids of one-time keys that were handed out: an upload that comes late does not bring them back.
  CREATE TABLE used_prekey (
    serial INTEGER PRIMARY KEY, account BLOB NOT NULL, device INTEGER NOT NULL, kind INTEGER NOT NULL,
    id BLOB NOT NULL, UNIQUE (account, device, kind, id)
  ) STRICT;
  -- What a requester was given, for as long as it gets the same again.
  CREATE TABLE given (
    account BLOB NOT NULL, device INTEGER NOT NULL, requester BLOB NOT NULL, at INTEGER NOT NULL,
    one_time_id BLOB, one_time BLOB, one_time_kem_id BLOB, one_time_kem BLOB,
    PRIMARY KEY (account, device, requester)
  ) STRICT;
  CREATE INDEX given_at ON given (at);

  CREATE TABLE connection (
    address BLOB PRIMARY KEY, epoch INTEGER NOT NULL, last_seen INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  -- SHA-256 of a retired device's address, cut to 16 bytes.
  CREATE TABLE retired (mark BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;

  CREATE TABLE chore (
    name TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, payload TEXT NOT NULL,
    failures INTEGER NOT NULL, serial INTEGER NOT NULL, PRIMARY KEY (name, key)
  ) STRICT;
  CREATE INDEX chore_at ON chore (at);
`;

/** What a database of the version before lacks. */
const MEDIA_TABLES = `
  -- account: null once it has left. due: when it ends by itself, 0 once it has ended. tokens of it, and those not struck.
  CREATE TABLE media (
    media BLOB PRIMARY KEY, account BLOB, bytes INTEGER NOT NULL, upload_key BLOB NOT NULL, expires INTEGER NOT NULL,
    due INTEGER NOT NULL, is_ready INTEGER NOT NULL, is_closed INTEGER NOT NULL, tokens INTEGER NOT NULL,
    waiting INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX media_due ON media (due);
  CREATE INDEX media_account ON media (account, bytes) WHERE account IS NOT NULL;
  -- mark: of a release token.
  CREATE TABLE media_token (
    media BLOB NOT NULL, mark BLOB NOT NULL, is_struck INTEGER NOT NULL, PRIMARY KEY (media, mark)
  ) STRICT, WITHOUT ROWID;
`;

/** Pages of the log before SQLite moves them to the database by itself. */
const CHECKPOINT_PAGES = 1_000;

/** A fault of opening, as the worker tells it. */
export interface OpenFault {
  readonly code: StoreOpenError["code"];
  readonly message: string;
}

/** @throws OpenFault */
export function openDatabase(path: string): DatabaseSync {
  try {
    closeSync(openSync(path, "a", 0o600));
    const db = new DatabaseSync(path, { timeout: 0 });
    try {
      prepare(db);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  } catch (error) {
    throw isFault(error) ? error : openFault(error);
  }
}

function prepare(db: DatabaseSync): void {
  db.exec("PRAGMA locking_mode = EXCLUSIVE");
  db.exec("PRAGMA secure_delete = ON");
  db.exec("PRAGMA journal_mode = WAL");
  db.exec("PRAGMA synchronous = FULL");
  db.exec("PRAGMA temp_store = MEMORY");
  db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  db.exec("BEGIN EXCLUSIVE");
  const version = Number(db.prepare("PRAGMA user_version").get()?.["user_version"]);
  if (![0, BEFORE_MEDIA, SCHEMA_VERSION].includes(version))
    throw { code: "format-unknown", message: `the directory has format ${version}` } satisfies OpenFault;
  if (version === 0) db.exec(TABLES);
  if (version !== SCHEMA_VERSION) db.exec(`${MEDIA_TABLES} PRAGMA user_version = ${SCHEMA_VERSION};`);
  db.exec("COMMIT");
}

function isFault(error: unknown): error is OpenFault {
  return typeof error === "object" && error !== null && !(error instanceof Error) && "code" in error;
}

const BUSY = 5;
const LOCKED = 6;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

function openFault(error: unknown): OpenFault {
  const message = error instanceof Error ? error.message : "unknown";
  const code = sqliteCode(error);
  if (code === BUSY || code === LOCKED)
    return { code: "folder-in-use", message: "another relay uses the data folder" };
  if (code === CORRUPT || code === NOT_A_DATABASE)
    return { code: "corrupt", message: `the directory: ${message}` };
  return { code: "folder-unusable", message };
}

/** SQLite's primary result code, or -1. */
export function sqliteCode(error: unknown): number {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return -1;
  return error.errcode & 0xff;
}
