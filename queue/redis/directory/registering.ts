// Registering an account: its record, its name and the use of its invite lie in three shards, and in a cluster one script
// reaches one. So an attempt reserves the name, takes a use of the invite, and then writes the account, in one atomic step
// that decides for all three; afterwards name and use are settled. Always true, wherever a relay ends in between:
// - a name or a use without its account is worth nothing: who meets it asks the account's shard;
// - who wants what an attempt holds waits a little, then ends that attempt in the account's shard. From then on the attempt
//   can never write its account, so what it held can be given to others without a clock having to be right;
// - an attempt that was ended begins again; what nobody wants is settled when a day passes.
import { randomBytes } from "node:crypto";
import type { AccountRecord, Registration } from "../../directory.ts";
import { isSameAccount } from "../../same-account.ts";
import { StoreFailedError } from "../../mailbox.ts";
import type { Accounts } from "./accounts.ts";
import type { Invites } from "./invites.ts";
import { ATTEMPT_BYTES, ATTEMPT_MS, type Holder, type Names } from "./names.ts";
import { fieldsOf } from "./records.ts";
import { bytesOf, type DirectoryStore, markOf, wordOf } from "./store.ts";

/** Pause before what somebody else's attempt holds is asked for again. */
const PAUSE_MS = 25;
/** Pauses that one attempt of somebody else is given: a second, where it takes some milliseconds. */
const MAX_PAUSES = 40;
/** Attempts and pauses of one registration. */
const MAX_TRIES = 400;

export interface RegisteringParts {
  readonly store: DirectoryStore;
  readonly accounts: Accounts;
  readonly names: Names;
  readonly invites: Invites;
  readonly pause: (ms: number) => Promise<void>;
}

export class Registering {
  readonly #o: RegisteringParts;

  constructor(parts: RegisteringParts) {
    this.#o = parts;
  }

  async register(record: AccountRecord, invite: Uint8Array | undefined): Promise<Registration> {
    const patience = new Patience(this.#o.pause);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const outcome = (await this.#known(record)) ?? (await this.#attempt(record, invite, patience));
      if (outcome !== "again") return outcome;
    }
    throw new StoreFailedError("storage-failed", "a registration was interrupted each time");
  }

  async #known(record: AccountRecord): Promise<"same" | "account-exists" | undefined> {
    const [known, wasDeleted] = await Promise.all([
      this.#o.accounts.read(record.account),
      this.#o.accounts.wasDeleted(record.account),
    ]);
    if (known !== undefined) return isSameAccount(known.record, record) ? "same" : "account-exists";
    return wasDeleted ? "account-exists" : undefined;
  }

  async #attempt(
    record: AccountRecord,
    invite: Uint8Array | undefined,
    patience: Patience,
  ): Promise<Registration | "again"> {
    const { names, invites } = this.#o;
    const { name, account } = record;
    const own: Holder = { account, attempt: randomBytes(ATTEMPT_BYTES) };
    const reserved = await names.reserve(name, own);
    if (reserved.is === "held") return this.#contestName(record, reserved.holder, patience);
    if (invite !== undefined) {
      const use = await invites.take(invite, own);
      if (use.is !== "taken") await names.settle(name, own, "free");
      if (use.is === "invalid") return "invite-invalid";
      if (use.is === "too-many")
        throw new StoreFailedError("storage-failed", "too many registrations are under way");
      if (use.is === "held") return this.#contestUse(use.holders, patience);
    }
    const isRegistered = (await this.#write(record, own, reserved.at)) === "registered";
    // A doubt that stays, because this fails or never comes, is settled by whoever meets it.
    const settled = [names.settle(name, own, isRegistered ? "keep" : "free")];
    if (invite !== undefined) settled.push(invites.settle(own, isRegistered ? "used" : "back"));
    await Promise.allSettled(settled);
    return isRegistered ? "registered" : "again";
  }

  async #write(record: AccountRecord, { account, attempt }: Holder, began: number): Promise<string> {
    const { scripts, keys, now } = this.#o.store;
    const shard = keys.shardOf(account);
    const own = [keys.account(account), keys.ended(account, attempt), keys.deleted(account)];
    const args = [now(), began, ATTEMPT_MS, bytesOf(account), markOf(account), attempt, ...fieldsOf(record)];
    return wordOf(await scripts.run("register", [...own, keys.use(shard), keys.days(shard)], args));
  }

  /** Another has the name: for good, not any more, or it is not known yet. */
  async #contestName(
    { name, account }: AccountRecord,
    holder: Holder,
    patience: Patience,
  ): Promise<"name-taken" | "again"> {
    const { names, accounts } = this.#o;
    const has = await names.nameOf(holder.account);
    // The account itself has it by now, from another attempt to register it: then it is known.
    if (has === name) return holder.account === account ? "again" : "name-taken";
    const isOver = has !== undefined || (await accounts.wasDeleted(holder.account));
    if (isOver || (await patience.isOver(holder))) await names.resolve(name, holder);
    return "again";
  }

  /** Others hold the last uses of the invite. */
  async #contestUse(holders: readonly Holder[], patience: Patience): Promise<"again"> {
    const [first] = holders;
    if (first !== undefined && (await patience.isOver(first))) await this.#o.invites.resolve(first);
    return "again";
  }
}

/** How long somebody else's attempt has been waited for. */
class Patience {
  readonly #pause: (ms: number) => Promise<void>;
  #attempt: Buffer | undefined;
  #pauses = 0;

  constructor(pause: (ms: number) => Promise<void>) {
    this.#pause = pause;
  }

  /** Pauses; true once the same attempt has been waited for long enough. */
  async isOver({ attempt }: Holder): Promise<boolean> {
    if (this.#attempt?.equals(attempt) !== true) this.#pauses = 0;
    this.#attempt = attempt;
    if (this.#pauses >= MAX_PAUSES) return true;
    this.#pauses++;
    await this.#pause(PAUSE_MS);
    return false;
  }
}
