// The directory of the Redis backend: its verbs, each made of atomic scripts. Always true: several relays do this at the
// same time; nothing is remembered between two calls; what was begun before `close` is settled before it resolves.
import type { AccountId, DeviceAddress, Time, UserName } from "@lethe/protocol";
import type {
  AccountRecord,
  Directory,
  HeldPrekeys,
  Invite,
  PrekeyBundle,
  PrekeyUpload,
  Registration,
  TakePrekeys,
} from "../../directory.ts";
import { closedError } from "../failures.ts";
import { nowArg, type RedisParts } from "../parts.ts";
import { Accounts } from "./accounts.ts";
import { Invites } from "./invites.ts";
import { DirectoryKeys } from "./keys.ts";
import { Names } from "./names.ts";
import { Prekeys } from "./prekeys.ts";
import { Registering } from "./registering.ts";
import type { DirectoryStore } from "./store.ts";
import { Use } from "./use.ts";

export class RedisDirectory implements Directory {
  readonly #accounts: Accounts;
  readonly #names: Names;
  readonly #invites: Invites;
  readonly #registering: Registering;
  readonly #prekeys: Prekeys;
  readonly #use: Use;
  readonly #begun = new Set<Promise<unknown>>();
  #isClosed = false;

  private constructor(parts: RedisParts) {
    const { connection, scripts } = parts;
    const keys = new DirectoryKeys(parts.keys);
    const store: DirectoryStore = { connection, scripts, keys, now: () => nowArg(parts) };
    this.#names = new Names(store);
    this.#accounts = new Accounts(store, this.#names);
    this.#invites = new Invites(store, this.#names);
    const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    const [accounts, names, invites] = [this.#accounts, this.#names, this.#invites];
    this.#registering = new Registering({ store, accounts, names, invites, pause });
    this.#prekeys = new Prekeys(store);
    this.#use = new Use(store);
  }

  /** @throws StoreFailedError, StoreClosedError */
  static async open(parts: RedisParts): Promise<RedisDirectory> {
    const directory = new RedisDirectory(parts);
    await directory.#accounts.prepare();
    return directory;
  }

  register(account: AccountRecord, invite?: Uint8Array): Promise<Registration> {
    return this.#do(() => this.#registering.register(account, invite));
  }

  accountOfName(name: UserName): Promise<AccountId | undefined> {
    return this.#do(() => this.#names.accountOf(name));
  }

  account(account: AccountId): Promise<AccountRecord | undefined> {
    return this.#do(async () => (await this.#accounts.read(account))?.record);
  }

  putDeviceList(
    account: AccountId,
    list: Parameters<Directory["putDeviceList"]>[1],
  ): ReturnType<Directory["putDeviceList"]> {
    return this.#do(() => this.#accounts.putDeviceList(account, list));
  }

  putAccessKeyHash(account: AccountId, hash: Uint8Array): Promise<"put" | "no-account"> {
    return this.#do(() => this.#accounts.putField(account, "h", hash));
  }

  putHidesLastSeen(account: AccountId, hides: boolean): Promise<"put" | "no-account"> {
    return this.#do(() => this.#accounts.putField(account, "p", Buffer.from(hides ? "1" : "")));
  }

  putPrekeys(address: DeviceAddress, upload: PrekeyUpload): Promise<"put" | "too-many" | "no-device"> {
    return this.#do(() => this.#prekeys.put(address, upload));
  }

  heldPrekeys(address: DeviceAddress): Promise<HeldPrekeys | undefined> {
    return this.#do(() => this.#prekeys.held(address));
  }

  takePrekeys(take: TakePrekeys): Promise<PrekeyBundle | undefined> {
    return this.#do(() => this.#prekeys.take(take));
  }

  deleteAccount(account: AccountId): Promise<readonly DeviceAddress[] | undefined> {
    return this.#do(() => this.#accounts.delete(account));
  }

  putInvite(invite: Invite): Promise<"put" | "too-many"> {
    return this.#do(() => this.#invites.put(invite));
  }

  invites(): Promise<readonly Invite[]> {
    return this.#do(() => this.#invites.list());
  }

  deleteInvite(mark: Uint8Array): Promise<"deleted" | "no-invite"> {
    return this.#do(() => this.#invites.delete(mark));
  }

  used(account: AccountId): Promise<void> {
    return this.#do(() => this.#use.note(account));
  }

  /** Also settles what registrations and deletions left whose relay ended in between. */
  dayPasses(): Promise<void> {
    return this.#do(async () => {
      await this.#use.dayPasses();
      await this.#names.settleDoubts();
      await this.#invites.settleHeld();
    });
  }

  idle(before: Time, count: number): Promise<readonly AccountId[]> {
    return this.#do(() => this.#use.idle(before, count));
  }

  count(): Promise<number> {
    return this.#do(() => this.#use.count());
  }

  /** Before the connection is closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#begun);
  }

  #do<Result>(verb: () => Promise<Result>): Promise<Result> {
    if (this.#isClosed) return Promise.reject(closedError());
    const begun = verb();
    this.#begun.add(begun);
    const end = (): unknown => this.#begun.delete(begun);
    begun.then(end, end);
    return begun;
  }
}
