// How far one's own messages to groups have come: whom each went to, and who has confirmed it. Always true: an account counts
// once for each message, and only if it was in the group that the message went to; a count only goes up.
import type { AccountId } from "@lethe/protocol";
import { type GroupId, memberOf } from "@lethe/crypto";
import type { MessageId, StoredRows } from "../delivery/events.ts";
import { REMEMBER_MS } from "../delivery/limits.ts";
import type { Turn } from "../delivery/turn.ts";
import type { GroupStore } from "./group-store.ts";
import { MAX_GROUP_SENT } from "./limits.ts";
import { putRow, removeRow, rowsOf, type SentRow, sentRow } from "./rows.ts";

export class GroupSent {
  readonly #rows = new Map<MessageId, SentRow>();
  readonly #store: GroupStore;

  constructor(store: GroupStore, rows: StoredRows) {
    this.#store = store;
    for (const [key, row] of rowsOf(rows, "group-sent", sentRow).sort((a, b) => a[1].at - b[1].at))
      this.#rows.set(key as MessageId, row);
  }

  of(message: MessageId): Readonly<SentRow> | undefined {
    return this.#rows.get(message);
  }

  add(turn: Turn, message: MessageId, group: GroupId, of = 0): void {
    if (this.#rows.has(message)) return;
    this.#put(turn, message, {
      format: "one",
      group,
      at: turn.now,
      state: "queued",
      of,
      delivered: [],
      read: [],
    });
    for (const oldest of this.#rows.keys()) {
      if (this.#rows.size <= MAX_GROUP_SENT) return;
      this.#rows.delete(oldest);
      turn.stage(removeRow("group-sent", oldest));
    }
  }

  #put(turn: Turn, message: MessageId, row: SentRow): void {
    this.#rows.set(message, row);
    turn.stage(putRow("group-sent", message, sentRow, row));
  }

  /** So many accounts besides one's own it goes to. */
  goesTo(turn: Turn, message: MessageId, accounts: number): void {
    const row = this.#rows.get(message);
    if (row !== undefined && accounts > row.of) this.#put(turn, message, { ...row, of: accounts });
  }

  settle(turn: Turn, message: MessageId, state: SentRow["state"]): boolean {
    const row = this.#rows.get(message);
    if (row === undefined || row.state !== "queued") return false;
    this.#put(turn, message, { ...row, state });
    return true;
  }

  /** A member's confirmation. False: it is known, or not this account's to give. */
  reach(turn: Turn, message: MessageId, account: AccountId, state: "delivered" | "read"): boolean {
    const row = this.#rows.get(message);
    const group = row === undefined ? undefined : this.#store.of(row.group);
    if (row === undefined || group === undefined || memberOf(group.view.state, account) === undefined)
      return false;
    if (row.read.includes(account) || (state === "delivered" && row.delivered.includes(account)))
      return false;
    const delivered = row.delivered.includes(account) ? row.delivered : [...row.delivered, account];
    const read = state === "read" ? [...row.read, account] : row.read;
    // A receipt may overtake the relay's word: that settles the message, and is told, all the same.
    this.#put(turn, message, { ...row, delivered, read });
    return true;
  }

  sweep(turn: Turn): void {
    for (const [message, { at }] of this.#rows) {
      if (turn.now - at < REMEMBER_MS) return;
      this.#rows.delete(message);
      turn.stage(removeRow("group-sent", message));
    }
  }
}
