export * from "./backend.ts";
export * from "./directory.ts";
export * from "./mailbox.ts";
