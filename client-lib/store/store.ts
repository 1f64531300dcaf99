// What the client needs of a store, and how a store says no. Small on purpose: ratchet, inbox, outbox and everything
// else that has to change together are rows of tables, changed by one commit.
import type { Row, Write } from "../delivery/events.ts";
import { wordingOf } from "../edge/wording.ts";
import type { StoreErrorCode } from "../sentences.ts";

export type { StoreErrorCode };

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

export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, detail?: string) {
    super(wordingOf(code, detail));
    this.code = code;
  }
}
