// One worker process of a simulation: takes an order, runs its seeds, sends what came of them, until it is let go.
import { optionsFor } from "./options.ts";
import { mediaRule } from "./media/rules.ts";
import { runManyMedia } from "./media/runner.ts";
import { runMany, type TallyParts } from "./runner.ts";
import type { Order } from "./workers.ts";

async function obey(order: Order): Promise<TallyParts> {
  const { seed, runs, size, maxFailures, media, ruleOff } = order;
  if (media) {
    const off = ruleOff === undefined ? undefined : mediaRule(ruleOff);
    return (await runManyMedia({ seed, runs, size, maxFailures, options: { off } })).toParts();
  }
  return runMany({ seed, runs, size, options: await optionsFor(order), maxFailures }).toParts();
}

process.on("message", (order) => {
  void obey(order as Order).then((parts) => process.send?.(parts));
});
