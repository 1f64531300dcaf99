// A chore table that lasts as long as its process.
import type { Time } from "@lethe/protocol";
import type { Chore, ChoreTable } from "../local/chores.ts";

export class MemoryChoreTable implements ChoreTable {
  readonly #rows = new Map<string, Chore>();
  #serial = 0;

  async put(chore: { name: string; key: string; at: Time; payload: string }): Promise<void> {
    this.#rows.set(placeOf(chore), { ...chore, failures: 0, serial: ++this.#serial });
  }

  async earliest(names: readonly string[], count: number): Promise<readonly Chore[]> {
    const known = [...this.#rows.values()].filter((chore) => names.includes(chore.name));
    return known.sort((a, b) => a.at - b.at).slice(0, count);
  }

  async finish(chore: Chore): Promise<void> {
    if (this.#rows.get(placeOf(chore))?.serial === chore.serial) this.#rows.delete(placeOf(chore));
  }

  async postpone(chore: Chore, at: Time): Promise<void> {
    if (this.#rows.get(placeOf(chore))?.serial !== chore.serial) return;
    this.#rows.set(placeOf(chore), { ...chore, at, failures: chore.failures + 1 });
  }
}

function placeOf(chore: { name: string; key: string }): string {
  return `${chore.name}\n${chore.key}`;
}
