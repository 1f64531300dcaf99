// A store in memory: for tests, and for applications that want to forget everything when they end.
// Always true: no bytes are shared with the caller, in either direction.
import type { Row, Write } from "../delivery/events.ts";
import { type ClientStore, StoreError } from "./store.ts";

export function openMemoryStore(): ClientStore {
  return new MemoryStore();
}

class MemoryStore implements ClientStore {
  readonly #tables = new Map<string, Map<string, Uint8Array>>();
  #closed = false;

  // `async` throughout, so that a refusal is a rejection as with every other backend.
  async get(table: string, key: string): Promise<Uint8Array | undefined> {
    this.#check();
    return this.#tables.get(table)?.get(key)?.slice();
  }

  async list(table: string): Promise<Row[]> {
    this.#check();
    return [...(this.#tables.get(table) ?? [])].map(([key, value]) => ({ key, value: value.slice() }));
  }

  async commit(writes: readonly Write[]): Promise<void> {
    this.#check();
    for (const { table, key, value } of writes) {
      const rows = this.#tables.get(table) ?? new Map<string, Uint8Array>();
      this.#tables.set(table, rows);
      if (value === undefined) rows.delete(key);
      else rows.set(key, value.slice());
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#tables.clear();
  }

  #check(): void {
    if (this.#closed) throw new StoreError("store-closed");
  }
}
