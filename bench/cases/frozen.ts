// What others notice of readers that freeze: devices that stay connected, read and acknowledge nothing, and keep getting
// mail. Always true: every frozen connection is still open when its measurement ends, or there is no figure.
import type { BenchCase, Context, Measured } from "../harness/case.ts";
import { aFolder, metric, metricBecomes, type Server, startRelay } from "../harness/server.ts";
import { percentile } from "../harness/stats.ts";
import { type Account, register } from "../load/account.ts";
import { Counts } from "../load/tally.ts";
import { aLiveWorld, type LiveWorld, logIn, sendersTo } from "../load/world.ts";
import { pace, RATE, Times, WARM_UP_SECONDS } from "./latency.ts";
import { PAIRS } from "./live.ts";

const FROZEN = 1_000;
/** More than the push window of 64: it fills, what is in it is stored, and the rest after it. */
const MAIL_EACH = 80;
/** Senders to those who are frozen. */
const SENDERS = 10;
/** Mail that goes on coming for the frozen ones during a measurement, messages a second. */
const TRICKLE = 200;
/** With and without in turn, so that what else the machine does troubles both. */
const ROUNDS = 3;
const MIB = 1_048_576;

export const frozen: BenchCase = {
  name: "frozen",
  title: "1,000 frozen readers",
  method:
    `${PAIRS} pairs at ${RATE.toLocaleString("en")} messages a second, as in the latency case, without and with ${FROZEN.toLocaleString("en")} devices that have logged in and ` +
    `then read nothing: their windows are full (${MAIL_EACH} messages each), and mail goes on coming for them. ${ROUNDS} rounds of both in turn on one relay, their median, from two seconds after the last window is full and within the ` +
    "ping time-out; memory is resident, from when all are frozen to the end of the round, the round with the most growth.",
  metrics: [
    { name: "push50", says: "to the recipient, median", unit: "ms", better: "less" },
    { name: "push99", says: "to the recipient, 99th percentile", unit: "ms", better: "less" },
    { name: "push50Without", says: "the same without them", unit: "ms", better: "neither" },
    { name: "push99Without", says: "the same without them", unit: "ms", better: "neither" },
    { name: "push99Times", says: "99th percentile, of that without", unit: "×", bar: 1.5, better: "less" },
    { name: "accepted50", says: "until accepted, median", unit: "ms", better: "less" },
    { name: "accepted99", says: "until accepted, 99th percentile", unit: "ms", better: "less" },
    { name: "accepted99Without", says: "the same without them", unit: "ms", better: "neither" },
    {
      name: "accepted99Times",
      says: "99th percentile, of that without",
      unit: "×",
      bar: 1.5,
      better: "less",
    },
    { name: "before", says: "relay memory, all frozen", unit: "MiB", better: "neither" },
    { name: "after", says: "relay memory, at the end", unit: "MiB", better: "neither" },
    { name: "growth", says: "growth", unit: "MiB", bar: 32, better: "less" },
  ],
  open: (context) => ({ once: () => measure(context), close: () => Promise.resolve() }),
};

interface Scene {
  readonly relay: Server;
  readonly context: Context;
  readonly world: LiveWorld;
  readonly times: Times;
  readonly accounts: readonly Account[];
  readonly messages: number;
}

interface Memory {
  readonly before: number;
  readonly after: number;
}

async function measure(context: Context): Promise<Measured> {
  await using folder = await aFolder();
  await using relay = await startRelay(folder.path, context);
  const accounts = await register(relay.url, context.scale.quick ? FROZEN / 10 : FROZEN);
  const times = new Times();
  using world = await aLiveWorld(relay, PAIRS, times);
  const messages = (RATE * context.scale.latencySeconds) / ROUNDS;
  const scene: Scene = { relay, context, world, times, accounts, messages };
  const [without, withThem] = [new Samples(), new Samples()];
  const memory: Memory[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    await measured(scene);
    without.add(times);
    memory.push(await amongFrozen(scene));
    withThem.add(times);
  }
  const most = memory.reduce((a, b) => (b.after - b.before > a.after - a.before ? b : a));
  return { ...figures(without, withThem), ...inMiB(most) };
}

/** A steady while: what came before it has left its garbage behind by then. */
async function measured({ context, world, times, messages }: Scene): Promise<void> {
  await pace(world, RATE * Math.min(WARM_UP_SECONDS, context.scale.latencySeconds));
  times.forget();
  await pace(world, messages);
}

/** One round among frozen readers; the times of it alone are kept. */
async function amongFrozen(scene: Scene): Promise<Memory> {
  const { relay, context, accounts } = scene;
  const connected = await metric(relay, "lethe_connections");
  const counts = new Counts();
  const readers = await logIn(relay, accounts, counts); // which takes what is left of the round before
  for (const reader of readers) reader.freeze();
  const senders = await sendersTo(relay, accounts, SENDERS, counts);
  context.note(`filling the windows of ${accounts.length} frozen readers`);
  const mail = accounts.length * MAIL_EACH;
  for (const sender of senders) sender.submit(mail / SENDERS); // at once: fewer than a window would wait for its time
  await counts.accepted.reaches(mail);
  const before = relay.memory();
  let next = 0;
  const trickle = setInterval(() => senders[next++ % SENDERS]?.submit(1), 1_000 / TRICKLE);
  try {
    await measured(scene);
  } finally {
    clearInterval(trickle);
  }
  const after = relay.memory();
  const still = (await metric(relay, "lethe_connections")) - connected - SENDERS;
  if (still !== accounts.length) throw new Error(`only ${still} of the frozen readers are still connected`);
  for (const end of [...readers, ...senders]) end.close();
  await metricBecomes(relay, "lethe_connections", connected);
  return { before, after };
}

/** A percentile of each round, and the median of those: a burst of other work on the machine spoils one round. */
class Samples {
  readonly #pushed: Float64Array[] = [];
  readonly #accepts: Float64Array[] = [];

  add({ pushed, accepts }: Times): void {
    this.#pushed.push(Float64Array.from(pushed).sort());
    this.#accepts.push(Float64Array.from(accepts).sort());
  }

  pushed(p: number): number {
    return median(this.#pushed.map((round) => percentile(round, p)));
  }

  accepted(p: number): number {
    return median(this.#accepts.map((round) => percentile(round, p)));
  }
}

function median(values: readonly number[]): number {
  return percentile(Float64Array.from(values).sort(), 50);
}

function figures(without: Samples, withThem: Samples): Measured {
  return {
    push50: withThem.pushed(50),
    push99: withThem.pushed(99),
    push50Without: without.pushed(50),
    push99Without: without.pushed(99),
    push99Times: withThem.pushed(99) / without.pushed(99),
    accepted50: withThem.accepted(50),
    accepted99: withThem.accepted(99),
    accepted99Without: without.accepted(99),
    accepted99Times: withThem.accepted(99) / without.accepted(99),
  };
}

function inMiB({ before, after }: Memory): Measured {
  return { before: before / MIB, after: after / MIB, growth: (after - before) / MIB };
}
