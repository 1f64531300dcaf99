// Reading and changing accounts. Always true: what is asked for in one turn is one script for each place; an account
// that is not there is read, answered and taken apart like one that is, so that the time does not tell them apart.
import { type AccountId, addressOf, type DeviceAddress, type DeviceNumber } from "@lethe/protocol";
import type { Directory } from "../../directory.ts";
import { StoreFailedError } from "../../mailbox.ts";
import { deviceField } from "./keys.ts";
import type { Names } from "./names.ts";
import { deviceFields, type KnownAccount, knownAccountOf, nobodysFields } from "./records.ts";
import { buffersOf, byPlace, bytesOf, type DirectoryStore, markOf, unexpected } from "./store.ts";

/** Accounts that one script reads: more would keep the server from others for long. */
const MAX_READS = 128;
/** Tries to delete an account whose device list changes each time. */
const MAX_TRIES = 10;

interface Asked {
  readonly account: AccountId;
  readonly resolve: (known: KnownAccount | undefined) => void;
  readonly reject: (error: unknown) => void;
}

type DeviceList = Parameters<Directory["putDeviceList"]>[1];
type PutDeviceList = Awaited<ReturnType<Directory["putDeviceList"]>>;

export class Accounts {
  readonly #store: DirectoryStore;
  readonly #names: Names;
  #asked: Asked[] = [];

  constructor(store: DirectoryStore, names: Names) {
    this.#store = store;
    this.#names = names;
  }

  /** Writes what is read in place of nobody's accounts, where it is missing. */
  async prepare(): Promise<void> {
    const { scripts, keys } = this.#store;
    const fields = nobodysFields();
    const nobodies = byPlace(this.#store, (shard) => [keys.nobody(shard)]);
    await Promise.all(nobodies.map((some) => scripts.run("put-nobody", some, fields)));
  }

  read(account: AccountId): Promise<KnownAccount | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#asked.length === 0) setImmediate(() => this.#readAsked());
      this.#asked.push({ account, resolve, reject });
    });
  }

  async wasDeleted(account: AccountId): Promise<boolean> {
    const key = this.#store.keys.deleted(account);
    return (await this.#store.connection.call(key, "SISMEMBER", [key, markOf(account)])) === 1;
  }

  async putField(account: AccountId, field: string, value: Uint8Array): Promise<"put" | "no-account"> {
    const key = this.#store.keys.account(account);
    const put = await this.#store.scripts.run("put-account-field", [key], [field, Buffer.from(value)]);
    return put === 1 ? "put" : "no-account";
  }

  /** Versions rise by one and each change of devices has one: of a version that was read the devices are known. */
  async putDeviceList(account: AccountId, list: DeviceList): Promise<PutDeviceList> {
    const known = await this.read(account);
    if (known === undefined) return { is: "no-account" };
    const before = known.record.listVersion;
    if (list.version !== before + 1) return { is: "conflict" };
    const kept = new Set(list.devices.map(({ device }) => device));
    const removed = known.record.devices.map(({ device }) => device).filter((device) => !kept.has(device));
    const { keys, scripts, now } = this.#store;
    const own = [keys.account(account), keys.counters(keys.shardOf(account))];
    const versions = [String(before), String(list.version)];
    const args = [...versions, Buffer.from(list.deviceList), now(), removed.length];
    const fields = [...removed.map(deviceField), ...list.devices.flatMap(deviceFields)];
    const put = await scripts.run(
      "put-list",
      [...own, ...this.#keptOf(account, removed)],
      [...args, ...fields],
    );
    if (put === 1) return { is: "put", removed };
    return put === 0 ? { is: "conflict" } : { is: "no-account" };
  }

  /** The name is in doubt before the account goes, so that it is freed also where this process ends in between. */
  async delete(account: AccountId): Promise<readonly DeviceAddress[] | undefined> {
    const { keys, scripts, now } = this.#store;
    const shard = keys.shardOf(account);
    const own = [keys.account(account), keys.deleted(account), keys.use(shard), keys.counters(shard)];
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const known = await this.read(account);
      if (known === undefined) return undefined;
      const { name, listVersion, devices } = known.record;
      const holder = await this.#names.doubt(name, account);
      const numbers = devices.map(({ device }) => device);
      const args = [String(listVersion), bytesOf(account), markOf(account), now()];
      if ((await scripts.run("delete-account", [...own, ...this.#keptOf(account, numbers)], args)) !== 1)
        continue;
      if (holder !== undefined) await this.#names.settle(name, holder, "free");
      return numbers.map((device) => addressOf(account, device));
    }
    throw new StoreFailedError("storage-failed", "the account changed each time that it was to be deleted");
  }

  #keptOf(account: AccountId, devices: readonly DeviceNumber[]): Buffer[] {
    return devices.flatMap((device) => this.#store.keys.prekeys(addressOf(account, device)));
  }

  #readAsked(): void {
    const { connection, keys } = this.#store;
    const places = Map.groupBy(this.#asked, ({ account }) => connection.placeOf(keys.account(account)));
    this.#asked = [];
    for (const asked of places.values())
      for (let i = 0; i < asked.length; i += MAX_READS)
        void this.#readTogether(asked.slice(i, i + MAX_READS));
  }

  async #readTogether(asked: readonly Asked[]): Promise<void> {
    const { keys, scripts } = this.#store;
    const both = asked.flatMap(({ account }) => [keys.account(account), keys.nobody(keys.shardOf(account))]);
    try {
      const answers = await scripts.look("account", both, []);
      if (!Array.isArray(answers)) throw unexpected("account");
      for (const [i, { account, resolve }] of asked.entries()) resolve(accountOrNobody(account, answers[i]));
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  }
}

/** Nobody is taken apart like anybody else, and then left out. */
function accountOrNobody(account: AccountId, answer: unknown): KnownAccount | undefined {
  if (!Array.isArray(answer)) throw unexpected("account");
  const known = knownAccountOf(account, buffersOf(answer[1], "account"));
  return answer[0] === 1 ? known : undefined;
}
