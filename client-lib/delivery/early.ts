// Receipts for messages that another device of this account has sent, and has not told of yet.
// Always true: a receipt counts once the message is known, and only of the account that it went to; the oldest go first.
import { type AccountId, accountOf, type DeviceAddress } from "@lethe/protocol";
import type { MessageId, StoredRows } from "./events.ts";
import { EARLY_MS, MAX_EARLY } from "./limits.ts";
import { type EarlyRow, earlyRow, put, readTable, remove } from "./rows.ts";
import type { Turn } from "./turn.ts";

export class Early {
  readonly #rows = new Map<string, EarlyRow>();

  constructor(rows: StoredRows) {
    for (const [key, row] of readTable(rows, "early", earlyRow).sort((a, b) => a[1].at - b[1].at))
      this.#rows.set(key, row);
  }

  keep(turn: Turn, message: MessageId, from: DeviceAddress, what: EarlyRow["what"]): void {
    const key = accountOf(from) + message;
    if (this.#rows.get(key)?.what === "read") return;
    const row: EarlyRow = { from, what, at: turn.now };
    this.#rows.set(key, row);
    turn.stage(put("early", key, earlyRow, row));
    for (const oldest of this.#rows.keys()) {
      if (this.#rows.size <= MAX_EARLY) return;
      this.#remove(turn, oldest);
    }
  }

  #remove(turn: Turn, key: string): void {
    this.#rows.delete(key);
    turn.stage(remove("early", key));
  }

  take(turn: Turn, message: MessageId, account: AccountId): EarlyRow | undefined {
    const row = this.#rows.get(account + message);
    if (row !== undefined) this.#remove(turn, account + message);
    return row;
  }

  sweep(turn: Turn): void {
    for (const [key, { at }] of this.#rows) if (turn.now - at >= EARLY_MS) this.#remove(turn, key);
  }
}
