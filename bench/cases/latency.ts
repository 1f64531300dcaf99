// How long a message takes at a steady, moderate rate: to the recipient's socket, and until `accepted` is back.
import { setImmediate as turn } from "node:timers/promises";
import type { EnvelopeId } from "@lethe/protocol";
import type { BenchCase, Context, Measured } from "../harness/case.ts";
import { aFolder, metric, startRelay } from "../harness/server.ts";
import { percentile } from "../harness/stats.ts";
import type { Watch } from "../load/watch.ts";
import { aLiveWorld, type LiveWorld } from "../load/world.ts";
import { PAIRS } from "./live.ts";

/** Messages a second, of all pairs. */
export const RATE = 2_000;
export const WARM_UP_SECONDS = 2;

export const latency: BenchCase = {
  name: "latency",
  title: "Latency at 2,000 messages/s",
  method:
    `${PAIRS} pairs, ${RATE.toLocaleString("en")} messages a second in all, sent on schedule whether or not earlier ones were answered; ` +
    "times run from the write to the socket, on one clock, and hold the load generator's own delays too.",
  metrics: [
    { name: "push50", says: "to the recipient, median", unit: "ms", better: "less" },
    { name: "push99", says: "to the recipient, 99th percentile", unit: "ms", better: "less" },
    { name: "accepted50", says: "until accepted, median", unit: "ms", better: "less" },
    { name: "accepted99", says: "until accepted, 99th percentile", unit: "ms", better: "less" },
    { name: "spilled", says: "messages that spilled to the store", unit: "", bar: 0, better: "less" },
  ],
  open: (context) => ({ once: () => measure(context), close: () => Promise.resolve() }),
};

async function measure(context: Context): Promise<Measured> {
  await using folder = await aFolder();
  await using relay = await startRelay(folder.path, context);
  const times = new Times();
  using world = await aLiveWorld(relay, PAIRS, times);
  await pace(world, RATE * Math.min(WARM_UP_SECONDS, context.scale.latencySeconds));
  times.forget();
  await pace(world, RATE * context.scale.latencySeconds);
  const spilled = await metric(relay, "lethe_spilled_total");
  const pushed = Float64Array.from(times.pushed).sort();
  const accepted = Float64Array.from(times.accepts).sort();
  return {
    push50: percentile(pushed, 50),
    push99: percentile(pushed, 99),
    accepted50: percentile(accepted, 50),
    accepted99: percentile(accepted, 99),
    spilled,
  };
}

/** Sends `count` messages at the rate, by the clock, and waits until all are accepted. */
export async function pace({ senders, counts }: LiveWorld, count: number): Promise<void> {
  const goal = counts.accepted.count + count;
  const began = performance.now();
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, Math.floor(((performance.now() - began) * RATE) / 1_000));
    for (; sent < due; sent++) senders[sent % senders.length]?.submit(1);
    await turn();
  }
  await counts.accepted.reaches(goal);
}

/** Of every message: until it was with its recipient, and until it was accepted, ms. */
export class Times implements Watch {
  readonly #since = new Map<EnvelopeId, number>();
  pushed: number[] = [];
  accepts: number[] = [];

  sent(id: EnvelopeId): void {
    this.#since.set(id, performance.now());
  }

  arrived(id: EnvelopeId): void {
    this.pushed.push(performance.now() - (this.#since.get(id) ?? 0));
  }

  accepted(ids: readonly EnvelopeId[]): void {
    for (const id of ids) {
      this.accepts.push(performance.now() - (this.#since.get(id) ?? 0));
      this.#since.delete(id);
    }
  }

  forget(): void {
    this.pushed = [];
    this.accepts = [];
  }
}
