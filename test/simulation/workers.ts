// The same simulation in several processes: each takes small ranges of seeds until there are none left. Always true: the
// parts that come back are of disjoint seeds; a worker that dies is an error, not a silence.
import { fork } from "node:child_process";
import { join } from "node:path";
import type { Asked } from "./options.ts";
import type { TallyParts } from "./runner.ts";

/** Schedules in one order: a second's work. */
const ORDER = 250;

/** Many schedules, and what is asked of them. */
export interface Work extends Asked {
  readonly runs: number;
  readonly seed: number;
  readonly maxFailures: number;
  /** Schedules of files instead of messages. */
  readonly media: boolean;
}

/** A part of the work, for one worker. */
export type Order = Work;

/** Hands out the seeds; `take` says with each part whether to go on. */
export async function startWorkers(
  { jobs, ...work }: Work & { readonly jobs: number },
  take: (parts: TallyParts) => boolean,
): Promise<void> {
  let next = work.seed;
  const end = work.seed + work.runs;
  const order = (): Order | undefined => {
    if (next >= end) return undefined;
    const runs = Math.min(ORDER, end - next);
    next += runs;
    return { ...work, seed: next - runs, runs };
  };
  const stop = (): void => {
    next = end;
  };
  await Promise.all(Array.from({ length: jobs }, () => employ(order, (parts) => take(parts) || stop())));
}

function employ(order: () => Order | undefined, take: (parts: TallyParts) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = fork(join(import.meta.dirname, "worker.ts"), [], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const give = (): void => {
      const next = order();
      if (next === undefined) worker.disconnect();
      else worker.send(next);
    };
    worker.on("message", (parts) => {
      take(parts as TallyParts);
      give();
    });
    worker.on("error", reject);
    worker.on("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`a worker ended with status ${code}`)),
    );
    give();
  });
}
