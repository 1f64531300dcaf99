// What a relay does beside delivery, from time to time: the expiry sweep, idle accounts, media, and files that forget. Always
// true: where relays share a store, one of them does each; each is on the schedule again before its run counts as done;
// a schedule that was lost with its store is made anew when the store is back.
import type { Time } from "@lethe/protocol";
import { type Backend, StoreClosedError } from "@lethe/queue";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

export const CHORES = ["sweep", "idle", "forget", "media"] as const;
export type ChoreName = (typeof CHORES)[number];

/** Pause before a chore is put on the schedule again that could not be, ms. */
const AGAIN_MS = 5_000;
/** A store that fails over may lose what is scheduled: after so long each node schedules anew, ms. */
const LOST_MS = 1_800_000;

export interface ChoreWork {
  /** Pause after each run, ms. */
  readonly everyMs: number;
  /** Idempotent. Resolves with how many things it removed or rewrote. */
  readonly run: () => Promise<number>;
}

export type Work = Partial<Record<ChoreName, ChoreWork>>;

export interface RelayChoresParts {
  readonly backend: Pick<Backend, "chores">;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly now: () => number;
  readonly work: Work;
}

export class RelayChores {
  readonly #parts: RelayChoresParts;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: RelayChoresParts) {
    this.#parts = parts;
    for (const [name, work] of this.#work()) parts.backend.chores.handle(name, () => this.#run(name, work));
  }

  /** Begins to run what is due, and has each run once soon; and again from time to time, should a schedule be lost. */
  start(): void {
    this.#parts.backend.chores.start();
    this.again();
    this.#timer = setInterval(() => this.again(), LOST_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Puts each on the schedule, whatever stood there. */
  again(): void {
    for (const [name] of this.#work()) void this.#soon(name);
  }

  /** Until it is on the schedule, or the store is closed. */
  async #soon(name: ChoreName): Promise<void> {
    try {
      await this.#next(name, 0);
    } catch (error) {
      this.#failed(name, error);
      if (!(error instanceof StoreClosedError)) setTimeout(() => void this.#soon(name), AGAIN_MS).unref();
    }
  }

  async #run(name: ChoreName, { run, everyMs }: ChoreWork): Promise<void> {
    try {
      const count = await run();
      await this.#next(name, everyMs);
      this.#parts.metrics.chore(name, "done");
      this.#parts.log.debug({ chore: name, count }, "a chore is done");
    } catch (error) {
      this.#parts.metrics.chore(name, "failed");
      this.#failed(name, error);
      throw error;
    }
  }

  async #next(name: ChoreName, inMs: number): Promise<void> {
    const { backend, now } = this.#parts;
    await backend.chores.schedule({ name, key: name, at: (now() + inMs) as Time, payload: "" });
  }

  #failed(chore: ChoreName, error: unknown): void {
    if (error instanceof StoreClosedError) return; // it runs elsewhere, or at the next start
    this.#parts.log.warn({ code: "storage-failed", chore, reason: String(error) }, "a chore has to wait");
  }

  #work(): [ChoreName, ChoreWork][] {
    return Object.entries(this.#parts.work) as [ChoreName, ChoreWork][];
  }
}
