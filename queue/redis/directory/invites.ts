// Invites and their uses, all in one shard. Always true: a use that an attempt has taken is held until it is known whether
// the attempt registered its account, which the account's shard decides; then it is used, or given back.
import { type AccountId, ID_BYTES, type Time } from "@lethe/protocol";
import { type Invite, MAX_INVITES } from "../../directory.ts";
import { ATTEMPT_BYTES, type Holder, type Names } from "./names.ts";
import { buffersOf, bytesOf, type DirectoryStore, unexpected, wordOf } from "./store.ts";

/** Uses held at once: registrations under way, and those whose relay ended in between. */
const MAX_HELD = 10_000;

export type UseTaken =
  | { readonly is: "taken" | "invalid" | "too-many" }
  | { readonly is: "held"; readonly holders: readonly Holder[] };

export class Invites {
  readonly #store: DirectoryStore;
  readonly #names: Names;

  constructor(store: DirectoryStore, names: Names) {
    this.#store = store;
    this.#names = names;
  }

  async put({ mark, uses, expires }: Invite): Promise<"put" | "too-many"> {
    const { scripts, keys, now } = this.#store;
    const args = [now(), Buffer.from(mark), uses, expires, MAX_INVITES];
    return (await scripts.run("put-invite", keys.invites(), args)) === 1 ? "put" : "too-many";
  }

  async list(): Promise<readonly Invite[]> {
    const { scripts, keys, now } = this.#store;
    const [byExpiry, uses] = keys.invites();
    const answer = await scripts.look("invites", [byExpiry, uses], [now()]);
    if (!Array.isArray(answer)) throw unexpected("invites");
    const left = new Map(pairsOf(answer[1]).map(([mark, count]) => [wordOf(mark), Number(wordOf(count))]));
    return pairsOf(answer[0]).flatMap(([mark, expires]) => {
      const count = left.get(wordOf(mark)) ?? 0;
      return count === 0 ? [] : [{ mark, uses: count, expires: Number(wordOf(expires)) as Time }];
    });
  }

  async delete(mark: Uint8Array): Promise<"deleted" | "no-invite"> {
    const { scripts, keys } = this.#store;
    const [byExpiry, uses] = keys.invites();
    const deleted = await scripts.run("delete-invite", [byExpiry, uses], [Buffer.from(mark)]);
    return deleted === 1 ? "deleted" : "no-invite";
  }

  async take(mark: Uint8Array, { account, attempt }: Holder): Promise<UseTaken> {
    const { scripts, keys, now } = this.#store;
    const args = [now(), Buffer.from(mark), attempt, bytesOf(account), MAX_HELD];
    const answer = await scripts.run("take-use", keys.invites(), args);
    if (Array.isArray(answer)) return { is: "held", holders: buffersOf(answer, "take-use").map(holderOf) };
    const is = wordOf(answer);
    if (is !== "taken" && is !== "invalid" && is !== "too-many") throw unexpected("take-use");
    return { is };
  }

  async settle({ attempt }: Pick<Holder, "attempt">, how: "used" | "back"): Promise<void> {
    await this.#store.scripts.run("settle-use", this.#store.keys.invites(), [attempt, how]);
  }

  /** Ends the holder's attempt; then its use is used, or given back. A use of a deleted account was used. */
  async resolve(holder: Holder): Promise<void> {
    const { registered, deleted } = await this.#names.endAttempt("", holder);
    await this.settle(holder, registered || deleted ? "used" : "back");
  }

  /** Settles every held use. A registration that this meets under way begins again. */
  async settleHeld(): Promise<void> {
    const [, , held] = this.#store.keys.invites();
    const all = await this.#store.connection.call(held, "HGETALL", [held]);
    for (const [attempt, of] of pairsOf(all))
      await this.resolve({ attempt, account: idOf(of.subarray(ID_BYTES)) });
  }
}

function holderOf(entry: Buffer): Holder {
  return {
    attempt: Buffer.from(entry.subarray(0, ATTEMPT_BYTES)),
    account: idOf(entry.subarray(ATTEMPT_BYTES)),
  };
}

function idOf(bytes: Buffer): AccountId {
  return bytes.toString("latin1") as AccountId;
}

function pairsOf(answer: unknown): [Buffer, Buffer][] {
  const flat = buffersOf(answer, "invites");
  return Array.from({ length: flat.length / 2 }, (_, i) => [
    flat[2 * i] as Buffer,
    flat[2 * i + 1] as Buffer,
  ]);
}
