// What applications import. Everything else in this package is its own business. A bundle for browsers has `browser.ts`
// in its place; type checkers look here for both, so the store of browsers is here too, and says that there is none.
export type { SafetyNumber } from "@lethe/crypto";
export * from "./browser.ts";
export { saveMedia } from "./media/file-sink.ts";
export { fileSource } from "./media/file-source.ts";
export { openSqliteStore, type SqliteStoreOptions } from "./store/sqlite.ts";
