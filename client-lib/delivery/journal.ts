// One commit after the other. Always true: what is staged while a commit is under way goes into the next, in the order
// of staging; what follows from a commit is given out when it is durable, and what follows from nothing new, at once.
import type { Write } from "./events.ts";
import type { After, Turn } from "./turn.ts";

export class Journal {
  #commits = 0;
  #underWay: { readonly commit: number; readonly after: readonly After[] } | undefined;
  #writes: Write[] = [];
  #after: After[] = [];

  /** Takes what a turn has staged; gives what may follow now. */
  take(turn: Turn): readonly After[] {
    this.#writes.push(...turn.writes);
    this.#after.push(...turn.after);
    turn.writes = [];
    turn.after = [];
    if (this.#underWay !== undefined) return [];
    const after = this.#after;
    this.#after = [];
    if (this.#writes.length === 0) return after;
    this.#commits += 1;
    this.#underWay = { commit: this.#commits, after };
    turn.emit({ do: "commit", commit: this.#commits, writes: this.#writes });
    this.#writes = [];
    return [];
  }

  /** A commit is durable; gives what follows. */
  committed(commit: number): readonly After[] {
    if (this.#underWay?.commit !== commit) return [];
    const { after } = this.#underWay;
    this.#underWay = undefined;
    return after;
  }
}
