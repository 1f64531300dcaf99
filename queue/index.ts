// What a relay keeps, and who keeps it: the interfaces, and the one way to open a backend.
export * from "./backend.ts";
export * from "./directory.ts";
export * from "./mailbox.ts";
export { type MemoryConfig, openMemoryBackend } from "./memory/index.ts";
export { realTimers, type Timers } from "./timers.ts";
