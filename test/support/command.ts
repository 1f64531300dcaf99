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
  return letheWith({}, ...args);
}

/** The same, with these variables beside the environment's own. */
export function letheWith(env: Readonly<Record<string, string>>, ...args: string[]): Promise<Ended> {
  const options = { timeout: 60_000, env: { ...process.env, ...env } };
  return new Promise((resolve) => {
    execFile(process.execPath, [LETHE, ...args], options, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, out, err });
    });
  });
}
