// `npm run simulate`: many schedules of the real machines, one seed each. Prints how it goes, what was covered, and for
// what broke a promise the seed, the smallest plan that still does, and a drawing. Exit status 1 if any did.
import { parseArgs } from "node:util";
import { keep } from "./artifact.ts";
import type { Size } from "./plan.ts";
import { printSummary, Progress } from "./report.ts";
import { optionsFor } from "./options.ts";
import { printRuleTable } from "./rule-table.ts";
import { RULE_NAMES } from "./rules.ts";
import { type Options, runMany, Tally, type TallyParts } from "./runner.ts";
import { startWorkers } from "./workers.ts";

const HELP = `Usage: npm run simulate -- [options]

  --runs N        schedules to run (default 20000)
  --seed S        first seed (default 1)
  --jobs J        processes (default 1)
  --nodes N       relay nodes, 1 to 5 (default 3)
  --clients C     devices, 2 to 8 (default 4)
  --rule-off R    leave one rule out and see it missed; R is one of
                  ${RULE_NAMES.join("\n                  ")}
  --rule-table    leave each rule out in turn, from the first seed, and print how many
                  schedules it takes until that is missed (at most --runs)
  --failures F    stop after this many failures (default 10)
  --real N        use the real cipher in every Nth schedule (default 200, 0: never)
`;

interface Settings {
  readonly runs: number;
  readonly seed: number;
  readonly jobs: number;
  readonly size: Size;
  readonly ruleOff: string | undefined;
  readonly ruleTable: boolean;
  readonly maxFailures: number;
  readonly realEvery: number;
}

function whole(
  name: string,
  text: string | undefined,
  [low, high, otherwise]: readonly [number, number, number],
): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new RangeError(`--${name} is a whole number from ${low} to ${high}`);
}

function settingsOf(args: string[]): Settings | "help" {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: "string" },
      seed: { type: "string" },
      jobs: { type: "string" },
      nodes: { type: "string" },
      clients: { type: "string" },
      "rule-off": { type: "string" },
      "rule-table": { type: "boolean" },
      failures: { type: "string" },
      real: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) return "help";
  return {
    runs: whole("runs", values.runs, [1, 1e9, 20_000]),
    seed: whole("seed", values.seed, [0, 0x7fffffff, 1]),
    jobs: whole("jobs", values.jobs, [1, 64, 1]),
    size: {
      nodes: whole("nodes", values.nodes, [1, 5, 3]),
      clients: whole("clients", values.clients, [2, 8, 4]),
    },
    ruleOff: values["rule-off"],
    ruleTable: values["rule-table"] === true,
    maxFailures: whole("failures", values.failures, [1, 1e6, 10]),
    realEvery: whole("real", values.real, [0, 1e9, 200]),
  };
}

async function main(args: string[]): Promise<number> {
  const settings = settingsOf(args);
  if (settings === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  if (settings.ruleTable) return printRuleTable(settings, process.stdout) ? 0 : 1;
  const options = await optionsFor(settings);
  const began = process.cpuUsage();
  const progress = new Progress(settings.runs, process.stdout);
  const tally = settings.jobs === 1 ? alone(settings, options, progress) : await together(settings, progress);
  progress.done();
  const cpuSeconds = settings.jobs === 1 ? secondsSince(began) : undefined;
  const { seconds } = progress;
  printSummary(tally, { seconds, cpuSeconds, seed: settings.seed, out: process.stdout });
  for (const failure of tally.failures.slice(0, 3)) tell(failure, settings, options);
  return tally.failures.length === 0 ? 0 : 1;
}

function secondsSince(began: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1e6;
}

function alone({ runs, seed, size, maxFailures }: Settings, options: Options, progress: Progress): Tally {
  return runMany({
    seed,
    runs,
    size,
    options,
    maxFailures,
    onRun: (tally) => progress.at(tally.runs, tally.failures.length),
  });
}

async function together(settings: Settings, progress: Progress): Promise<Tally> {
  const tally = new Tally();
  await startWorkers(settings, (parts: TallyParts) => {
    tally.add(parts);
    progress.at(tally.runs, tally.failures.length);
    return tally.failures.length < settings.maxFailures;
  });
  return tally;
}

function tell(failure: Tally["failures"][number], { size, ruleOff }: Settings, options: Options): void {
  const off = ruleOff === undefined ? "" : ` --rule-off ${ruleOff}`;
  const again = `npm run simulate -- --runs 1 --seed ${failure.seed} --nodes ${size.nodes} --clients ${size.clients}${off}`;
  const { svg, deeds, tries } = keep(failure, size, { options, again });
  process.stdout.write(`\nseed ${failure.seed}: ${failure.detail}\n  again: ${again}\n  drawn: ${svg}\n`);
  process.stdout.write(`  smallest plan (${tries} tries):\n${deeds.map((deed) => `    ${deed}\n`).join("")}`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${HELP}`);
  process.exitCode = 2;
}
