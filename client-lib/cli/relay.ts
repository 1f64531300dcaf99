// `lethe relay` and `lethe doctor`: run the relay's own processes. The library never loads the relay's code; where the relay is not
// installed, it says what to do.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A larger nursery: what is under way in a relay outlives a small one, and copying it costs more than its memory. */
const NODE_FLAGS = ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=64"];

function entryOf(which: "main" | "doctor"): string | undefined {
  try {
    const file = fileURLToPath(import.meta.resolve(`@lethe/relay/${which}`));
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
}

/** Resolves with the process's exit code. */
export async function runRelay(which: "main" | "doctor", flags: readonly string[]): Promise<number> {
  const main = entryOf(which);
  if (main === undefined) {
    process.stderr.write(
      "lethe: the relay is not installed here.\nInstall it with: npm install @lethe/relay\n",
    );
    return 1;
  }
  // The terminal sends Ctrl-C to the relay too: waiting for it is enough.
  process.on("SIGINT", () => undefined);
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  const child = spawn(process.execPath, [...NODE_FLAGS, main, ...flags], { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}
