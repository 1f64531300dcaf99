// Live delivery: everybody is connected, nothing touches a store. A message counts when `accepted` has come back, which
// the recipient's delivered-ack alone brings about.
import type { BenchCase, Context, Measured } from "../harness/case.ts";
import { between, type Reading, read } from "../harness/reading.ts";
import { aFolder, metric, startRelay } from "../harness/server.ts";
import { Budget } from "../load/tally.ts";
import { aLiveWorld } from "../load/world.ts";

export const PAIRS = 100;
export const WINDOW = 16;

export const live: BenchCase = {
  name: "live",
  title: "Live delivery",
  method:
    `${PAIRS} senders (anonymous, with access keys) and ${PAIRS} recipients online, ${WINDOW} messages of 256 B under way a pair. ` +
    "CPU of all the relay's threads between two counts of `accepted`, after a warm-up. A spill means that a device (here: the load) did not answer within its live window, 0.4 s at least.",
  metrics: [
    { name: "cpu", says: "relay CPU a message", unit: "µs", bar: 15, better: "less" },
    { name: "rate", says: "messages accepted", unit: "/s", better: "more" },
    { name: "spilled", says: "messages that spilled to the store", unit: "", bar: 0, better: "less" },
    { name: "memory", says: "relay's resident memory", unit: "MiB", better: "less" },
  ],
  open: (context) => ({ once: () => measure(context), close: () => Promise.resolve() }),
};

export async function measure(context: Context): Promise<Measured> {
  await using folder = await aFolder();
  await using relay = await startRelay(folder.path, context);
  using world = await aLiveWorld(relay, PAIRS);
  const { warmUp, messages } = context.scale;
  const { accepted } = world.counts;
  const budget = new Budget(warmUp + messages);
  for (const sender of world.senders) sender.spend(budget, WINDOW);
  await accepted.reaches(warmUp);
  const before: Reading = read(relay, accepted);
  await accepted.reaches(warmUp + messages);
  const after: Reading = read(relay, accepted);
  const spilled = await metric(relay, "lethe_spilled_total");
  return { ...between(before, after), spilled, memory: relay.memory() / 2 ** 20 };
}
