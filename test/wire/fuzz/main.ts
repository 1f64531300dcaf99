// `npm run fuzz:relay -- --inputs 1000000`: a relay process under hostile input at its sockets and its HTTP half. Prints how
// often what came back; for a fault the input and the seed, and exit status 1.
import { parseArgs } from "node:util";
import { attack, faultsAfter, mib, type Outcome, UNDER_ATTACK } from "../../support/attack.ts";
import { aFolder } from "../../support/folder.ts";
import { RelayProcess } from "../../support/relay-process.ts";

const HELP = `npm run fuzz:relay -- [options]

  --inputs N    how many in all, three at the sockets for each request (200000)
  --seed S      what decides the inputs (the clock)
`;

const { values } = parseArgs({
  options: { inputs: { type: "string" }, seed: { type: "string" }, help: { type: "boolean", short: "h" } },
});

const out = process.stdout;
const colours = out.isTTY && process.env["NO_COLOR"] === undefined;
const paint = (code: number, text: string): string => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
const number = (value: number): string => value.toLocaleString("en");

/** A moving line on a terminal, a line for each part in a pipe. */
function progress(total: number): (done: number, part: number) => void {
  const began = performance.now();
  let shown = 0;
  let before = 0;
  return (done, part) => {
    const now = performance.now();
    if (out.isTTY ? now - shown < 200 : part === before) return;
    [shown, before] = [now, part];
    const rate = Math.round(done / ((now - began) / 1_000));
    const line = `${number(done)} of ${number(total)} inputs, ${number(rate)} a second`;
    out.write(out.isTTY ? `\r\u001b[K${paint(2, `… ${line}`.slice(0, out.columns - 1))}` : `${line}\n`);
  };
}

function table(title: string, counts: ReadonlyMap<string, number>): void {
  out.write(`${paint(1, title)}\n`);
  for (const [what, count] of [...counts].toSorted((a, b) => b[1] - a[1]))
    out.write(`  ${what.padEnd(34)}${number(count).padStart(12)}\n`);
}

function summary({ sockets, http, resident, seconds }: Outcome): void {
  if (out.isTTY) out.write("\r\u001b[K");
  table("how connections ended", sockets.ends);
  table("requests", http.kinds);
  table("answers", http.answers);
  const all = sockets.inputs + http.inputs;
  out.write(
    `${paint(1, "in all")}\n  ${number(sockets.inputs)} inputs on ${number(sockets.connections)} sockets, ${number(sockets.answers)} answers; ` +
      `${number(http.inputs)} requests on ${number(http.connections)} connections\n` +
      `  ${number(all)} in ${seconds.toFixed(0)} s, ${number(Math.round(all / seconds))} a second\n` +
      `  resident MiB ${resident.map(mib).join(" ")}\n`,
  );
}

async function fuzz(inputs: number, seed: number): Promise<readonly string[]> {
  await using folder = await aFolder();
  const relay = await RelayProcess.start({ data: folder.path, ...UNDER_ATTACK });
  try {
    const http = Math.floor(inputs / 4);
    const plan = { sockets: inputs - http, http, seed, said: progress(inputs) };
    const outcome = await attack(relay, plan);
    summary(outcome);
    return await faultsAfter(relay, outcome);
  } catch (error) {
    const end = relay.running ? "" : `\nthe relay is gone: ${relay.output.toString().slice(-4_000)}`;
    return [`${(error as Error).message}${end}`];
  } finally {
    await relay.stop();
  }
}

if (values.help === true) out.write(HELP);
else {
  const inputs = Number(values.inputs ?? 200_000);
  const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
  out.write(`fuzz: --inputs ${inputs} --seed ${seed}\n`);
  const faults = await fuzz(inputs, seed);
  for (const fault of faults) out.write(`${paint(31, "✗")} ${fault}\n`);
  if (faults.length === 0) out.write(`${paint(32, "✓")} no fault\n`);
  else process.exitCode = 1;
}
