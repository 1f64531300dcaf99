// Who watches whom on this node, and what they are told. A watch needs the contact's access key (checked before it gets
// here); a person is online while a device of theirs has a live owner. Always true: one notice a change and watcher.
import {
  type AccountId,
  accountOf,
  addressOf,
  type DeviceAddress,
  type FrameOf,
  MAX_WATCHES,
  type Time,
} from "@lethe/protocol";
import type { AccountRecord, Mailbox } from "@lethe/queue";

export interface PresenceOptions {
  readonly mailbox: Mailbox;
  /** Wall clock, ms. */
  readonly now: () => number;
  notify(socket: number, frame: FrameOf<"notice">): void;
}

interface Watched {
  readonly devices: ReadonlySet<DeviceAddress>;
  readonly watchers: Set<number>;
  readonly online: Set<DeviceAddress>;
}

export class Presence {
  readonly #o: PresenceOptions;
  readonly #watched = new Map<AccountId, Watched>();
  readonly #bySocket = new Map<number, Set<AccountId>>();

  constructor(options: PresenceOptions) {
    this.#o = options;
  }

  /** `record` is undefined where the watch is not permitted: unknown account and wrong key are answered alike. */
  watch(socket: number, account: AccountId, record: AccountRecord | undefined): void {
    const mine = this.#bySocket.get(socket) ?? new Set();
    if (record === undefined || (mine.size >= MAX_WATCHES && !mine.has(account))) {
      this.#o.notify(socket, { frame: "notice", account, state: "denied", lastSeen: 0 as Time });
      return;
    }
    mine.add(account);
    this.#bySocket.set(socket, mine);
    void this.#begin(socket, account, record);
  }

  async #begin(socket: number, account: AccountId, record: AccountRecord): Promise<void> {
    const devices = record.devices.map((d) => addressOf(account, d.device));
    const found = await this.#o.mailbox.lookUp(devices).catch(() => []);
    if (this.#bySocket.get(socket)?.has(account) !== true) return;
    let watched = this.#watched.get(account);
    if (watched === undefined) {
      watched = { devices: new Set(devices), watchers: new Set(), online: new Set() };
      this.#watched.set(account, watched);
    }
    watched.watchers.add(socket);
    let lastSeen = 0;
    found.forEach((result, i) => {
      if (result.is !== "found") return;
      if (result.owner !== undefined) watched.online.add(devices[i] as DeviceAddress);
      lastSeen = Math.max(lastSeen, result.lastSeen);
    });
    this.#notice(account, watched, [socket], lastSeen as Time);
  }

  changed(address: DeviceAddress, online: boolean): void {
    const account = accountOf(address);
    const watched = this.#watched.get(account);
    if (watched === undefined) return;
    const before = watched.online.size > 0;
    if (online) watched.online.add(address);
    else watched.online.delete(address);
    const now = watched.online.size > 0;
    if (before === now) return;
    const minute = 60_000;
    const lastSeen = (now ? 0 : Math.floor(this.#o.now() / minute) * minute) as Time;
    this.#notice(account, watched, watched.watchers, lastSeen);
  }

  #notice(account: AccountId, watched: Watched, to: Iterable<number>, lastSeen: Time): void {
    const state = watched.online.size > 0 ? "online" : "offline";
    for (const socket of to)
      this.#o.notify(socket, {
        frame: "notice",
        account,
        state,
        lastSeen: state === "online" ? (0 as Time) : lastSeen,
      });
  }

  /** The access key that the watches of this account were opened with holds no longer: they end, denied. */
  revoke(account: AccountId): void {
    for (const [socket, mine] of this.#bySocket) {
      if (!mine.delete(account)) continue;
      this.#o.notify(socket, { frame: "notice", account, state: "denied", lastSeen: 0 as Time });
    }
    this.#watched.delete(account);
  }

  unwatch(socket: number, account: AccountId): void {
    this.#bySocket.get(socket)?.delete(account);
    const watched = this.#watched.get(account);
    watched?.watchers.delete(socket);
    if (watched?.watchers.size === 0) this.#watched.delete(account);
  }

  gone(socket: number): void {
    for (const account of [...(this.#bySocket.get(socket) ?? [])]) this.unwatch(socket, account);
    this.#bySocket.delete(socket);
  }
}
