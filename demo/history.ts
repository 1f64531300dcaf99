// What this tab has shown, kept over a reload and gone with the tab. Always true: an entry stands once, under its id,
// so that a message that is handed over again is not shown again; a state only rises.
export const STATES = ["waiting", "sent", "delivered", "read"] as const;
export type State = (typeof STATES)[number];

export type Entry =
  | { readonly id: string; readonly is: "own"; readonly text: string; readonly state: State }
  | { readonly id: string; readonly is: "theirs"; readonly text: string }
  | { readonly id: string; readonly is: "gap"; readonly missing: number };

/** The oldest go first: sessionStorage takes about 5 MB. */
const MAX_ENTRIES = 1_000;

export class History {
  readonly #key: string;
  readonly #entries: Map<string, Entry>;

  constructor(user: string, peer: string) {
    this.#key = `lethe-demo/${user}/${peer}`;
    const kept = JSON.parse(sessionStorage.getItem(this.#key) ?? "[]") as Entry[];
    this.#entries = new Map(kept.map((entry) => [entry.id, entry]));
  }

  all(): Entry[] {
    return [...this.#entries.values()];
  }

  add(entry: Entry): void {
    if (this.#entries.has(entry.id)) return;
    this.#entries.set(entry.id, entry);
    for (const id of this.#entries.keys()) {
      if (this.#entries.size <= MAX_ENTRIES) break;
      this.#entries.delete(id);
    }
    this.#keep();
  }

  /** The relay or the other side has told more of a message of ours. */
  reached(id: string, state: State): void {
    const entry = this.#entries.get(id);
    if (entry?.is !== "own" || STATES.indexOf(state) <= STATES.indexOf(entry.state)) return;
    this.#entries.set(id, { ...entry, state });
    this.#keep();
  }

  #keep(): void {
    sessionStorage.setItem(this.#key, JSON.stringify(this.all()));
  }
}
