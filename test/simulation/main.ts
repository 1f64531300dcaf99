// `npm run simulate`: many schedules of the real machines, one seed each. Prints how it goes, what was covered, and for
// what broke a promise the seed, the smallest plan that still does, and a drawing. Exit status 1 if any did.
import { parseArgs } from "node:util";
import { keep } from "./artifact.ts";
import { keepMedia } from "./media/artifact.ts";
import { MEDIA_EVENTS } from "./media/events.ts";
import { MEDIA_RULES, mediaRule } from "./media/rules.ts";
import { mediaMissedAfter, runManyMedia } from "./media/runner.ts";
import type { Size } from "./plan.ts";
import { printSummary, Progress } from "./report.ts";
import { optionsFor } from "./options.ts";
import { printRuleTable } from "./rule-table.ts";
import { RULE_NAMES } from "./rules.ts";
import { missedAfter, type Options, runMany, Tally, type TallyParts } from "./runner.ts";
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
  --media         schedules of files instead of messages; the rules are then
                  ${MEDIA_RULES.join("\n                  ")}
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
  readonly media: boolean;
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
      media: { type: "boolean" },
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
    media: values.media === true,
  };
}

async function main(args: string[]): Promise<number> {
  const settings = settingsOf(args);
  if (settings === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  if (settings.ruleTable) return (await ruleTable(settings)) ? 0 : 1;
  const options = settings.media ? undefined : await optionsFor(settings);
  const began = process.cpuUsage();
  const progress = new Progress(settings.runs, process.stdout);
  const tally =
    settings.jobs === 1 ? await alone(settings, options, progress) : await together(settings, progress);
  progress.done();
  const cpuSeconds = settings.jobs === 1 ? secondsSince(began) : undefined;
  const { seconds } = progress;
  printSummary(tally, { seconds, cpuSeconds, seed: settings.seed, out: process.stdout });
  for (const failure of tally.failures.slice(0, 3)) await tell(failure, settings, options);
  return tally.failures.length === 0 ? 0 : 1;
}

function secondsSince(began: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1e6;
}

function ruleTable({ media, ...search }: Settings): Promise<boolean> {
  const { size } = search;
  return media
    ? printRuleTable(MEDIA_RULES, search, (rule) => mediaMissedAfter(rule, size, search), process.stdout)
    : printRuleTable(RULE_NAMES, search, (rule) => missedAfter(rule, size, search), process.stdout);
}

/** @param options of schedules of messages; undefined for those of files */
async function alone(
  { runs, seed, size, maxFailures, ruleOff }: Settings,
  options: Options | undefined,
  progress: Progress,
): Promise<Tally> {
  const onRun = (tally: Tally): void => progress.at(tally.runs, tally.failures.length);
  const range = { seed, runs, size, maxFailures, onRun };
  if (options !== undefined) return runMany({ ...range, options });
  return runManyMedia({ ...range, options: { off: mediaOff(ruleOff) } });
}

function mediaOff(ruleOff: string | undefined): ReturnType<typeof mediaRule> | undefined {
  return ruleOff === undefined ? undefined : mediaRule(ruleOff);
}

async function together(settings: Settings, progress: Progress): Promise<Tally> {
  const tally = settings.media ? new Tally(MEDIA_EVENTS) : new Tally();
  await startWorkers(settings, (parts: TallyParts) => {
    tally.add(parts);
    progress.at(tally.runs, tally.failures.length);
    return tally.failures.length < settings.maxFailures;
  });
  return tally;
}

async function tell(
  failure: Tally["failures"][number],
  { size, ruleOff, media }: Settings,
  options: Options | undefined,
): Promise<void> {
  const off = `${media ? " --media" : ""}${ruleOff === undefined ? "" : ` --rule-off ${ruleOff}`}`;
  const again = `npm run simulate -- --runs 1 --seed ${failure.seed} --nodes ${size.nodes} --clients ${size.clients}${off}`;
  const { svg, deeds, tries } =
    options === undefined
      ? await keepMedia(failure, size, { options: { off: mediaOff(ruleOff) }, again })
      : keep(failure, size, { options, again });
  process.stdout.write(`\nseed ${failure.seed}: ${failure.detail}\n  again: ${again}\n  drawn: ${svg}\n`);
  process.stdout.write(`  smallest plan (${tries} tries):\n${deeds.map((deed) => `    ${deed}\n`).join("")}`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${HELP}`);
  process.exitCode = 2;
}
