// Wall clocks that can be moved while a process runs: libfaketime, where it is installed. The monotonic clock stays.
import { existsSync } from "node:fs";

const LIBRARIES = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(
  (machine) => `/usr/lib/${machine}/faketime/libfaketimeMT.so.1`,
);

export interface FakedClock {
  /** The environment of a process whose offset stands in this file. */
  env(file: string): Readonly<Record<string, string>>;
}

/** Or why there is none. */
export function fakedClock(): FakedClock | string {
  const library = LIBRARIES.find((path) => existsSync(path));
  if (library === undefined) return "clocks cannot be moved here: libfaketime is not installed";
  return {
    env: (file) => ({
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      FAKETIME_CACHE_DURATION: "1",
    }),
  };
}
