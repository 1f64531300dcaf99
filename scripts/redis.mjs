// Finds a Redis server for the tests of many nodes, and installs Debian's where there is none and one may. Plain JavaScript.
import { spawnSync } from "node:child_process";
import { install } from "./debian.mjs";

const version = () => spawnSync("redis-server", ["--version"], { encoding: "utf8" });

if (version().error !== undefined) install("redis-server");
const { error, stdout } = version();
if (error !== undefined) {
  console.error(
    "lethe: the tests of many nodes need Redis 7: install it (Debian: apt-get install redis-server)",
  );
  process.exit(1);
}
console.log(stdout.trim());
