// Runs a list of named steps one after another, shows how long each took, and stops at the first that fails.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const tty = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const paint = (code, text) => (tty ? `\u001b[${code}m${text}\u001b[0m` : text);

/** A tool of node_modules/.bin, run on the pinned Node that npm puts first in PATH. */
export function step(name, command, args, env = {}) {
  const started = performance.now();
  console.log(paint("1;36", `▸ ${name}`));
  const run = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32",
    env: { ...process.env, ...env },
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (run.status !== 0) {
    console.log(paint("31", `✗ ${name} failed after ${seconds} s`));
    process.exitCode = 1;
    return false;
  }
  console.log(paint("32", `✓ ${name}`) + paint("2", ` ${seconds} s`));
  return true;
}

export function types() {
  return step("types", "tsc", ["-p", "."]);
}

export function lint() {
  return step("lint", "oxlint", ["--type-aware", "--quiet", "."]);
}

export function format() {
  return step("format", "biome", ["format", "."]);
}
