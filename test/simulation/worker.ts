// One worker process of a simulation: takes an order, runs its seeds, sends what came of them, until it is let go.
import { optionsFor } from "./options.ts";
import { runMany, type TallyParts } from "./runner.ts";
import type { Order } from "./workers.ts";

async function obey(order: Order): Promise<TallyParts> {
  const { seed, runs, size, maxFailures } = order;
  return runMany({ seed, runs, size, options: await optionsFor(order), maxFailures }).toParts();
}

process.on("message", (order) => {
  void obey(order as Order).then((parts) => process.send?.(parts));
});
