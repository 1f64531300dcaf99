// Mail of strangers, kept until the person has decided about its sender. Always true: what is kept of one stranger, and
// of how many, has caps; the entries of one stranger stay in the order in which their turn came.
import { type AccountId, accountOf } from "@lethe/protocol";
import type { MessageId } from "./events.ts";
import type { Ready } from "./inbox.ts";
import { MAX_REQUEST_BYTES, MAX_REQUEST_MESSAGES, MAX_REQUESTS } from "./limits.ts";

interface Request {
  readonly entries: Ready[];
  bytes: number;
}

export class Requests {
  readonly #kept = new Map<AccountId, Request>();

  has(account: AccountId): boolean {
    return this.#kept.has(account);
  }

  accounts(): AccountId[] {
    return [...this.#kept.keys()];
  }

  /** Whether a message with so many bytes of an account that is not decided about may be kept. */
  hasRoom(account: AccountId, bytes: number): boolean {
    const own = this.#kept.get(account);
    if (own === undefined) return this.#kept.size < MAX_REQUESTS;
    return own.entries.length < MAX_REQUEST_MESSAGES && own.bytes + bytes <= MAX_REQUEST_BYTES;
  }

  add(entry: Ready): void {
    const account = accountOf(entry.row.from);
    const own = this.#kept.get(account) ?? { entries: [], bytes: 0 };
    own.entries.push(entry);
    own.bytes += entry.row.body.length;
    this.#kept.set(account, own);
  }

  /** Takes away messages of an account; the account stays, undecided, while any are left. */
  forget(account: AccountId, messages: readonly MessageId[]): readonly Ready[] {
    const own = this.#kept.get(account);
    const gone = own?.entries.filter(({ row }) => messages.includes(row.message)) ?? [];
    if (own === undefined || gone.length === 0) return [];
    this.#kept.delete(account);
    for (const entry of own.entries) if (!gone.includes(entry)) this.add(entry);
    return gone;
  }

  take(account: AccountId): readonly Ready[] {
    const own = this.#kept.get(account);
    this.#kept.delete(account);
    return own?.entries ?? [];
  }
}
