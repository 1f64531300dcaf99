// A batch on its way: what lies in one place goes in one call, in the order of the batch, and no call is larger than a
// server answers in a millisecond or two. Always true: each item gets one result; how much is under way has a cap;
// `close` waits for what was begun.
import type { StoreFailure } from "../mailbox.ts";
import { StoreFailedError } from "../mailbox.ts";
import { closedError, failureOf } from "./failures.ts";

/** Items in one call: measured, Redis spends less on an item in calls of 32 than of 10 or 256. */
const MAX_ITEMS = 32;
/** Bytes of items in one call; an item that is larger goes alone. */
const MAX_BYTES = 1_048_576;
/** Bytes under way to a store that is slow to answer; what comes on top of them is refused. */
const MAX_UNDER_WAY = 128 * 1_048_576;
/** What an item is taken for besides its envelopes. */
const ITEM_BYTES = 256;

/** How items of one verb are called. */
export interface Verb<Item, Result> {
  /** Items of the same place can be in one call. */
  readonly place: (item: Item) => number;
  /** Bytes of ciphertext that an item adds to a call. What items have in common is in `carried`, by name, once it counts. */
  readonly bytes?: (item: Item, carried: Set<string>) => number;
  /** One answer an item, in their order. */
  readonly call: (items: readonly Item[]) => Promise<readonly Result[]>;
}

interface Group<Item> {
  readonly items: Item[];
  readonly indexes: number[];
  readonly carried: Set<string>;
  bytes: number;
}

export class Calls {
  readonly #begun = new Set<Promise<unknown>>();
  #underWay = 0;
  #closed = false;

  async each<Item, Result>(
    batch: readonly Item[],
    verb: Verb<Item, Result>,
  ): Promise<(Result | StoreFailure)[]> {
    this.checkOpen();
    const results: (Result | StoreFailure)[] = [];
    const groups = grouped(batch, verb);
    await Promise.all(
      groups.map(async ({ items, indexes, bytes }) => {
        const answers = await this.#run(bytes, () => verb.call(items)).catch(failureOf);
        for (const [i, index] of indexes.entries())
          results[index] = Array.isArray(answers)
            ? ((answers as readonly Result[])[i] ?? unanswered())
            : (answers as StoreFailure);
      }),
    );
    return results;
  }

  /** A call that is no batch. */
  one<Result>(call: () => Promise<Result>): Promise<Result> {
    this.checkOpen();
    return this.#run(ITEM_BYTES, call);
  }

  /** @throws StoreClosedError */
  checkOpen(): void {
    if (this.#closed) throw closedError();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Nothing new is begun from now on; resolves once all that was is settled. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#begun);
  }

  async #run<Result>(bytes: number, call: () => Promise<Result>): Promise<Result> {
    if (this.#underWay + bytes > MAX_UNDER_WAY && this.#underWay > 0)
      throw new StoreFailedError("storage-failed", "too much is under way to the store");
    this.#underWay += bytes;
    const running = call();
    this.#begun.add(running);
    try {
      return await running;
    } finally {
      this.#begun.delete(running);
      this.#underWay -= bytes;
    }
  }
}

function unanswered(): StoreFailure {
  return { is: "failed", code: "storage-failed" };
}

function grouped<Item, Result>(batch: readonly Item[], verb: Verb<Item, Result>): Group<Item>[] {
  const groups: Group<Item>[] = [];
  const open = new Map<number, Group<Item>>();
  for (const [index, item] of batch.entries()) {
    const place = verb.place(item);
    const bytesIn = (carried: Set<string>): number => ITEM_BYTES + (verb.bytes?.(item, carried) ?? 0);
    let group = open.get(place);
    let bytes = group === undefined ? 0 : bytesIn(group.carried);
    if (group === undefined || group.items.length >= MAX_ITEMS || group.bytes + bytes > MAX_BYTES) {
      group = { items: [], indexes: [], carried: new Set(), bytes: 0 };
      bytes = bytesIn(group.carried);
      groups.push(group);
      open.set(place, group);
    }
    group.items.push(item);
    group.indexes.push(index);
    group.bytes += bytes;
  }
  return groups;
}
