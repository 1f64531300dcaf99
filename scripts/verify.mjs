// Everything: the suite, a long simulation, generated code that is up to date, and a short run of every benchmark.
import { step } from "./run.mjs";

process.env.LETHE_LONG = "1";
const runs = ["--runs", "20000", "--seed", String(Date.now() % 1_000_000)];
if (
  step("suite", "node", ["scripts/test.mjs"]) &&
  step("simulation", "node", ["test/simulation/main.ts", ...runs])
)
  step("benchmarks", "node", ["bench/main.ts", "--quick"]);
