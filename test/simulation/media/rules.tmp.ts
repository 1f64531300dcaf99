import { MEDIA_RULES } from "./rules.ts";
import { mediaMissedAfter } from "./runner.ts";
const only = process.argv.slice(3);
for (const rule of MEDIA_RULES) {
  if (only.length && !only.includes(rule)) continue;
  const t = performance.now();
  const m = await mediaMissedAfter(
    rule,
    { nodes: 3, clients: 4 },
    { seed: 6_000_000, runs: Number(process.argv[2]) },
  );
  console.log(rule, m?.runs, m?.failure.detail.split("\n")[0], Math.round(performance.now() - t));
}
process.exit(0);
