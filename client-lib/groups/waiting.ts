// What has come before what it needs: envelopes of an epoch or a chain that is not known yet, and what was told in a state
// that has not come. Always true: it is durable before it is acknowledged; each kind has room of its own, of which the
// oldest is given up first.
import type { EnvelopeId } from "@lethe/protocol";
import type { StoredRows } from "../delivery/events.ts";
import { orderKey, orderOf, put, remove, readTable } from "../delivery/rows.ts";
import type { Turn } from "../delivery/turn.ts";
import { GROUP_WAITING_MS } from "./limits.ts";
import { type WaitingRow, waitingRow } from "./rows.ts";

export interface WaitingItem extends WaitingRow {
  readonly order: number;
}

export type Arrived = Pick<WaitingRow, "id" | "bytes" | "teller">;

/** Room that items of one kind have among them. */
export interface Share {
  readonly of: (item: Arrived) => boolean;
  readonly count: number;
  readonly bytes: number;
}

export class GroupWaiting {
  readonly #items = new Map<number, WaitingItem>();
  readonly #ids = new Set<EnvelopeId>();
  #nextOrder = 1;

  constructor(rows: StoredRows) {
    for (const [key, row] of readTable(rows, "group-waiting", waitingRow))
      this.#keep({ ...row, order: orderOf(key) });
  }

  has(id: EnvelopeId): boolean {
    return this.#ids.has(id);
  }

  /** Oldest first. */
  all(): WaitingItem[] {
    return [...this.#items.values()];
  }

  count(fits: (item: WaitingItem) => boolean): number {
    let count = 0;
    for (const item of this.#items.values()) if (fits(item)) count += 1;
    return count;
  }

  get size(): number {
    return this.#items.size;
  }

  /** Gives what has to go for it: the oldest of its share. */
  add(turn: Turn, { id, bytes, teller }: Arrived, share: Share): WaitingItem[] {
    if (this.#ids.has(id)) return [];
    const row: WaitingRow = { format: "one", at: turn.now, teller, id, bytes };
    const order = this.#nextOrder;
    const same = this.all().filter(share.of);
    this.#keep({ ...row, order });
    turn.stage(put("group-waiting", orderKey(order), waitingRow, row));
    let [count, size] = [same.length + 1, same.reduce((sum, item) => sum + item.bytes.length, bytes.length)];
    const gone: WaitingItem[] = [];
    for (const item of same) {
      if (count <= share.count && size <= share.bytes) break;
      [count, size] = [count - 1, size - item.bytes.length];
      gone.push(item);
      this.remove(turn, item);
    }
    return gone;
  }

  #keep(item: WaitingItem): void {
    this.#items.set(item.order, item);
    this.#ids.add(item.id);
    this.#nextOrder = Math.max(this.#nextOrder, item.order + 1);
  }

  remove(turn: Turn, item: WaitingItem): void {
    if (!this.#items.delete(item.order)) return;
    this.#ids.delete(item.id);
    turn.stage(remove("group-waiting", orderKey(item.order)));
  }

  /** What has waited in vain. */
  sweep(turn: Turn): WaitingItem[] {
    const over = this.all().filter(({ at }) => turn.now - at >= GROUP_WAITING_MS);
    for (const item of over) this.remove(turn, item);
    return over;
  }
}
