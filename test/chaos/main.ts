// `npm run chaos`: real relays, a real store and real clients under faults, and a verdict. Leaves a folder with the
// histories, the verdict and its pictures.
import { rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { FAULTS } from "./faults/catalogue.ts";
import { HELP, type Options, optionsOf } from "./options.ts";
import { pictures } from "./report/pictures.ts";
import { painter, Progress } from "./report/progress.ts";
import { words } from "./report/words.ts";
import { run } from "./run.ts";

const ARTIFACTS = join(import.meta.dirname, "..", ".artifacts");
const STATUS = { pass: 0, fail: 1, unknown: 3 } as const;
const COLOUR = { pass: 32, fail: 31, unknown: 33 } as const;

async function main(options: Options): Promise<number> {
  const folder = resolve(options.out ?? join(ARTIFACTS, `chaos-${options.seed}`));
  rmSync(folder, { recursive: true, force: true });
  const finished = await run(options, folder, new Progress(process.stdout, Math.round(options.minutes * 60)));
  const { verdict, lacks } = finished;
  writeFileSync(
    join(folder, "verdict.json"),
    `${JSON.stringify({ options, lacks, ...verdict }, undefined, 2)}\n`,
  );
  const said = words(verdict, options, lacks);
  writeFileSync(join(folder, "verdict.md"), said);
  for (const [name, svg] of Object.entries(pictures(finished, options)))
    writeFileSync(join(folder, name), svg);
  process.stdout.write(`\n${said}\n`);
  process.stdout.write(`${painter(process.stdout)(COLOUR[verdict.verdict], verdict.verdict)}: ${folder}\n`);
  return STATUS[verdict.verdict];
}

try {
  const options = optionsOf(process.argv.slice(2), Date.now());
  if (options === "help") process.stdout.write(HELP);
  else if (options === "list")
    for (const { name, group, says } of FAULTS)
      process.stdout.write(`${group.padEnd(8)}  ${name.padEnd(16)}  ${says}\n`);
  else process.exitCode = await main(options);
} catch (error) {
  const isUsage = error instanceof RangeError || error instanceof TypeError;
  process.stderr.write(
    `${error instanceof Error ? (isUsage ? error.message : error.stack) : String(error)}\n`,
  );
  if (isUsage) process.stderr.write(HELP);
  process.exitCode = 2;
}
