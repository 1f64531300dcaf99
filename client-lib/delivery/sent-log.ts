// What this device has sent, to whom, and how far it got: what receipts are held against.
// Always true: a state only goes forward; a receipt counts only from the account that the message went to.
import type { AccountId } from "@lethe/protocol";
import type { MessageId, StoredRows } from "./events.ts";
import { MAX_SENT, REMEMBER_MS } from "./limits.ts";
import { put, readTable, remove, type SentRow, sentRow } from "./rows.ts";
import type { Turn } from "./turn.ts";

const RANK = { queued: 0, expired: 1, refused: 1, sent: 2, delivered: 3, read: 4 } as const;

export class SentLog {
  readonly #rows = new Map<MessageId, SentRow>();

  constructor(rows: StoredRows) {
    for (const [key, row] of readTable(rows, "sent", sentRow).sort((a, b) => a[1].at - b[1].at))
      this.#rows.set(key as MessageId, row);
  }

  of(message: MessageId): Readonly<SentRow> | undefined {
    return this.#rows.get(message);
  }

  add(turn: Turn, message: MessageId, to: AccountId): void {
    const row: SentRow = { to, at: turn.now, state: "queued" };
    this.#rows.set(message, row);
    turn.stage(put("sent", message, sentRow, row));
    for (const oldest of this.#rows.keys()) {
      if (this.#rows.size <= MAX_SENT) return;
      this.#rows.delete(oldest);
      turn.stage(remove("sent", oldest));
    }
  }

  /** Moves a message forward. False: it is that far already, or unknown, or went to somebody else. */
  reach(turn: Turn, message: MessageId, to: AccountId, state: SentRow["state"]): boolean {
    const row = this.#rows.get(message);
    if (row === undefined || row.to !== to || RANK[state] <= RANK[row.state]) return false;
    const next = { ...row, state };
    this.#rows.set(message, next);
    turn.stage(put("sent", message, sentRow, next));
    return true;
  }

  sweep(turn: Turn): void {
    for (const [message, { at }] of this.#rows) {
      if (turn.now - at < REMEMBER_MS) return;
      this.#rows.delete(message);
      turn.stage(remove("sent", message));
    }
  }
}
