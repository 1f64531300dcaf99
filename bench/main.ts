// `npm run bench`: measures in processes of their own, case by case, and says how we stand against the bars.
// Repetitions are interleaved: what else the machine does meanwhile then troubles every case alike.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { crypto } from "./cases/crypto.ts";
import { forwarder } from "./cases/forwarder.ts";
import { frozen } from "./cases/frozen.ts";
import { group } from "./cases/group.ts";
import { idle } from "./cases/idle.ts";
import { latency } from "./cases/latency.ts";
import { links } from "./cases/links.ts";
import { live } from "./cases/live.ts";
import { media } from "./cases/media.ts";
import { mosquitto } from "./cases/mosquitto.ts";
import { redisRelay } from "./cases/redis-relay.ts";
import { redisStore } from "./cases/redis-store.ts";
import { restart } from "./cases/restart.ts";
import { simulation } from "./cases/simulation.ts";
import { store } from "./cases/store.ts";
import { type BenchCase, FULL, type Measured, QUICK, type Rig, Unmeasurable } from "./harness/case.ts";
import { machine } from "./harness/machine.ts";
import { picture } from "./harness/picture.ts";
import { openReport } from "./harness/report.ts";
import { readResults, resultOf, writeResult } from "./harness/results.ts";

const CASES: readonly BenchCase[] = [
  forwarder,
  live,
  store,
  latency,
  frozen,
  restart,
  idle,
  simulation,
  crypto,
  mosquitto,
  redisStore,
  redisRelay,
  links,
  group,
  media,
];
const RESULTS = fileURLToPath(new URL("results", import.meta.url));

const HELP = `npm run bench -- [options]

  --quick         everything once and small, in about 20 s: a smoke test whose figures mean nothing
  --only NAMES    some cases only, separated by commas: ${CASES.map((c) => c.name).join(", ")}
  --repeat N      repetitions of each case (3)
  --out FOLDER    where JSON and picture go (bench/results; nowhere with --quick)
  --profile DIR   write CPU profiles of the servers there: then the figures mean nothing either
`;

interface Options {
  readonly cases: readonly BenchCase[];
  readonly quick: boolean;
  readonly repeat: number;
  readonly out: string | undefined;
  readonly profile: string | undefined;
}

/** @throws Error that says what is wrong with the arguments */
function options(args: readonly string[]): Options | "help" {
  const flag = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: "boolean", short: "h" },
      quick: { type: "boolean" },
      only: flag,
      repeat: flag,
      out: flag,
      profile: flag,
    },
  });
  if (values.help === true) return "help";
  const quick = values.quick === true;
  const names = values.only?.split(",");
  const unknown = names?.find((name) => !CASES.some((c) => c.name === name));
  if (unknown !== undefined) throw new Error(`there is no case ${unknown}`);
  const repeat = Number(values.repeat ?? (quick ? 1 : 3));
  if (!Number.isInteger(repeat) || repeat < 1) throw new Error("--repeat is a whole number from 1");
  return {
    cases: CASES.filter((c) => names?.includes(c.name) ?? true),
    quick,
    repeat,
    out: values.out ?? (quick || values.profile !== undefined ? undefined : RESULTS),
    profile: values.profile,
  };
}

async function run({ cases, quick, repeat, out, profile }: Options): Promise<void> {
  const colours = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
  const report = openReport(process.stdout, colours);
  const context = { scale: quick ? QUICK : FULL, profile, note: report.note };
  const on = machine(new Date());
  const open: { bench: BenchCase; rig: Rig; measured: Measured[] }[] = [];
  try {
    for (const bench of cases) {
      try {
        open.push({ bench, rig: await bench.open(context), measured: [] });
      } catch (error) {
        if (!(error instanceof Unmeasurable)) throw error;
        report.done(`${bench.name} is left out: ${error.message}`);
      }
    }
    for (let i = 1; i <= repeat; i++)
      for (const { bench, rig, measured } of open) {
        report.note(`${bench.title}, ${i} of ${repeat}`);
        const began = performance.now();
        measured.push(await rig.once());
        report.done(`${bench.name} ${i}/${repeat}: ${((performance.now() - began) / 1e3).toFixed(1)} s`);
      }
  } finally {
    for (const { rig } of open) await rig.close();
  }
  const results = open.map(({ bench, measured }) => resultOf(bench, measured, on));
  report.table(results, on);
  if (out === undefined) return;
  for (const result of results) await writeResult(out, result);
  await writeFile(join(out, "relay.svg"), picture(await readResults(out)));
  report.done(`written to ${out}`);
}

try {
  const chosen = options(process.argv.slice(2));
  if (chosen === "help") process.stdout.write(HELP);
  else await run(chosen);
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
