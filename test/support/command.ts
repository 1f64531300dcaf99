// The `lethe` command, as it is typed: a process of its own.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

const LETHE = fileURLToPath(new URL("../../client-lib/bin/lethe.js", import.meta.url));

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Its exit code and what it wrote. */
export function lethe(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [LETHE, ...args], { timeout: 60_000 }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, out, err });
    });
  });
}
