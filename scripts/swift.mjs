// Finds OpenStack Swift for the tests of media in an S3 store, and installs Debian's where there is none and one may. Plain JavaScript.
import { spawnSync } from "node:child_process";
import { install } from "./debian.mjs";

const PACKAGES = ["swift-proxy", "swift-account", "swift-container", "swift-object", "memcached"];

const missing = () =>
  spawnSync("swift-proxy-server", ["--help"]).error ?? spawnSync("memcached", ["-V"]).error;

if (missing() !== undefined) for (const name of PACKAGES) install(name);
if (missing() !== undefined) {
  console.error(
    `lethe: the tests of media in an S3 store need OpenStack Swift: install it (Debian: apt-get install ${PACKAGES.join(" ")})`,
  );
  process.exit(1);
}
console.log("OpenStack Swift");
