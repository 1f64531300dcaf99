// Installs a Debian package that tests need, once, where one may: as root, with apt. Plain JavaScript.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

export function install(name) {
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return;
  console.error(`lethe: installing ${name} for the tests (once)`);
  // RUNLEVEL: a server that comes with a package is not started (invoke-rc.d(8)).
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const apt = (...args) =>
    spawnSync("apt-get", ["-q", "-y", "-o", "DPkg::Lock::Timeout=300", ...args], {
      stdio: ["ignore", 2, 2],
      env,
    }).status === 0;
  if (!apt("install", "--no-install-recommends", name) && apt("update"))
    apt("install", "--no-install-recommends", name);
}
