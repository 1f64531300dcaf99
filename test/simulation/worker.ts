// One worker process of a simulation: takes an order, runs its seeds, sends what came of them, until it is let go.
import { rulesFor } from "./rules.ts";
import { runMany, type TallyParts } from "./runner.ts";
import type { Order } from "./workers.ts";

function obey({ seed, runs, size, ruleOff, maxFailures }: Order): TallyParts {
  return runMany({ seed, runs, size, options: { rules: rulesFor(ruleOff) }, maxFailures }).toParts();
}

process.on("message", (order) => {
  process.send?.(obey(order as Order));
});
