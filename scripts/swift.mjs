// Finds OpenStack Swift for the tests of media in an S3 store, and installs Debian's where there is none and one may. Plain
// JavaScript.
import { existsSync } from "node:fs";
import { install } from "./debian.mjs";

const PACKAGES = ["swift-proxy", "swift-account", "swift-container", "swift-object", "memcached"];

/** Swift's packages have their server's name. */
const missing = () =>
  PACKAGES.filter((name) => !existsSync(`/usr/bin/${name === "memcached" ? name : `${name}-server`}`));

for (const name of missing()) install(name);
if (missing().length > 0) {
  console.error(
    `lethe: the tests of media in an S3 store need OpenStack Swift: install it (Debian: apt-get install ${missing().join(" ")})`,
  );
  process.exit(1);
}
console.log("OpenStack Swift");
