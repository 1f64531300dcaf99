// Receipts that are due: which messages of an account are to be confirmed, and when.
// Always true: what is due is durable with the message that caused it, and gone in the commit that seals the receipt;
// a receipt waits at random, so that its time says less, and one names many messages.
import type { AccountId, Time } from "@lethe/protocol";
import { later, soonest } from "./connection-ends.ts";
import type { Chance, MessageId, StoredRows } from "./events.ts";
import { MAX_RECEIPT_IDS, MAX_RECEIPTS_DUE } from "./limits.ts";
import { put, readTable, receiptRow, remove } from "./rows.ts";
import type { Turn } from "./turn.ts";

type What = "delivered" | "read";
interface Due {
  readonly messages: Map<MessageId, What>;
  at: number;
}

export class Receipts {
  readonly #chance: Chance;
  readonly #jitterMs: number;
  readonly #due = new Map<AccountId, Due>();
  #count = 0;

  constructor(chance: Chance, jitterMs: number, rows: StoredRows) {
    this.#chance = chance;
    this.#jitterMs = jitterMs;
    for (const [key, { what }] of readTable(rows, "receipt", receiptRow))
      this.#add(0 as Time, key.slice(0, 16) as AccountId, key.slice(16) as MessageId, what);
  }

  add(turn: Turn, account: AccountId, message: MessageId, what: What): void {
    if (this.#count >= MAX_RECEIPTS_DUE) return;
    if (this.#due.get(account)?.messages.get(message) === "read") return;
    this.#add(turn.now, account, message, what);
    turn.stage(put("receipt", account + message, receiptRow, { what }));
  }

  #add(now: Time, account: AccountId, message: MessageId, what: What): void {
    const due = this.#due.get(account) ?? {
      messages: new Map<MessageId, What>(),
      at: later(now, this.#chance.fraction() * this.#jitterMs),
    };
    this.#due.set(account, due);
    if (!due.messages.has(message)) this.#count += 1;
    due.messages.set(message, what);
  }

  /** Accounts whose receipts are due now. */
  ready(now: Time): AccountId[] {
    const ready: AccountId[] = [];
    for (const [account, due] of this.#due) if (due.at <= now) ready.push(account);
    return ready;
  }

  /** Takes one receipt's worth of an account; its rows go in this turn's commit. The rest is due later. */
  take(turn: Turn, account: AccountId): { delivered: MessageId[]; read: MessageId[] } {
    const out = { delivered: [] as MessageId[], read: [] as MessageId[] };
    const due = this.#due.get(account);
    for (const [message, what] of due?.messages ?? []) {
      if (out.delivered.length + out.read.length >= MAX_RECEIPT_IDS) break;
      out[what].push(message);
      due?.messages.delete(message);
      this.#count -= 1;
      turn.stage(remove("receipt", account + message));
    }
    if (due?.messages.size === 0) this.#due.delete(account);
    return out;
  }

  /** Cannot be sealed now: looked at again after a jitter. */
  postpone(turn: Turn, account: AccountId, ms: number): void {
    const due = this.#due.get(account);
    if (due !== undefined) due.at = later(turn.now, ms + this.#chance.fraction() * ms);
  }

  nextAt(now: Time): number {
    let at = Number.POSITIVE_INFINITY;
    for (const due of this.#due.values()) at = soonest(now, at, due.at);
    return at;
  }
}
