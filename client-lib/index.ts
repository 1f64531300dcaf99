// What applications import. Everything else in this package is its own business.
export type { ClientCore, CoreConfig, CoreView } from "./delivery/core.ts";
export { createClientCore } from "./delivery/core.ts";
export type * from "./delivery/events.ts";
export { CORE_TABLES } from "./delivery/rows.ts";
export { openMemoryStore } from "./store/memory.ts";
export { openSqliteStore, type SqliteStoreOptions } from "./store/sqlite.ts";
export { type ClientStore, STORE_ERRORS, StoreError, type StoreErrorCode } from "./store/store.ts";
