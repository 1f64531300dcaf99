// One device's store: rows in tables, one commit after the other, each durable some time before that is known; several may become
// known in another order. Always true: a commit is there as a whole or not at all; what a run that has ended was writing is there
// only if it was durable before.
import type { Row, Write } from "../../../client-lib/delivery/events.ts";
import type { ClientStore } from "../../../client-lib/store/store.ts";
import type { Agenda } from "../agenda.ts";
import { type Dice, type Pace, takes } from "../chance.ts";
import type { ClientCrash } from "./plan.ts";
import { never } from "./platform.ts";

export interface DiskPort {
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly pace: Pace;
  /** What of a commit is written: a rule that is left out leaves rows out. */
  readonly kept: (writes: readonly Write[]) => readonly Write[];
}

/** Whose commits they are. */
export interface Process {
  readonly isAlive: boolean;
  crash(): void;
}

export class Disk {
  readonly #port: DiskPort;
  readonly #tables = new Map<string, Map<string, Uint8Array>>();
  #lastAt = 0;
  /** What becomes of the process at its next commit. */
  crashAt: ClientCrash | undefined;

  constructor(port: DiskPort) {
    this.#port = port;
  }

  rows(table: string): ReadonlyMap<string, Uint8Array> {
    return this.#tables.get(table) ?? new Map<string, Uint8Array>();
  }

  /** The store as one run of the process has it. */
  for(process: Process): ClientStore {
    return {
      get: async (table, key) => this.rows(table).get(key)?.slice(),
      list: async (table): Promise<Row[]> =>
        [...this.rows(table)].map(([key, value]) => ({ key, value: value.slice() })),
      commit: (writes) => this.#commit(process, writes),
      close: async () => undefined,
    };
  }

  #commit(process: Process, writes: readonly Write[]): Promise<void> {
    if (!process.isAlive) return never();
    const { agenda, dice, pace, kept } = this.#port;
    const crash = this.crashAt;
    this.crashAt = undefined;
    if (crash === "lost") {
      process.crash();
      return never();
    }
    const durable = Math.max(this.#lastAt, agenda.now + takes(dice, pace) / 2);
    this.#lastAt = durable;
    return new Promise((resolve) => {
      agenda.at(durable, () => {
        if (!process.isAlive) return;
        for (const write of kept(writes)) this.#write(write);
        if (crash === "durable") return process.crash();
        agenda.in(takes(dice, pace) / 2, () => {
          if (process.isAlive) resolve();
        });
      });
    });
  }

  #write({ table, key, value }: Write): void {
    const rows = this.#tables.get(table) ?? new Map<string, Uint8Array>();
    this.#tables.set(table, rows);
    if (value === undefined) rows.delete(key);
    else rows.set(key, value.slice());
  }
}
