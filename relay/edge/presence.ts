// Who watches whom on this node, and what they are told. A watch needs the contact's access key (checked before it gets
// here); a person is online while a device of theirs has a live owner. Always true: one notice a change and watcher; who
// goes and comes back within the grace was not away.
import {
  type AccountId,
  accountOf,
  type DeviceAddress,
  type FrameOf,
  MAX_WATCHES,
  type Time,
} from "@lethe/protocol";
import type { Mailbox } from "@lethe/queue";
import type { KnownAccount } from "./accounts.ts";

export interface PresenceOptions {
  readonly mailbox: Mailbox;
  /** Wall clock, ms. */
  readonly now: () => number;
  /** Monotonic clock, ms. */
  readonly instant: () => number;
  notify(socket: number, frame: FrameOf<"notice">): void;
}

interface Watched {
  readonly watchers: Set<number>;
  readonly online: Set<DeviceAddress>;
  /** Devices that were heard to come or go since this began. */
  readonly heard: Set<DeviceAddress>;
  hidesLastSeen: boolean;
  /** What the watchers know. */
  told: "online" | "offline";
}

/** Who went and has not come back: told once the grace is over. */
interface Leaving {
  readonly since: number;
  readonly lastSeen: Time;
}

/** How long somebody may be gone without being told offline, ms: a new connection after a lost one takes less. */
export const GRACE_MS = 3_000;
const MINUTE_MS = 60_000;

export class Presence {
  readonly #o: PresenceOptions;
  readonly #watched = new Map<AccountId, Watched>();
  readonly #bySocket = new Map<number, Set<AccountId>>();
  readonly #leaving = new Map<AccountId, Leaving>();

  constructor(options: PresenceOptions) {
    this.#o = options;
  }

  /** `record` is undefined where the watch is not permitted: unknown account and wrong key are answered alike. */
  watch(socket: number, account: AccountId, record: KnownAccount | undefined): void {
    const mine = this.#bySocket.get(socket) ?? new Set();
    if (record === undefined || (mine.size >= MAX_WATCHES && !mine.has(account))) {
      this.#o.notify(socket, { frame: "notice", account, state: "denied", lastSeen: 0 as Time });
      return;
    }
    mine.add(account);
    this.#bySocket.set(socket, mine);
    void this.#begin(socket, account, record);
  }

  async #begin(socket: number, account: AccountId, record: KnownAccount): Promise<void> {
    const devices = record.devices.map((d) => d.address);
    const watched = this.#watched.get(account) ?? this.#newWatched(account, record);
    const found = await this.#o.mailbox.lookUp(devices).catch(() => []);
    if (this.#bySocket.get(socket)?.has(account) !== true) {
      if (watched.watchers.size === 0 && this.#watched.get(account) === watched) this.#forget(account);
      return;
    }
    let lastSeen = 0;
    found.forEach((result, i) => {
      if (result.is !== "found") return;
      const device = devices[i] as DeviceAddress;
      // What was heard of a device since the look-up began is newer than its answer.
      if (result.owner !== undefined && !watched.heard.has(device)) watched.online.add(device);
      lastSeen = Math.max(lastSeen, result.lastSeen);
    });
    if (watched.online.size > 0) watched.told = "online";
    watched.watchers.add(socket);
    this.#notice(account, watched, [socket], minuteOf(lastSeen));
  }

  #newWatched(account: AccountId, { hidesLastSeen }: KnownAccount): Watched {
    const watched: Watched = {
      watchers: new Set(),
      online: new Set(),
      heard: new Set(),
      hidesLastSeen,
      told: "offline",
    };
    this.#watched.set(account, watched);
    return watched;
  }

  changed(address: DeviceAddress, online: boolean): void {
    const account = accountOf(address);
    const watched = this.#watched.get(account);
    if (watched === undefined) return;
    watched.heard.add(address);
    if (online) watched.online.add(address);
    else watched.online.delete(address);
    if (watched.online.size === 0) {
      if (watched.told === "online" && !this.#leaving.has(account))
        this.#leaving.set(account, { since: this.#o.instant(), lastSeen: minuteOf(this.#o.now()) });
      return;
    }
    this.#leaving.delete(account);
    if (watched.told === "online") return;
    watched.told = "online";
    this.#notice(account, watched, watched.watchers, 0 as Time);
  }

  /** Time passes: those who have not come back are told to be gone. */
  tick(): void {
    const before = this.#o.instant() - GRACE_MS;
    for (const [account, { since, lastSeen }] of this.#leaving) {
      if (since > before) return; // in the order in which they went
      this.#leaving.delete(account);
      const watched = this.#watched.get(account);
      if (watched === undefined) continue;
      watched.told = "offline";
      this.#notice(account, watched, watched.watchers, lastSeen);
    }
  }

  #notice(account: AccountId, watched: Watched, to: Iterable<number>, lastSeen: Time): void {
    const state = watched.told;
    const shown = state === "online" || watched.hidesLastSeen ? (0 as Time) : lastSeen;
    for (const socket of to) this.#o.notify(socket, { frame: "notice", account, state, lastSeen: shown });
  }

  /** The access key that the watches of this account were opened with holds no longer: they end, denied. */
  revoke(account: AccountId): void {
    for (const [socket, mine] of this.#bySocket) {
      if (!mine.delete(account)) continue;
      this.#o.notify(socket, { frame: "notice", account, state: "denied", lastSeen: 0 as Time });
    }
    this.#forget(account);
  }

  /** The person's wishes have changed: those who watch go on, and are told by the new ones. */
  wishesChanged(account: AccountId, hidesLastSeen: boolean): void {
    const watched = this.#watched.get(account);
    if (watched !== undefined) watched.hidesLastSeen = hidesLastSeen;
  }

  unwatch(socket: number, account: AccountId): void {
    this.#bySocket.get(socket)?.delete(account);
    const watched = this.#watched.get(account);
    watched?.watchers.delete(socket);
    if (watched?.watchers.size === 0) this.#forget(account);
  }

  gone(socket: number): void {
    for (const account of [...(this.#bySocket.get(socket) ?? [])]) this.unwatch(socket, account);
    this.#bySocket.delete(socket);
  }

  #forget(account: AccountId): void {
    this.#watched.delete(account);
    this.#leaving.delete(account);
  }
}

function minuteOf(time: number): Time {
  return (Math.floor(time / MINUTE_MS) * MINUTE_MS) as Time;
}
