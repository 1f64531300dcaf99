// Which entries expire when: one list for each minute, threaded through the columns of the entry table, so that adding
// and removing cost the same however many there are.
import type { Time } from "@lethe/protocol";
import type { EntryTable } from "./entries.ts";

const MINUTE_MS = 60_000;
const NONE = -1;

export class ExpiryBuckets {
  readonly #table: EntryTable;
  /** The first slot of each minute's list. */
  readonly #first = new Map<number, number>();

  constructor(table: EntryTable) {
    this.#table = table;
  }

  add(slot: number): void {
    const { next, previous } = this.#table;
    const minute = this.#minute(slot);
    const first = this.#first.get(minute) ?? NONE;
    next[slot] = first;
    previous[slot] = NONE;
    if (first !== NONE) previous[first] = slot;
    this.#first.set(minute, slot);
  }

  delete(slot: number): void {
    const { next, previous } = this.#table;
    const after = next[slot] as number;
    const before = previous[slot] as number;
    if (after !== NONE) previous[after] = before;
    if (before !== NONE) next[before] = after;
    else if (after !== NONE) this.#first.set(this.#minute(slot), after);
    else this.#first.delete(this.#minute(slot));
  }

  /** Slots whose expiry has come, as many as are asked for. */
  due(now: Time, count: number): number[] {
    const { next, expiry } = this.#table;
    const slots: number[] = [];
    for (const [minute, first] of this.#first) {
      if (minute * MINUTE_MS > now) continue;
      for (let slot = first; slot !== NONE; slot = next[slot] as number) {
        if ((expiry[slot] as number) <= now) slots.push(slot);
        if (slots.length === count) return slots;
      }
    }
    return slots;
  }

  #minute(slot: number): number {
    return Math.floor((this.#table.expiry[slot] as number) / MINUTE_MS);
  }
}
