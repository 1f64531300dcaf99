// The directory in memory: the slow, readable twin of the real ones, for oracles and quick tests.
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  MAX_ONE_TIME_PREKEYS,
  type Time,
  type UserName,
} from "@lethe/protocol";
import { accountOf, deviceOf } from "@lethe/protocol";
import {
  type AccountRecord,
  type DeviceRecord,
  type Directory,
  type HeldPrekeys,
  type Invite,
  MAX_INVITES,
  type PrekeyBundle,
  type PrekeyUpload,
  type PublicPrekey,
  type Registration,
  SAME_PREKEYS_MS,
  type TakePrekeys,
} from "../directory.ts";
import { StoreClosedError } from "../mailbox.ts";

type OneTimeKind = "oneTime" | "oneTimeKem";

interface Handed {
  readonly at: Time;
  readonly oneTime: PublicPrekey | undefined;
  readonly oneTimeKem: PublicPrekey | undefined;
}

interface Prekeys {
  signed: PublicPrekey | undefined;
  lastResort: PublicPrekey | undefined;
  readonly oneTime: Map<string, PublicPrekey>;
  readonly oneTimeKem: Map<string, PublicPrekey>;
  /** Kind and id of every one-time key that was handed out. */
  readonly gone: Set<string>;
  readonly handed: Map<string, Handed>;
}

interface Account {
  record: AccountRecord;
  readonly prekeys: Map<DeviceNumber, Prekeys>;
}

export class MemoryDirectory implements Directory {
  readonly #now: () => Time;
  readonly #accounts = new Map<AccountId, Account>();
  readonly #names = new Map<UserName, AccountId>();
  readonly #deleted = new Set<AccountId>();
  readonly #usedDays = new Map<AccountId, number>();
  #lastDay: number | undefined;
  readonly #invites = new Map<string, Invite>();
  #closed = false;

  constructor(now: () => Time) {
    this.#now = now;
  }

  async register(account: AccountRecord, invite?: Uint8Array): Promise<Registration> {
    this.#open();
    const known = this.#accounts.get(account.account);
    if (known !== undefined) return sameAccount(known.record, account) ? "same" : "account-exists";
    if (this.#deleted.has(account.account)) return "account-exists";
    if (this.#names.has(account.name)) return "name-taken";
    if (invite !== undefined && !this.#takeUse(invite)) return "invite-invalid";
    this.#names.set(account.name, account.account);
    this.#usedDays.set(account.account, dayOf(this.#now()));
    const prekeys = new Map(account.devices.map((device) => [device.device, noPrekeys()]));
    this.#accounts.set(account.account, { record: structuredClone(account), prekeys });
    return "registered";
  }

  #takeUse(mark: Uint8Array): boolean {
    const invite = this.#invites.get(hex(mark));
    if (invite === undefined || invite.uses === 0 || invite.expires <= this.#now()) return false;
    this.#invites.set(hex(mark), { ...invite, uses: invite.uses - 1 });
    return true;
  }

  async putInvite(invite: Invite): Promise<"put" | "too-many"> {
    this.#open();
    const open = await this.invites();
    if (open.length >= MAX_INVITES && !open.some(({ mark }) => hex(mark) === hex(invite.mark)))
      return "too-many";
    this.#invites.set(hex(invite.mark), { ...invite, mark: invite.mark.slice() });
    return "put";
  }

  async invites(): Promise<readonly Invite[]> {
    this.#open();
    const open = [...this.#invites.values()].filter(({ uses, expires }) => uses > 0 && expires > this.#now());
    return open.toSorted((a, b) => Math.sign(a.expires - b.expires) * 2 + Buffer.compare(a.mark, b.mark));
  }

  async deleteInvite(mark: Uint8Array): Promise<"deleted" | "no-invite"> {
    this.#open();
    return this.#invites.delete(hex(mark)) ? "deleted" : "no-invite";
  }

  async used(account: AccountId): Promise<void> {
    this.#open();
    if (this.#accounts.has(account)) this.#usedDays.set(account, dayOf(this.#now()));
  }

  async dayPasses(): Promise<void> {
    this.#open();
    const today = dayOf(this.#now());
    const away = this.#lastDay === undefined ? 0 : today - this.#lastDay - 1;
    if (away > 0) for (const [account, day] of this.#usedDays) this.#usedDays.set(account, day + away);
    this.#lastDay = today;
  }

  async idle(before: Time, count: number): Promise<readonly AccountId[]> {
    this.#open();
    const days = [...this.#usedDays].filter(([, day]) => day < dayOf(before));
    return days
      .toSorted(([, a], [, b]) => a - b)
      .slice(0, count)
      .map(([account]) => account);
  }

  async accountOfName(name: UserName): Promise<AccountId | undefined> {
    this.#open();
    return this.#names.get(name);
  }

  async account(account: AccountId): Promise<AccountRecord | undefined> {
    this.#open();
    const known = this.#accounts.get(account);
    return known === undefined ? undefined : structuredClone(known.record);
  }

  async putDeviceList(
    account: AccountId,
    list: { version: number; deviceList: Uint8Array; devices: readonly DeviceRecord[] },
  ): Promise<{ is: "put"; removed: readonly DeviceNumber[] } | { is: "conflict" } | { is: "no-account" }> {
    this.#open();
    const known = this.#accounts.get(account);
    if (known === undefined) return { is: "no-account" };
    if (list.version !== known.record.listVersion + 1) return { is: "conflict" };
    const { version: listVersion, deviceList, devices } = structuredClone(list);
    known.record = { ...known.record, listVersion, deviceList, devices };
    const removed = [...known.prekeys.keys()].filter((number) => devices.every((d) => d.device !== number));
    for (const number of removed) known.prekeys.delete(number);
    for (const { device } of devices) if (!known.prekeys.has(device)) known.prekeys.set(device, noPrekeys());
    return { is: "put", removed: removed.sort((a, b) => a - b) };
  }

  async putAccessKeyHash(account: AccountId, hash: Uint8Array): Promise<"put" | "no-account"> {
    this.#open();
    const known = this.#accounts.get(account);
    if (known === undefined) return "no-account";
    known.record = { ...known.record, accessKeyHash: hash.slice() };
    return "put";
  }

  async putHidesLastSeen(account: AccountId, hides: boolean): Promise<"put" | "no-account"> {
    this.#open();
    const known = this.#accounts.get(account);
    if (known === undefined) return "no-account";
    const { hidesLastSeen: _, ...record } = known.record;
    known.record = hides ? { ...record, hidesLastSeen: true } : record;
    return "put";
  }

  async putPrekeys(address: DeviceAddress, upload: PrekeyUpload): Promise<"put" | "too-many" | "no-device"> {
    this.#open();
    const held = this.#prekeys(address);
    if (held === undefined) return "no-device";
    const oneTime = merged(held, "oneTime", upload);
    const oneTimeKem = merged(held, "oneTimeKem", upload);
    if (Math.max(oneTime.size, oneTimeKem.size) > MAX_ONE_TIME_PREKEYS) return "too-many";
    held.signed = upload.signed ?? held.signed;
    held.lastResort = upload.lastResort ?? held.lastResort;
    if (upload.replace) held.handed.clear();
    refill(held.oneTime, oneTime);
    refill(held.oneTimeKem, oneTimeKem);
    return "put";
  }

  async heldPrekeys(address: DeviceAddress): Promise<HeldPrekeys | undefined> {
    this.#open();
    const held = this.#prekeys(address);
    if (held === undefined) return undefined;
    return {
      signed: held.signed?.id,
      lastResort: held.lastResort?.id,
      oneTime: [...held.oneTime.values()].map((key) => key.id),
      oneTimeKem: [...held.oneTimeKem.values()].map((key) => key.id),
    };
  }

  async takePrekeys({ address, requester, oneTime }: TakePrekeys): Promise<PrekeyBundle | undefined> {
    this.#open();
    const held = this.#prekeys(address);
    if (held?.signed === undefined || held.lastResort === undefined) return undefined;
    const { signed, lastResort } = held;
    if (!oneTime) return { signed, lastResort, oneTime: undefined, oneTimeKem: undefined };
    const given = this.#handedBefore(held, hex(requester)) ?? this.#handOut(held, hex(requester));
    return { signed, lastResort, oneTime: given.oneTime, oneTimeKem: given.oneTimeKem };
  }

  async deleteAccount(account: AccountId): Promise<readonly DeviceAddress[] | undefined> {
    this.#open();
    const known = this.#accounts.get(account);
    if (known === undefined) return undefined;
    this.#accounts.delete(account);
    this.#names.delete(known.record.name);
    this.#usedDays.delete(account);
    this.#deleted.add(account);
    return known.record.devices.map(({ device }) => addressOf(account, device));
  }

  async count(): Promise<number> {
    this.#open();
    return this.#accounts.size;
  }

  close(): void {
    this.#closed = true;
  }

  #open(): void {
    if (this.#closed) throw new StoreClosedError("the store is closed");
  }

  #prekeys(address: DeviceAddress): Prekeys | undefined {
    return this.#accounts.get(accountOf(address))?.prekeys.get(deviceOf(address));
  }

  #handedBefore(held: Prekeys, requester: string): Handed | undefined {
    const handed = held.handed.get(requester);
    return handed !== undefined && handed.at + SAME_PREKEYS_MS > this.#now() ? handed : undefined;
  }

  #handOut(held: Prekeys, requester: string): Handed {
    const handed = {
      at: this.#now(),
      oneTime: takeFirst(held, "oneTime"),
      oneTimeKem: takeFirst(held, "oneTimeKem"),
    };
    if (handed.oneTime !== undefined || handed.oneTimeKem !== undefined) held.handed.set(requester, handed);
    return handed;
  }
}

function noPrekeys(): Prekeys {
  return {
    signed: undefined,
    lastResort: undefined,
    oneTime: new Map(),
    oneTimeKem: new Map(),
    gone: new Set(),
    handed: new Map(),
  };
}

/** The one-time keys that are held once the upload has been taken in: ids held or handed out change nothing. */
function merged(held: Prekeys, kind: OneTimeKind, upload: PrekeyUpload): Map<string, PublicPrekey> {
  const uploaded = new Set(upload[kind].map((key) => hex(key.id)));
  const result = new Map([...held[kind]].filter(([id]) => !upload.replace || uploaded.has(id)));
  for (const key of upload[kind]) {
    const id = hex(key.id);
    if (!result.has(id) && !held.gone.has(kind + id)) result.set(id, structuredClone(key));
  }
  return result;
}

function refill(held: Map<string, PublicPrekey>, from: ReadonlyMap<string, PublicPrekey>): void {
  held.clear();
  for (const [id, key] of from) held.set(id, key);
}

function takeFirst(held: Prekeys, kind: OneTimeKind): PublicPrekey | undefined {
  for (const [id, key] of held[kind]) {
    held[kind].delete(id);
    held.gone.add(kind + id);
    return key;
  }
  return undefined;
}

function sameAccount(a: AccountRecord, b: AccountRecord): boolean {
  return JSON.stringify(comparable(a)) === JSON.stringify(comparable(b));
}

function comparable(account: AccountRecord): unknown {
  const devices = account.devices.map((d) => [d.device, hex(d.signingKey), hex(d.certificate)]);
  const { name, accountKey, accessKeyHash, listVersion, deviceList } = account;
  return [name, hex(accountKey), hex(accessKeyHash), listVersion, hex(deviceList), devices];
}

function dayOf(time: Time): number {
  return Math.floor(time / 86_400_000);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
