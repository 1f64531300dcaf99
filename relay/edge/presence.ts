// Who watches whom on this node, and what they are told. A watch needs the contact's access key (checked before it gets
// here); a person is online while a device of theirs has a live owner, here or at another node, which says so to all:
// there are more watches than comings and goings. Always true: one notice a change and watcher; who goes and comes back
// within the grace was not away; a node that is dead has nobody online.
import {
  type AccountId,
  accountOf,
  type DeviceAddress,
  type FrameOf,
  MAX_WATCHES,
  type Time,
} from "@lethe/protocol";
import type { LookUpResult, Mailbox, NodeId } from "@lethe/queue";
import type { KnownAccount } from "./accounts.ts";

export interface PresenceOptions {
  readonly mailbox: Pick<Mailbox, "lookUp">;
  /** This node's id now, and whether another one is known to live. */
  readonly me: () => NodeId;
  readonly alive: (node: NodeId) => boolean;
  /** Wall clock, ms. */
  readonly now: () => number;
  /** Monotonic clock, ms. */
  readonly instant: () => number;
  notify(socket: number, frame: FrameOf<"notice">): void;
}

interface Watched {
  readonly watchers: Set<number>;
  /** Devices that are connected, each with the node that it is connected to. */
  readonly online: Map<DeviceAddress, NodeId>;
  /** Devices that were heard to go since this began, and have not come back; with the node that said so. */
  readonly gone: Map<DeviceAddress, NodeId>;
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
/** Look-ups of one watch: what other nodes say in the meantime makes another one necessary. */
const LOOKS = 3;

export class Presence {
  readonly #o: PresenceOptions;
  readonly #watched = new Map<AccountId, Watched>();
  readonly #bySocket = new Map<number, Set<AccountId>>();
  readonly #leaving = new Map<AccountId, Leaving>();
  /** Counts what was learned of whole nodes: a look-up that was under way may be older. */
  #news = 0;

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
    const found = await this.#lookUp(devices);
    if (this.#bySocket.get(socket)?.has(account) !== true) {
      if (watched.watchers.size === 0 && this.#watched.get(account) === watched) this.#forget(account);
      return;
    }
    let lastSeen = 0;
    found.forEach(({ owner, lastSeen: seen }, device) => {
      // What was heard of a device since the look-up began is newer than its answer.
      const isNews = !watched.online.has(device) && watched.gone.get(device) !== owner?.node;
      if (owner !== undefined && isNews && this.#isAlive(owner.node)) watched.online.set(device, owner.node);
      lastSeen = Math.max(lastSeen, seen);
    });
    if (watched.online.size > 0) watched.told = "online";
    watched.watchers.add(socket);
    this.#notice(account, watched, [socket], minuteOf(lastSeen));
  }

  async #lookUp(devices: readonly DeviceAddress[]): Promise<ReadonlyMap<DeviceAddress, LookUpResult>> {
    const results = new Map<DeviceAddress, LookUpResult>();
    for (let look = 1; look <= LOOKS; look++) {
      const before = this.#news;
      const found = await this.#o.mailbox.lookUp(devices).catch(() => []);
      results.clear();
      found.forEach((result, i) => {
        if (result.is === "found") results.set(devices[i] as DeviceAddress, result);
      });
      if (this.#news === before) break;
    }
    return results;
  }

  #isAlive(node: NodeId): boolean {
    return node === this.#o.me() || this.#o.alive(node);
  }

  #newWatched(account: AccountId, { hidesLastSeen }: KnownAccount): Watched {
    const watched: Watched = {
      watchers: new Set(),
      online: new Map(),
      gone: new Map(),
      hidesLastSeen,
      told: "offline",
    };
    this.#watched.set(account, watched);
    return watched;
  }

  /** A device has come to a node, or gone from it. Who went to another node in between is there, whatever the first one says. */
  changed(address: DeviceAddress, online: boolean, node: NodeId): void {
    const account = accountOf(address);
    const watched = this.#watched.get(account);
    if (watched === undefined) return;
    if (online) {
      watched.online.set(address, node);
      watched.gone.delete(address);
    } else {
      watched.gone.set(address, node);
      if (watched.online.get(address) === node) watched.online.delete(address);
    }
    if (watched.online.size > 0) this.#isOnline(account, watched);
    else if (watched.told === "online" && !this.#leaving.has(account))
      this.#leaving.set(account, { since: this.#o.instant(), lastSeen: minuteOf(this.#o.now()) });
  }

  #isOnline(account: AccountId, watched: Watched): void {
    this.#leaving.delete(account);
    if (watched.told === "online") return;
    watched.told = "online";
    this.#notice(account, watched, watched.watchers, 0 as Time);
  }

  /** All devices that are connected to another node, when a link to it stands: some may have moved unheard. */
  present(node: NodeId, devices: ReadonlySet<DeviceAddress>): void {
    this.#news++;
    for (const watched of this.#watched.values())
      for (const [device, at] of watched.online)
        if (at === node && !devices.has(device)) this.changed(device, false, node);
    for (const device of devices) if (this.#watched.has(accountOf(device))) this.changed(device, true, node);
  }

  /** Nodes have died: whoever was connected there is gone, and has had a lease's time to come back. */
  nodesChanged(): void {
    this.#news++;
    for (const [account, watched] of this.#watched) {
      let isLost = false;
      for (const [device, node] of watched.online)
        if (!this.#isAlive(node)) isLost = watched.online.delete(device);
      if (!isLost || watched.online.size > 0 || watched.told === "offline") continue;
      this.#leaving.delete(account);
      watched.told = "offline";
      this.#notice(account, watched, watched.watchers, minuteOf(this.#o.now()));
    }
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
