// Live delivery from one node to another: senders at one, recipients at the other, the store between them not asked.
import { join } from "node:path";
import type { BenchCase, Context, Measured } from "../harness/case.ts";
import { aFolder, metric, metricBecomes, type Server, startRelay } from "../harness/server.ts";
import { percentile } from "../harness/stats.ts";
import { Budget } from "../load/tally.ts";
import { aLiveWorld, type LiveWorld } from "../load/world.ts";
import { commandsRun, redisVersion, startRedis, storeUrl } from "../peers/redis.ts";
import { pace, RATE, Times, WARM_UP_SECONDS } from "./latency.ts";
import { PAIRS, WINDOW } from "./live.ts";

const SECRET = "what both nodes of a benchmark know";

export const links: BenchCase = {
  name: "links",
  title: "Live delivery between two nodes",
  method:
    `Two relays on one Redis; ${PAIRS} senders at one, ${PAIRS} recipients at the other, ${WINDOW} messages of 256 B under way a pair. CPU of both ` +
    `relays. Then ${RATE.toLocaleString("en")} messages a second, first with all at one node, then over the link; and both ways once more at full speed.`,
  metrics: [
    { name: "cpu", says: "CPU a message, both relays", unit: "µs", bar: 25, better: "less" },
    { name: "cpuOne", says: "the same with all at one node", unit: "µs", better: "less" },
    { name: "rate", says: "messages accepted", unit: "/s", better: "more" },
    {
      name: "commands",
      says: "Redis commands a thousand messages",
      unit: "",
      bar: 10,
      better: "less",
    },
    { name: "one50", says: "to the recipient at one node, median", unit: "ms", better: "less" },
    { name: "link50", says: "over the link, median", unit: "ms", better: "less" },
    { name: "more50", says: "the link's part", unit: "ms", bar: 0.3, better: "less" },
    { name: "spilled", says: "messages that spilled to the store", unit: "", bar: 0, better: "less" },
  ],
  open(context) {
    context.note(`Redis ${redisVersion()}`);
    return { once: () => measure(context), close: () => Promise.resolve() };
  },
};

interface Two {
  readonly redis: Server;
  readonly near: Server;
  readonly far: Server;
}

async function measure(context: Context): Promise<Measured> {
  await using folder = await aFolder();
  await using redis = await startRedis(folder.path);
  const start = (name: string): Promise<Server> =>
    startRelay(join(folder.path, name), context, [
      ...["--store", storeUrl(redis), "--cluster-secret", SECRET, "--link-port", "0"],
    ]);
  await using near = await start("near");
  await using far = await start("far");
  for (const node of [near, far]) await metricBecomes(node, "lethe_links", 1);
  const two: Two = { redis, near, far };
  const [one50, link50] = [await median(two, near, context), await median(two, far, context)];
  const one = await full(two, near, context);
  const over = await full(two, far, context);
  const spilled = (await metric(near, "lethe_spilled_total")) + (await metric(far, "lethe_spilled_total"));
  return { ...over, cpuOne: one.cpu, one50, link50, more50: link50 - one50, spilled };
}

/** To recipients at `to`, at a moderate rate, ms. */
async function median({ near }: Two, to: Server, { scale }: Context): Promise<number> {
  const times = new Times();
  using world = await aLiveWorld(to, PAIRS, times, near);
  await pace(world, RATE * Math.min(WARM_UP_SECONDS, scale.latencySeconds));
  times.forget();
  await pace(world, RATE * scale.latencySeconds);
  return percentile(Float64Array.from(times.pushed).sort(), 50);
}

/** To recipients at `to`, as fast as they answer. */
async function full(
  two: Two,
  to: Server,
  { scale }: Context,
): Promise<{ cpu: number; rate: number; commands: number }> {
  using world: LiveWorld = await aLiveWorld(to, PAIRS, undefined, two.near);
  const { accepted } = world.counts;
  const budget = new Budget(scale.warmUp + scale.messages);
  for (const sender of world.senders) sender.spend(budget, WINDOW);
  await accepted.reaches(scale.warmUp);
  const before = reading(two, accepted.count);
  await accepted.reaches(scale.warmUp + scale.messages);
  const after = reading(two, accepted.count);
  const messages = after.count - before.count;
  return {
    cpu: ((after.cpu - before.cpu) / messages) * 1e6,
    rate: (messages / (after.at - before.at)) * 1e3,
    commands: ((after.commands - before.commands) / messages) * 1e3,
  };
}

function reading({ redis, near, far }: Two, count: number) {
  return { count, cpu: near.cpu() + far.cpu(), at: performance.now(), commands: commandsRun(redis) };
}
