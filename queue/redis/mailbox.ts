// The mailbox in Redis: a stream for each device and the owner record beside it, in one shard, with what envelopes of the
// shard have in common. Always true: every verb is one script, so that what it judges and what it changes are one step; a
// write is answered after it is on the master's disk and on as many replicas as the store is set to wait for.
import type { DeviceAddress } from "@lethe/protocol";
import {
  type AppendUnlessOwned,
  type AppendUnlessOwnedResult,
  type Claim,
  type ClaimResult,
  type LookResult,
  type LookUpResult,
  type Mailbox,
  type MailboxStats,
  type NoDevice,
  type NodeId,
  type Owner,
  type OwnerAppend,
  type OwnerAppendResult,
  type Read,
  type ReadResult,
  type Remove,
  StoreFailedError,
  type StoreFailure,
} from "../mailbox.ts";
import { Calls, type Verb } from "./calls.ts";
import { Counts } from "./counts.ts";
import { lookedUpIn } from "./packing.ts";
import type { RedisParts } from "./parts.ts";
import { Rewrite } from "./rewrite.ts";
import { Sweep } from "./sweep.ts";
import { type AppendAnswer, type AppendItem, Verbs } from "./verbs.ts";
import { RedisWakes } from "./wakes.ts";

/** Envelopes or entries of one item; callers' own limits are far lower. */
const MAX_IN_ITEM = 4_096;
/** What an envelope is taken for besides its ciphertext. */
const ENVELOPE_BYTES = 64;

type Addressed = { readonly address: DeviceAddress };

export class RedisMailbox implements Mailbox {
  readonly #parts: RedisParts;
  readonly #calls = new Calls();
  readonly #verbs: Verbs;
  readonly #wakes: RedisWakes;
  readonly #sweep: Sweep;
  readonly #counts: Counts;
  readonly #rewrite: Rewrite;

  constructor(parts: RedisParts) {
    this.#parts = parts;
    this.#verbs = new Verbs(parts);
    this.#wakes = new RedisWakes(parts);
    this.#sweep = new Sweep(parts);
    this.#counts = new Counts(parts);
    this.#rewrite = new Rewrite(parts);
  }

  async lookUp(
    addresses: readonly DeviceAddress[],
  ): Promise<readonly (LookUpResult | NoDevice | StoreFailure)[]> {
    return this.#calls.each<DeviceAddress, LookUpResult | NoDevice>(addresses, {
      place: (address) => this.#place(address),
      call: (items) => this.#lookUp(items),
    });
  }

  async claim(batch: readonly Claim[]): Promise<readonly ClaimResult[]> {
    return this.#calls.each(
      batch,
      this.#verb((items) => this.#verbs.claim(items)),
    );
  }

  async appendUnlessOwned(batch: readonly AppendUnlessOwned[]): Promise<readonly AppendUnlessOwnedResult[]> {
    const answers = await this.#append(batch.map((append) => ({ mode: "u", by: append.suspect, append })));
    return answers.map((answer) => (answer.is === "fenced" ? impossible() : answer));
  }

  async appendAsOwner(batch: readonly OwnerAppend[]): Promise<readonly OwnerAppendResult[]> {
    const answers = await this.#append(batch.map((append) => ({ mode: "o", by: append.owner, append })));
    return answers.map(ownerAnswer);
  }

  async appendAndRelease(batch: readonly OwnerAppend[]): Promise<readonly OwnerAppendResult[]> {
    const isBare = ({ envelopes }: OwnerAppend): boolean => envelopes.length === 0;
    const [released, appended] = await Promise.all([
      this.#calls.each(
        batch.filter(isBare),
        this.#verb((items) => this.#verbs.release(items)),
      ),
      this.#append(
        batch.filter((item) => !isBare(item)).map((append) => ({ mode: "r", by: append.owner, append })),
      ),
    ]);
    const inTurn = { bare: released.values(), full: appended.values() };
    return batch.map((item) =>
      ownerAnswer(inTurn[isBare(item) ? "bare" : "full"].next().value ?? impossible()),
    );
  }

  async read(batch: readonly Read[]): Promise<readonly ReadResult[]> {
    return this.#calls.each(
      batch,
      this.#verb((items) => this.#verbs.read(items)),
    );
  }

  async remove(batch: readonly Remove[]): Promise<readonly ({ readonly is: "done" } | StoreFailure)[]> {
    for (const { entries } of batch) checkCount(entries.length);
    return this.#calls.each(
      batch,
      this.#verb((items) => this.#verbs.remove(items)),
    );
  }

  async look(addresses: readonly DeviceAddress[]): Promise<readonly LookResult[]> {
    return this.#calls.each(addresses, {
      place: (address) => this.#place(address),
      call: (items) => this.#verbs.look(items),
    });
  }

  async wake(node: NodeId, addresses: readonly DeviceAddress[]): Promise<void> {
    return this.#calls.one(() => this.#wakes.add(node, addresses));
  }

  async takeWakes(node: NodeId): Promise<readonly DeviceAddress[]> {
    this.#calls.checkOpen();
    return this.#wakes.take(node);
  }

  async retire(address: DeviceAddress): Promise<Owner | undefined> {
    return this.#calls.one(() => this.#verbs.retire(address));
  }

  async sweep(): Promise<number> {
    return this.#calls.one(async () => {
      const { removed, oldest } = await this.#sweep.run(() => this.#calls.isClosed);
      this.#counts.swept(removed);
      this.#counts.oldest = oldest;
      return removed;
    });
  }

  stats(): MailboxStats {
    return this.#counts.stats();
  }

  /** Has `stats` tell what is there now. */
  async count(): Promise<void> {
    return this.#calls.one(() => this.#counts.refresh());
  }

  /** Has every server rewrite its file, where something was removed; returns how many did. @throws StoreFailedError */
  async rewriteAofs(): Promise<number> {
    return this.#calls.one(() => this.#rewrite.run());
  }

  /** Wakes first: whoever waits for them is answered with nothing. */
  async close(): Promise<void> {
    this.#counts.stop();
    this.#wakes.close();
    await this.#calls.close();
  }

  #place(address: DeviceAddress): number {
    const { connection, keys } = this.#parts;
    return connection.placeOf(keys.owner(address));
  }

  #verb<Item extends Addressed, Result>(
    call: (items: readonly Item[]) => Promise<readonly Result[]>,
  ): Verb<Item, Result> {
    return { place: ({ address }) => this.#place(address), call };
  }

  async #append(items: readonly AppendItem[]): Promise<(AppendAnswer | StoreFailure)[]> {
    for (const { append } of items) checkCount(append.envelopes.length);
    return this.#calls.each(items, {
      place: ({ append }) => this.#place(append.address),
      bytes: ({ append }, carried) => this.#bytes(append, carried),
      call: (some) => this.#verbs.append(some),
    });
  }

  /** A payload counts once for each shard of the call, as often as it is written. */
  #bytes({ address, envelopes }: AppendItem["append"], carried: Set<string>): number {
    let sum = 0;
    for (const { ciphertext, payload } of envelopes) {
      const name = payload === undefined ? undefined : `${this.#parts.keys.shardOf(address)} ${payload}`;
      sum += ENVELOPE_BYTES + (name !== undefined && carried.has(name) ? 0 : ciphertext.length);
      if (name !== undefined) carried.add(name);
    }
    return sum;
  }

  async #lookUp(addresses: readonly DeviceAddress[]): Promise<(LookUpResult | NoDevice)[]> {
    const keys = addresses.map((address) => this.#parts.keys.owner(address));
    const records = await this.#parts.connection.call(keys[0] as Buffer, "MGET", keys);
    return (records as readonly (Buffer | null)[]).map((record) => {
      const found = lookedUpIn(record);
      return found === undefined ? { is: "no-device" } : { is: "found", ...found };
    });
  }
}

function ownerAnswer(answer: AppendAnswer | StoreFailure): OwnerAppendResult {
  if (answer.is === "owned") return impossible();
  return answer.is === "stored" ? { is: "stored", outcomes: answer.outcomes } : answer;
}

function impossible(): never {
  throw new StoreFailedError("storage-failed", "an answer that the verb does not have");
}

/** @throws RangeError for what no caller asks for */
function checkCount(count: number): void {
  if (count > MAX_IN_ITEM) throw new RangeError("the item is larger than the store takes at once");
}
