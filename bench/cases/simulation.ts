// How many complete schedules a second the simulation of delivery runs, on one core: what finding a hole costs.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type BenchCase, type Context, type Measured, Unmeasurable } from "../harness/case.ts";

const script = fileURLToPath(new URL("../../test/simulation/main.ts", import.meta.url));
const run = promisify(execFile);

export const simulation: BenchCase = {
  name: "simulation",
  title: "Simulated schedules",
  method:
    "`npm run simulate` with 3 nodes and 4 clients in one process: schedules a second as it reports them.",
  metrics: [{ name: "rate", says: "complete schedules", unit: "/s", bar: 300, better: "more" }],
  open: (context) => {
    if (!existsSync(script)) throw new Unmeasurable("test/simulation is not in this checkout");
    return { once: () => measure(context), close: () => Promise.resolve() };
  },
};

async function measure({ scale }: Context): Promise<Measured> {
  const began = performance.now();
  const { stdout } = await run(process.execPath, [script, "--runs", String(scale.schedules), "--seed", "1"]);
  const said = /([\d,.]+) schedules\/s/.exec(stdout)?.[1];
  const seconds = (performance.now() - began) / 1e3;
  return { rate: said === undefined ? scale.schedules / seconds : Number(said.replaceAll(",", "")) };
}
