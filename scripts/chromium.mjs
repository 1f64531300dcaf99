// Finds a Chromium for the tests of browsers, and installs Debian's where there is none and one may: as root, with apt.
// Prints its path. `LETHE_CHROMIUM` names another. Plain JavaScript.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const PLACES = [
  process.env.LETHE_CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

function found() {
  return PLACES.find((path) => path !== undefined && path !== "" && existsSync(path));
}

function install() {
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return;
  console.error("lethe: installing chromium for the tests (once)");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args) =>
    spawnSync("apt-get", ["-q", "-y", "-o", "DPkg::Lock::Timeout=300", ...args], {
      stdio: ["ignore", 2, 2],
      env,
    }).status === 0;
  if (!apt("install", "--no-install-recommends", "chromium") && apt("update"))
    apt("install", "--no-install-recommends", "chromium");
}

if (found() === undefined) install();
const path = found();
if (path === undefined) {
  console.error(
    "lethe: the tests of browsers need Chromium: install it (Debian: apt-get install chromium), or name one in LETHE_CHROMIUM",
  );
  process.exit(1);
}
console.log(path);
