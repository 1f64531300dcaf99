export * from "./codec.ts";
export * from "./frames.ts";
export * from "./http.ts";
export * from "./ids.ts";
export * from "./limits.ts";
export * from "./problems.ts";
export * from "./sentences.ts";
export * from "./versions.ts";
