// Who is in use, by days of UTC. Always true: every account stands once in its shard's sorted set, which is written at most
// once a day for it; days on which no relay ran are taken off the others, so that a day's score is one of days that count.
import type { AccountId, Time } from "@lethe/protocol";
import { byPlace, bytesOf, type DirectoryStore, unexpected, wordOf } from "./store.ts";

const DAY_MS = 86_400_000;

export class Use {
  readonly #store: DirectoryStore;

  constructor(store: DirectoryStore) {
    this.#store = store;
  }

  async note(account: AccountId): Promise<void> {
    const { scripts, keys, now } = this.#store;
    const shard = keys.shardOf(account);
    await scripts.run("note-use", [keys.use(shard), keys.days(shard)], [now(), bytesOf(account)]);
  }

  /** Each shard counts for itself, so that one that does not answer is not counted twice when this is said again. */
  async dayPasses(): Promise<void> {
    const { scripts, keys, now } = this.#store;
    const places = byPlace(this.#store, (shard) => [keys.days(shard)]);
    await Promise.all(places.map((some) => scripts.run("day-passes", some, [now()])));
  }

  async idle(before: Time, count: number): Promise<readonly AccountId[]> {
    const { scripts, keys } = this.#store;
    const places = byPlace(this.#store, (shard) => [keys.use(shard), keys.days(shard)]);
    const args = [Math.floor(before / DAY_MS), count];
    const answers = await Promise.all(places.map((some) => scripts.look("idle", some, args)));
    return answers
      .flatMap(daysOf)
      .sort((a, b) => a.day - b.day)
      .slice(0, count)
      .map(({ account }) => account);
  }

  async count(): Promise<number> {
    const { scripts, keys } = this.#store;
    const places = byPlace(this.#store, (shard) => [keys.use(shard)]);
    const counts = await Promise.all(places.map((some) => scripts.look("count", some, [])));
    return counts.reduce<number>((sum, count) => sum + Number(count), 0);
  }
}

interface LastUse {
  readonly account: AccountId;
  readonly day: number;
}

function daysOf(answer: unknown): LastUse[] {
  if (!Array.isArray(answer)) throw unexpected("idle");
  return answer.flatMap((account: unknown, i) =>
    i % 2 === 0 ? [{ account: wordOf(account) as AccountId, day: Number(answer[i + 1]) }] : [],
  );
}
