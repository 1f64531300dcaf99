// Chores on BullMQ: one queue for all relays, whose jobs are run by one of them each. Always true:
// - a job is one scheduling of a chore; which of a chore's jobs counts is on record, and only that one runs, so that
//   scheduling again replaces what was scheduled, wherever BullMQ has it at that moment;
// - a job is there before it is on record: whoever ends in between has replaced nothing;
// - two jobs of one chore do not run at the same time, wherever they run;
// - a job holds a name, a digest of name and key, and a payload; nothing of it stays once it is done.
import { createHash, randomBytes } from "node:crypto";
import { DelayedError, type Job, Queue, Worker } from "bullmq";
import type { Cluster, Redis } from "ioredis";
import { type ChoreHandler, type Chores, checkPayload } from "../backend.ts";
import { pauseAfter } from "../local/chores.ts";
import { StoreFailedError } from "../mailbox.ts";
import { askingClient, workingClient } from "./bull-clients.ts";
import { closedError, storeError } from "./failures.ts";
import { storeKey } from "./keys.ts";
import type { RedisParts } from "./parts.ts";

const QUEUE = "chores";
const PREFIX = "{lethe}";
/** Chores that one relay runs at the same time. */
const MAX_RUNNING = 4;
/** How long `close` waits for handlers that have begun; after that they run again elsewhere, or at the next start. */
const CLOSE_WAIT_MS = 5_000;
const LOCK_MS = 30_000;
/** A job that is not on record yet looks again after a second, for a minute: its scheduling is under way. */
const LOOK_AGAIN_MS = 1_000;
const UNRECORDED_MS = 60_000;
/** Scheduling that took longer may have met a job that gave up. */
const MAX_SCHEDULING_MS = UNRECORDED_MS / 2;
/** Pause before a chore is tried again whose other job still runs. */
const BUSY_MS = 250;
/** Pause before a chore is offered again that this relay, an older or a newer one, has no handler for. */
const STRANGE_MS = 60_000;
/** BullMQ's own events that are kept; nobody reads them. */
const MAX_EVENTS = 10;
/** "Until it has succeeded", as BullMQ wants to be told. */
const FOR_EVER = 1_000_000_000;

interface JobContent {
  readonly chore: string;
  readonly payload: string;
}

/** What tests put in place of the real thing. */
export interface ChoreTuning {
  readonly pauseAfter: (failures: number) => number;
  readonly closeWaitMs: number;
  /** How long a job stays with a relay that says nothing of it: then it ended, and another runs the job. */
  readonly lockMs: number;
}

type Parts = Pick<RedisParts, "config" | "connection" | "scripts">;

export class RedisChores implements Chores {
  readonly #parts: Parts;
  readonly #tuning: ChoreTuning;
  readonly #handlers = new Map<string, ChoreHandler>();
  readonly #commandMs: number;
  #asking: Redis | Cluster;
  #queue: Queue<JobContent>;
  readonly #begun = new Set<Promise<void>>();
  #working: { client: Redis | Cluster; worker: Worker<JobContent> } | undefined;
  #state: "new" | "started" | "closed" = "new";

  constructor(parts: Parts, commandMs: number, tuning: Partial<ChoreTuning> = {}) {
    this.#parts = parts;
    this.#tuning = { pauseAfter, closeWaitMs: CLOSE_WAIT_MS, lockMs: LOCK_MS, ...tuning };
    this.#commandMs = commandMs;
    this.#asking = askingClient(parts.connection.url, commandMs);
    this.#queue = queueOn(this.#asking);
  }

  /** BullMQ keeps for ever what its first use of a connection came to: where that was a failure, it begins anew. */
  #renew(): void {
    if (this.#state === "closed") return;
    void this.#queue.close().catch(() => undefined);
    this.#asking.disconnect();
    this.#asking = askingClient(this.#parts.connection.url, this.#commandMs);
    this.#queue = queueOn(this.#asking);
  }

  handle(name: string, handler: ChoreHandler): void {
    if (this.#state !== "new") throw new Error("handlers are set before start");
    this.#handlers.set(name, handler);
  }

  schedule(chore: Parameters<Chores["schedule"]>[0]): Promise<void> {
    if (this.#state === "closed") return Promise.reject(closedError());
    const begun = inTime(2 * this.#commandMs, this.#schedule(chore)).catch((error: unknown) => {
      if (error instanceof RangeError) throw error;
      this.#renew();
      throw storeError(error);
    });
    this.#begun.add(begun);
    const end = (): unknown => this.#begun.delete(begun);
    begun.then(end, end);
    return begun;
  }

  start(): void {
    if (this.#state !== "new") return;
    this.#state = "started";
    const client = workingClient(this.#parts.connection.url);
    const worker = new Worker<JobContent>(QUEUE, (job, token) => this.#run(job, token), {
      connection: client,
      prefix: PREFIX,
      concurrency: MAX_RUNNING,
      lockDuration: this.#tuning.lockMs,
      stalledInterval: this.#tuning.lockMs,
      maxStalledCount: FOR_EVER,
      settings: { backoffStrategy: (attempts: number) => this.#tuning.pauseAfter(attempts - 1) },
    });
    worker.on("error", () => undefined);
    this.#working = { client, worker };
  }

  /** Handlers that have begun are waited for, up to a deadline. */
  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    await Promise.allSettled(this.#begun);
    const { worker, client } = this.#working ?? {};
    const closing = (async () => {
      await worker?.close();
      await this.#queue.close();
    })();
    await atMost(this.#tuning.closeWaitMs, closing);
    void worker?.close(true).catch(() => undefined);
    client?.disconnect();
    this.#asking.disconnect();
  }

  async #schedule({ name, key, at, payload }: Parameters<Chores["schedule"]>[0]): Promise<void> {
    checkPayload(payload);
    const began = performance.now();
    const chore = createHash("sha256").update(`${name}\n${key}`).digest("base64url").slice(0, 22);
    const jobId = `${chore}.${randomBytes(9).toString("base64url")}`;
    await this.#queue.add(
      name,
      { chore, payload },
      {
        jobId,
        delay: Math.max(0, at - this.#now()),
        attempts: FOR_EVER,
        backoff: { type: "custom" },
        removeOnComplete: true,
        removeOnFail: true,
        stackTraceLimit: 0,
      },
    );
    const before = await this.#parts.scripts.run("put-chore", [storeKey("b")], [chore, jobId]);
    if (performance.now() - began > MAX_SCHEDULING_MS)
      throw new StoreFailedError("storage-failed", "scheduling a chore took too long");
    // Only tidying: a job that does not count any more does nothing when it is due.
    if (Buffer.isBuffer(before)) await this.#queue.remove(before.toString("latin1")).catch(() => 0);
  }

  async #run(job: Job<JobContent>, token: string | undefined): Promise<void> {
    const handler = this.#handlers.get(job.name);
    if (handler === undefined) return later(job, token, STRANGE_MS);
    const begun = await this.#begin(job);
    if (begun === "stale") {
      if (Date.now() - job.timestamp < UNRECORDED_MS) await later(job, token, LOOK_AGAIN_MS);
      return;
    }
    if (begun === "busy") return later(job, token, BUSY_MS);
    const isDone = await handler(job.data.payload).then(
      () => true,
      () => false,
    );
    await this.#end(job.data.chore, job.id ?? "", isDone);
    // What went wrong is the handler's to log: BullMQ would keep its words.
    if (!isDone) throw new Error("failed");
  }

  async #begin(job: Job<JobContent>): Promise<"begun" | "stale" | "busy"> {
    const keys = [storeKey("b"), storeKey("z")];
    const answer = await this.#parts.scripts.run("begin-chore", keys, [job.data.chore, job.id ?? ""]);
    const says = Buffer.isBuffer(answer) ? answer.toString("latin1") : "";
    if (says === "begun" || says === "stale") return says;
    // The other job's relay may have been killed, and its job replaced: then nobody would end it.
    if ((await this.#queue.getJobState(says)) !== "active") await this.#end(job.data.chore, says, false);
    return "busy";
  }

  async #end(chore: string, jobId: string, isDone: boolean): Promise<void> {
    const keys = [storeKey("b"), storeKey("z")];
    await this.#parts.scripts.run("end-chore", keys, [chore, jobId, isDone ? 1 : 0]);
  }

  #now(): number {
    return this.#parts.config.now?.() ?? Date.now();
  }
}

/** Puts the job off. @throws DelayedError, by which BullMQ knows it */
async function later(job: Job<JobContent>, token: string | undefined, ms: number): Promise<never> {
  await job.moveToDelayed(Date.now() + ms, token);
  throw new DelayedError();
}

function queueOn(client: Redis | Cluster): Queue<JobContent> {
  const streams = { events: { maxLen: MAX_EVENTS } };
  const queue = new Queue<JobContent>(QUEUE, { connection: client, prefix: PREFIX, streams });
  queue.on("error", () => undefined);
  queue.waitUntilReady().catch(() => undefined); // told by whatever is asked of it
  return queue;
}

/** @throws Error where it takes longer */
async function inTime<T>(ms: number, work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(reject, ms, new Error("Command timed out"));
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Never rejects. */
async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
}
