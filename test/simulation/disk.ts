// One device's store: rows in tables, and one commit at a time, which is sent, durable and confirmed at three different
// times. Always true: a commit is there as a whole or not at all; what is read is a copy, as from any disk.
import type { Row, StoredRows, Write } from "../../client-lib/delivery/events.ts";
import { CORE_TABLES } from "../../client-lib/delivery/rows.ts";
import { gapIn } from "./gap-rows.ts";
import type { Agenda, Planned } from "./agenda.ts";
import { type Dice, type Pace, takes } from "./chance.ts";
import type { ClientRules } from "./rules.ts";

export type Tables = Map<string, Map<string, Uint8Array>>;

export interface DiskPort {
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly pace: Pace;
  readonly rules: ClientRules;
  /** A row is there, or is gone. */
  changed(write: Write): void;
}

/** What a commit goes through. `ended` says whether the write is there. */
export interface Stages {
  /** True: the process ended at this stage. */
  durable(): boolean;
  confirmed(failed: boolean): void;
}

interface Committing {
  readonly writes: readonly Write[];
  durable: boolean;
  next: Planned | undefined;
}

export class Disk {
  readonly #port: DiskPort;
  #rows: Tables = new Map();
  #committing: Committing | undefined;
  #slowUntil = 0;
  #nextFails = false;

  constructor(port: DiskPort) {
    this.#port = port;
  }

  get committing(): boolean {
    return this.#committing !== undefined;
  }

  read(): StoredRows {
    const rows: Record<string, Row[]> = {};
    for (const [table, keys] of this.#rows)
      rows[table] = Array.from(keys, ([key, value]) => ({
        key,
        value: value.length === 0 ? value : value.slice(),
      }));
    for (const table of CORE_TABLES) rows[table] ??= [];
    return rows;
  }

  has(table: string, key: string): boolean {
    return this.#rows.get(table)?.has(key) === true;
  }

  slow(until: number): void {
    this.#slowUntil = until;
  }

  failNext(): void {
    this.#nextFails = true;
  }

  commit(writes: readonly Write[], stages: Stages): void {
    const { agenda, dice, pace } = this.#port;
    const failed = this.#nextFails;
    this.#nextFails = false;
    const committing: Committing = { writes, durable: false, next: undefined };
    this.#committing = committing;
    const slow = Math.max(0, this.#slowUntil - agenda.now);
    committing.next = agenda.in(slow + takes(dice, pace), () => {
      if (!failed || dice.happens(0.5)) this.write(writes);
      committing.durable = true;
      if (stages.durable()) return;
      committing.next = agenda.in(takes(dice, pace), () => {
        this.#committing = undefined;
        stages.confirmed(failed);
      });
    });
  }

  /** The process is gone: its commit is there, or not, and nobody hears of it. True: one was under way. */
  abandon(): boolean {
    const committing = this.#stop();
    if (committing === undefined) return false;
    if (!committing.durable && this.#port.dice.happens(0.5)) this.#writeSome(committing.writes);
    return true;
  }

  /** The process leaves in peace: its commit is there. */
  settle(): void {
    const committing = this.#stop();
    if (committing?.durable === false) this.write(committing.writes);
  }

  #stop(): Committing | undefined {
    const committing = this.#committing;
    this.#committing = undefined;
    if (committing?.next !== undefined) committing.next.act = undefined;
    return committing;
  }

  /** Rule `oneTransaction` left out: some of it is there. */
  #writeSome(writes: readonly Write[]): void {
    const { rules, dice } = this.#port;
    this.write(rules.oneTransaction ? writes : writes.slice(0, dice.below(writes.length + 1)));
  }

  write(writes: readonly Write[]): void {
    const { remember, epochDurable, gapKept } = this.#port.rules;
    for (const write of writes) {
      if (!remember && write.table === "seen") continue;
      if (!epochDurable && write.table === "self") continue;
      if (!gapKept && gapIn(write) !== undefined) continue;
      this.#writeOne(write);
    }
  }

  #writeOne(write: Write): void {
    const { table, key, value } = write;
    let rows = this.#rows.get(table);
    if (rows === undefined) {
      rows = new Map();
      this.#rows.set(table, rows);
    }
    if (value === undefined) rows.delete(key);
    else rows.set(key, value.slice());
    this.#port.changed(write);
  }

  snapshot(): Tables {
    return new Map(Array.from(this.#rows, ([table, rows]) => [table, new Map(rows)]));
  }

  restore(snapshot: Tables): void {
    this.#rows = snapshot;
  }
}
