// Finds a Chromium for the tests of browsers, and installs Debian's where there is none and one may: as root, with apt.
// Prints its path. `LETHE_CHROMIUM` names another. Plain JavaScript.
import { existsSync } from "node:fs";
import { install } from "./debian.mjs";

const PLACES = [
  process.env.LETHE_CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

function found() {
  return PLACES.find((path) => path !== undefined && path !== "" && existsSync(path));
}

if (found() === undefined) install("chromium");
const path = found();
if (path === undefined) {
  console.error(
    "lethe: the tests of browsers need Chromium: install it (Debian: apt-get install chromium), or name one in LETHE_CHROMIUM",
  );
  process.exit(1);
}
console.log(path);
