// A program of the documentation, run as a process of its own on this Node.
import { spawn } from "node:child_process";
import { expect } from "vitest";

/** Runs a program in a folder and gives what it wrote on stdout; its exit status must be 0. */
export async function runProgram(file: string, cwd: string): Promise<string> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", file], {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    out += chunk;
  });
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  expect(status, out).toBe(0);
  return out;
}
