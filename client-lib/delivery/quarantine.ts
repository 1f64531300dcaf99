// Envelopes that could not be opened, kept to look at. Always true: at most MAX_QUARANTINED rows; the oldest goes first.
import type { EnvelopeId, FrameOf } from "@lethe/protocol";
import type { StoredRows } from "./events.ts";
import { MAX_QUARANTINED } from "./limits.ts";
import { orderKey, orderOf, put, quarantineRow, remove } from "./rows.ts";
import type { Turn } from "./turn.ts";

const MAX_CODE_CHARACTERS = 64;

export class Quarantine {
  readonly #orders: number[];
  /** Of this run: what comes again because its acknowledgement was lost is kept once. */
  readonly #ids = new Set<EnvelopeId>();

  constructor(rows: StoredRows) {
    this.#orders = (rows["quarantine"] ?? []).map(({ key }) => orderOf(key)).sort((a, b) => a - b);
  }

  add(turn: Turn, { id, ciphertext }: Pick<FrameOf<"push">, "id" | "ciphertext">, code: string): void {
    if (this.#ids.has(id)) return;
    this.#ids.add(id);
    if (this.#ids.size > MAX_QUARANTINED) this.#ids.clear();
    const order = (this.#orders.at(-1) ?? 0) + 1;
    this.#orders.push(order);
    const row = { id, at: turn.now, code: code.slice(0, MAX_CODE_CHARACTERS), ciphertext };
    turn.stage(put("quarantine", orderKey(order), quarantineRow, row));
    while (this.#orders.length > MAX_QUARANTINED) {
      const oldest = this.#orders.shift();
      if (oldest !== undefined) turn.stage(remove("quarantine", orderKey(oldest)));
    }
  }
}
