// Runs chores from a table and a timer. The table says what is due; this file decides when to look and how long a
// chore that failed waits. Always true: a chore leaves the table only after its handler resolved, and one that was
// scheduled anew meanwhile stays (its serial has changed).
import type { Time } from "@lethe/protocol";
import { type ChoreHandler, type Chores, checkPayload } from "../backend.ts";
import { StoreClosedError } from "../mailbox.ts";
import type { Timers } from "../timers.ts";

/** Pause after the first failure; doubled with each further one. */
export const FIRST_PAUSE_MS = 1_000;
/** Longest pause between two tries. */
export const MAX_PAUSE_MS = 300_000;
/** The table is looked at this often at least, so that a clock that jumps is noticed. */
const MAX_WAIT_MS = 30_000;
/** Chores that run at the same time. */
const MAX_RUNNING = 4;
/** How long `close` waits for handlers that have begun; after that they run again at the next start. */
const CLOSE_WAIT_MS = 5_000;

export interface Chore {
  readonly name: string;
  readonly key: string;
  readonly at: Time;
  readonly payload: string;
  readonly failures: number;
  /** Raised whenever the chore is scheduled again. */
  readonly serial: number;
}

/** Where chores are kept. Each verb is atomic and durable when it resolves, where the backend is. */
export interface ChoreTable {
  put(chore: { name: string; key: string; at: Time; payload: string }): Promise<void>;
  /** The earliest chores of these names, due or not, in order of their time. */
  earliest(names: readonly string[], count: number): Promise<readonly Chore[]>;
  /** Removes the chore unless its serial has changed. */
  finish(chore: Chore): Promise<void>;
  /** Moves the chore to a later time, one failure more, unless its serial has changed. */
  postpone(chore: Chore, at: Time): Promise<void>;
}

export function pauseAfter(failures: number): number {
  return Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 16));
}

export class LocalChores implements Chores {
  readonly #table: ChoreTable;
  readonly #now: () => Time;
  readonly #timers: Timers;
  readonly #handlers = new Map<string, ChoreHandler>();
  readonly #running = new Map<string, Promise<void>>();
  #state: "new" | "started" | "closed" = "new";
  #cancel: () => void = () => undefined;
  #look: Promise<void> = Promise.resolve();
  #looking = false;
  #lookAgain = false;

  constructor(table: ChoreTable, now: () => Time, timers: Timers) {
    this.#table = table;
    this.#now = now;
    this.#timers = timers;
  }

  handle(name: string, handler: ChoreHandler): void {
    if (this.#state !== "new") throw new Error("handlers are set before start");
    this.#handlers.set(name, handler);
  }

  async schedule(chore: { name: string; key: string; at: Time; payload: string }): Promise<void> {
    if (this.#state === "closed") throw new StoreClosedError("the store is closed");
    checkPayload(chore.payload);
    await this.#table.put(chore);
    this.#lookNow();
  }

  start(): void {
    if (this.#state !== "new") return;
    this.#state = "started";
    this.#lookNow();
  }

  async close(): Promise<void> {
    this.#state = "closed";
    this.#cancel();
    await this.#look;
    if (this.#running.size === 0) return;
    let cancel = (): void => undefined;
    const late = new Promise<void>((resolve) => {
      cancel = this.#timers.after(CLOSE_WAIT_MS, resolve);
    });
    await Promise.race([Promise.all(this.#running.values()), late]);
    cancel();
  }

  /** Looks at the table; calls while a look is under way are one further look behind it. */
  #lookNow(): void {
    if (this.#state !== "started") return;
    if (this.#looking) {
      this.#lookAgain = true;
      return;
    }
    this.#looking = true;
    this.#look = this.#lookOnce();
  }

  async #lookOnce(): Promise<void> {
    do {
      this.#lookAgain = false;
      this.#cancel();
      const wait = await this.#runDue().catch(() => MAX_WAIT_MS);
      if (this.#state === "started") this.#cancel = this.#timers.after(wait, () => this.#lookNow());
    } while (this.#lookAgain && this.#state === "started");
    this.#looking = false;
  }

  /** Begins what is due and returns how long nothing else will be. */
  async #runDue(): Promise<number> {
    const names = [...this.#handlers.keys()];
    const earliest = await this.#table.earliest(names, MAX_RUNNING * 2);
    const now = this.#now();
    for (const chore of earliest) {
      if (this.#running.has(placeOf(chore))) continue;
      if (this.#running.size >= MAX_RUNNING) return MAX_WAIT_MS;
      if (chore.at > now) return Math.min(MAX_WAIT_MS, chore.at - now);
      this.#begin(chore);
    }
    return MAX_WAIT_MS;
  }

  #begin(chore: Chore): void {
    const place = placeOf(chore);
    const run = this.#run(chore).then((settled) => {
      this.#running.delete(place);
      if (settled) this.#lookNow();
    });
    this.#running.set(place, run);
  }

  /** Never rejects. False: the table failed, the chore is still in it and runs again at the timer's next look. */
  async #run(chore: Chore): Promise<boolean> {
    try {
      if (await this.#succeeds(chore)) await this.#table.finish(chore);
      else await this.#table.postpone(chore, (this.#now() + pauseAfter(chore.failures)) as Time);
      return true;
    } catch {
      return false;
    }
  }

  async #succeeds(chore: Chore): Promise<boolean> {
    try {
      await this.#handlers.get(chore.name)?.(chore.payload);
      return true;
    } catch {
      return false;
    }
  }
}

function placeOf(chore: Chore): string {
  return `${chore.name}\n${chore.key}`;
}
