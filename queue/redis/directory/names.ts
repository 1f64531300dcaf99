// Names and the accounts that have them, in two shards that no script reaches together. Always true: a name is of the
// account that its entry names only while that account is there and has this name, which the account's shard decides; an
// entry of which that is not known yet is in doubt, and who settles a doubt first ends the attempt that reserved the name.
import type { AccountId, UserName } from "@lethe/protocol";
import { shardOf } from "../keys.ts";
import { bytesOf, byPlace, buffersOf, type DirectoryStore, markOf, unexpected, wordOf } from "./store.ts";

const ID_BYTES = 16;
export const ATTEMPT_BYTES = 8;
/** How long the end of an attempt stays marked, ms. */
const ENDED_MS = 3_600_000;
/** How long an attempt may last, ms: shorter than its end stays marked, whatever the clocks of two servers say. */
export const ATTEMPT_MS = ENDED_MS / 2;
/** A name that has been in doubt for so long, ms, is settled by whoever finds it: its registration takes milliseconds. */
const DOUBT_MS = 60_000;
/** Doubts that one look finds in a shard. */
const MAX_DOUBTS = 100;

/** An account, and the attempt to register it: 16 and 8 bytes. */
export interface Holder {
  readonly account: AccountId;
  readonly attempt: Buffer;
}

export type Reserved =
  | { readonly is: "reserved"; readonly at: number }
  | { readonly is: "held"; readonly holder: Holder };

/** What is known of an attempt that has been ended. */
export interface Ended {
  /** The account is there, with the name that was asked about. */
  readonly hasName: boolean;
  /** It is there by this attempt. */
  readonly registered: boolean;
  readonly deleted: boolean;
}

export class Names {
  readonly #store: DirectoryStore;

  constructor(store: DirectoryStore) {
    this.#store = store;
  }

  async accountOf(name: UserName): Promise<AccountId | undefined> {
    const key = this.#store.keys.name(name);
    const entry = await this.#store.connection.call(key, "GET", [key]);
    if (!Buffer.isBuffer(entry)) return undefined;
    const { account } = holderOf(entry);
    return (await this.nameOf(account)) === name ? account : undefined;
  }

  /** The name that the account is there with. */
  async nameOf(account: AccountId): Promise<string | undefined> {
    const key = this.#store.keys.account(account);
    const name = await this.#store.connection.call(key, "HGET", [key, "n"]);
    return Buffer.isBuffer(name) ? name.toString("latin1") : undefined;
  }

  async reserve(name: UserName, holder: Holder): Promise<Reserved> {
    const { scripts, now } = this.#store;
    const answer = await scripts.run("reserve-name", this.#keysOf(name), [now(), name, entryOf(holder)]);
    if (Buffer.isBuffer(answer)) return { is: "held", holder: holderOf(answer) };
    if (typeof answer !== "number") throw unexpected("reserve-name");
    return { is: "reserved", at: answer };
  }

  /** Undefined where the name is not this account's. */
  async doubt(name: UserName, account: AccountId): Promise<Holder | undefined> {
    const { scripts, now } = this.#store;
    const answer = await scripts.run("doubt-name", this.#keysOf(name), [now(), name, bytesOf(account)]);
    return Buffer.isBuffer(answer) ? holderOf(answer) : undefined;
  }

  async settle(name: UserName, holder: Holder, how: "keep" | "free"): Promise<void> {
    const { scripts, keys, now } = this.#store;
    const own = [...this.#keysOf(name), keys.counters(shardOf(name, keys.shards))];
    await scripts.run("settle-name", own, [name, entryOf(holder), how, now()]);
  }

  /** Ends the holder's attempt; then the name is its, or free. */
  async resolve(name: UserName, holder: Holder): Promise<void> {
    const { hasName } = await this.endAttempt(name, holder);
    await this.settle(name, holder, hasName ? "keep" : "free");
  }

  /** Whatever comes of the attempt has come of it when this resolves. */
  async endAttempt(name: UserName | "", { account, attempt }: Holder): Promise<Ended> {
    const { scripts, keys } = this.#store;
    const answer = await scripts.run(
      "end-attempt",
      [keys.account(account), keys.ended(account, attempt), keys.deleted(account)],
      [name, attempt, markOf(account), ENDED_MS],
    );
    if (!Array.isArray(answer)) throw unexpected("end-attempt");
    return { hasName: answer[0] === 1, registered: answer[1] === 1, deleted: answer[2] === 1 };
  }

  /** Settles what has been in doubt for long: its relay ended in between. */
  async settleDoubts(): Promise<void> {
    const { scripts, keys, now } = this.#store;
    const places = byPlace(this.#store, (shard) => [keys.doubts(shard)]);
    const found = await Promise.all(
      places.map((some) => scripts.look("doubts", some, [now(), DOUBT_MS, MAX_DOUBTS])),
    );
    for (const doubt of found.flatMap((some) => buffersOf(some, "doubts"))) {
      const name = wordOf(doubt.subarray(ID_BYTES + ATTEMPT_BYTES)) as UserName;
      await this.resolve(name, holderOf(doubt));
    }
  }

  #keysOf(name: UserName): [Buffer, Buffer] {
    return [this.#store.keys.name(name), this.#store.keys.doubtsOf(name)];
  }
}

function entryOf({ account, attempt }: Holder): Buffer {
  return Buffer.concat([bytesOf(account), attempt]);
}

function holderOf(entry: Buffer): Holder {
  return {
    account: entry.toString("latin1", 0, ID_BYTES) as AccountId,
    attempt: Buffer.from(entry.subarray(ID_BYTES, ID_BYTES + ATTEMPT_BYTES)),
  };
}
