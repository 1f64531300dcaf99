// What the client needs of a store, and how a store says no. Small on purpose: ratchet, inbox, outbox and everything
// else that has to change together are rows of tables, changed by one commit.
import type { Row, Write } from "../delivery/events.ts";

export interface ClientStore {
  /** The row's value, or undefined. @throws StoreError store-closed, store-damaged */
  get(table: string, key: string): Promise<Uint8Array | undefined>;
  /** All rows of a table, in any order. */
  list(table: string): Promise<Row[]>;
  /**
   * All writes happen or none, in their order, and they are durable when the promise resolves. Commits take effect in
   * the order of their calls. @throws StoreError store-failed: nothing happened
   */
  commit(writes: readonly Write[]): Promise<void>;
  /** Ends what was begun and lets the store go. Everything after that is refused with store-closed. */
  close(): Promise<void>;
}

export const STORE_ERRORS = {
  "wrong-passphrase": "The store does not open with this passphrase.",
  "passphrase-needed": "The store was made with a passphrase: give it.",
  "passphrase-unknown":
    "The store was made without a passphrase: its key is in the key file, and a passphrase would protect nothing.",
  "key-file-missing": "The store's key file is not there: put it back, or begin with a new store.",
  "key-file-open":
    "The store's key file can be read by others: make it readable by its owner alone (chmod 600).",
  "store-in-use": "Another process has the store open, or another tab: end it, or use another store.",
  "store-evicted":
    "The browser has removed the store and its keys with it: remove what is left of it (removeIdbStore), and begin with a new account.",
  "passphrase-not-taken": "A store in a browser takes no passphrase: its key is one that no script can read.",
  "store-damaged": "The store's content does not verify: it was damaged, or a part of it was exchanged.",
  "store-version": "The store was made by a later version of this library.",
  "store-failed": "The store could not write.",
  "store-unreachable": "The store's file cannot be opened.",
  "store-closed": "The store is closed.",
} as const;

export type StoreErrorCode = keyof typeof STORE_ERRORS;

export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, detail?: string) {
    super(detail === undefined ? STORE_ERRORS[code] : `${STORE_ERRORS[code]} (${detail})`);
    this.code = code;
  }
}
