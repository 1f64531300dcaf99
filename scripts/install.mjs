// Installs what is missing before a command runs: plain JavaScript, so that any Node from 18 on can run it.
// `npm start` needs the relay's packages only; every other command needs the development ones too.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const lean = process.env.npm_lifecycle_event === "prestart";
const installed = join(root, "node_modules", ".package-lock.json");
const lock = join(root, "package-lock.json");

function has(name) {
  return existsSync(join(root, "node_modules", name, "package.json"));
}

function upToDate() {
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) return false;
  return has("fastify") && (lean || (has("vitest") && has("typescript")));
}

if (!upToDate()) {
  console.error(lean ? "lethe: installing the relay's packages (once)" : "lethe: installing packages (once)");
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error", ...(lean ? ["--omit=dev"] : [])];
  const npm = process.env.npm_execpath;
  const run =
    npm === undefined
      ? spawnSync("npm", args, { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" })
      : spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ["ignore", 2, 2] });
  if (run.status !== 0) {
    console.error("lethe: `npm ci` failed; run it by hand to see why");
    process.exit(1);
  }
}
