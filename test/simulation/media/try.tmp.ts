import { runMediaPlan } from "./runner.ts";
import { mediaPlanOf } from "./plan.ts";
import { Trace } from "../trace.ts";
const [seed, n, off] = [Number(process.argv[2]), Number(process.argv[3] ?? 1), process.argv[4]];
const counts = new Map<string, number>();
const t = performance.now();
let steps = 0,
  fails = 0;
for (let s = seed; s < seed + n; s++) {
  const trace = new Trace();
  const o = await runMediaPlan(mediaPlanOf(s, { nodes: 3, clients: 4 }), { off: off as never, trace });
  steps += o.steps;
  for (const [e, c] of o.cover) counts.set(e, (counts.get(e) ?? 0) + c);
  if (o.failure || n === 1) {
    fails++;
    console.log(s, o.failure?.detail);
    if (n === 1) {
      console.log(JSON.stringify(mediaPlanOf(s, { nodes: 3, clients: 4 }), null, 0));
      for (const l of trace.lines()) console.log(l);
    }
    if (fails >= 12) break;
  }
}
if (n > 1) console.log([...counts].map(([e, c]) => `${e}: ${c}`).join("\n"));
console.log((performance.now() - t) / n, "ms each", steps / n, "steps each");
process.exit(0);
