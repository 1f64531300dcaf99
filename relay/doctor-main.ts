// `lethe doctor`: reads the settings as the relay would, and says what is wrong. Ends with 0 where the relay would start,
// with 1 where it would not, with 2 where the settings cannot be read.
import { readFileSync } from "node:fs";
import { examine } from "./doctor.ts";
import type { Finding, Machine } from "./finding.ts";
import { readSettings, type Settings, SettingsError, settingsHelp, strangers } from "./settings.ts";

const MARKS: Readonly<Record<Finding["state"], readonly [mark: string, colour: number]>> = {
  well: ["✓", 32],
  doubtful: ["!", 33],
  wrong: ["✗", 31],
};

const colour = process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "";
const painted = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);

function shown({ check, state, says, mend }: Finding): string {
  const [mark, code] = MARKS[state];
  const line = `${painted(code, mark)} ${check.padEnd(12)} ${says}`;
  return mend === undefined ? line : `${line}\n  ${"".padEnd(12)} ${painted(90, "→")} ${mend}`;
}

/** Linux says so in proc(5); elsewhere it is not known. */
function openFiles(): number {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return found === undefined ? Number.POSITIVE_INFINITY : Number(found);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function settings(): Settings | Finding[] {
  try {
    return readSettings(process.argv.slice(2), process.env, (path) => readFileSync(path, "utf8"));
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    const mend = "lethe relay --help lists every setting";
    return error.faults.map((says) => ({ check: "settings", state: "wrong", says, mend }));
  }
}

/** Ends with 0 where the relay would start, with 1 where it would not, with 2 where the settings cannot be read. */
async function look(): Promise<number> {
  const read = settings();
  const machine: Machine = {
    now: Date.now(),
    openFiles: openFiles(),
    node: process.versions.node,
    strangers: strangers(process.env),
  };
  const findings = Array.isArray(read) ? read : await examine(read, machine);
  process.stdout.write(`${findings.map(shown).join("\n")}\n`);
  return Array.isArray(read) ? 2 : findings.some(({ state }) => state === "wrong") ? 1 : 0;
}

if (process.argv.includes("--help") || process.argv.includes("-h")) {
  process.stdout.write(
    "lethe doctor: says what is wrong with a relay's settings and its machine, and what mends it\n\n",
  );
  process.stdout.write(`Settings, as for lethe relay (flag, environment, default):\n${settingsHelp()}\n`);
} else process.exitCode = await look();
