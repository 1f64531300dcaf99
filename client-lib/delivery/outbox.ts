// What waits to be accepted by the relay: one FIFO flow for each recipient device.
// Always true: an item is durable before it is transmitted, and every transmission carries the same ciphertext under
// the same id; after a refusal nothing further goes to that device until the refused item is accepted, expired or
// given up; the items of a flow that are under way are all on one connection, so that the order holds.
import {
  type AccountId,
  accountOf,
  type ClientFrame,
  type ConnectionKind,
  type DeviceAddress,
  deviceOf,
  type EnvelopeId,
  type FrameOf,
  type Time,
} from "@lethe/protocol";
import { fullJitter, later, refusalOf, soonest } from "./connection-ends.ts";
import { type Block, dueOf, type Flow, type Item, routeOf, sendable, submits } from "./flows.ts";
import type { Chance, MessageId, RefusalCode, StoredRows } from "./events.ts";
import {
  ANSWER_MS,
  KEY_RETRY_MS,
  KEY_WAIT_MS,
  MAX_DENIED,
  MAX_IN_FLIGHT,
  MAX_IN_FLIGHT_BYTES,
  MAX_OUTBOX_BYTES,
  MAX_OUTBOX_ITEMS,
  RETRY_BASE_MS,
  RETRY_CAP_MS,
} from "./limits.ts";
import { orderKey, orderOf, type OutboxRow, outboxRow, put, readTable, remove } from "./rows.ts";
import type { Turn } from "./turn.ts";

/** What became of an item, for whoever counts the items of a message. */
export interface Settled {
  readonly message: MessageId;
  readonly to: AccountId;
  readonly told: boolean;
  readonly how:
    | { readonly end: "sent" }
    | { readonly end: "expired" }
    | { readonly end: "refused"; code: RefusalCode };
}

/** Mail for one's own other devices goes after a jitter, so that it does not tell when mail went to others. */
export interface OwnMail {
  readonly account: AccountId;
  /** At most, ms. */
  readonly jitterMs: number;
}

export class Outbox {
  readonly #chance: Chance;
  readonly #own: OwnMail;
  readonly #flows = new Map<DeviceAddress, Flow>();
  readonly #byId = new Map<EnvelopeId, Item>();
  readonly #byOrder = new Map<number, Item>();
  readonly #left = new Map<MessageId, number>();
  readonly #routes = { device: 0, anonymous: 0 };
  /** Access keys that were refused and waited for in vain: nothing more waits for another one. */
  readonly #denied = new Map<AccountId, Uint8Array>();
  readonly #underWay = { device: new Set<Item>(), anonymous: new Set<Item>() };
  #bytes = 0;
  #nextOrder = 1;
  /** When mail for one's own devices may go; NaN: to be drawn; undefined: none waits for it. */
  #ownAt: number | undefined;
  /** No item expires before this: looked for again when it is reached. */
  #expiryAt = Number.POSITIVE_INFINITY;

  constructor(chance: Chance, rows: StoredRows, own: OwnMail) {
    this.#chance = chance;
    this.#own = own;
    for (const [key, row] of readTable(rows, "outbox", outboxRow))
      this.#keep({ ...row, order: orderOf(key), progress: { at: "ready" }, tries: 0, shown: true });
    this.#holdOwn();
  }

  /** What goes to one's own devices does not go together with what goes to others. */
  #holdOwn(): void {
    for (const { to } of this.#byId.values()) if (this.#isOwn(to)) this.#ownAt ??= Number.NaN;
  }

  #isOwn(to: DeviceAddress): boolean {
    return accountOf(to) === this.#own.account;
  }

  get size(): number {
    return this.#byId.size;
  }

  hasRoom(envelopes: number, bytes: number): boolean {
    return this.size + envelopes <= MAX_OUTBOX_ITEMS && this.#bytes + bytes <= MAX_OUTBOX_BYTES;
  }

  /** Whether anything that the application is told of is left of a message. */
  has(message: MessageId): boolean {
    return this.#left.has(message);
  }

  /** Whether anything at all is left of it. */
  holds(message: MessageId): boolean {
    for (const item of this.#byId.values()) if (item.message === message) return true;
    return false;
  }

  /** Stages an item; it may be transmitted once that is durable. */
  add(turn: Turn, row: OutboxRow): void {
    const item: Item = { ...row, order: this.#nextOrder, progress: { at: "staged" }, tries: 0, shown: false };
    this.#keep(item);
    if (this.#isOwn(item.to)) this.#ownAt ??= Number.NaN;
    turn.stage(put("outbox", orderKey(item.order), outboxRow, row));
    turn.afterwards({ next: "transmit", orders: [item.order] });
  }

  #keep(item: Item): void {
    const flow = this.#flows.get(item.to) ?? { to: item.to, items: [], block: undefined };
    this.#flows.set(item.to, flow);
    flow.items.push(item);
    this.#byId.set(item.id, item);
    this.#byOrder.set(item.order, item);
    if (item.told === "yes") this.#left.set(item.message, (this.#left.get(item.message) ?? 0) + 1);
    this.#bytes += item.ciphertext.length;
    this.#routes[routeOf(item)] += 1;
    this.#nextOrder = Math.max(this.#nextOrder, item.order + 1);
    this.#expiryAt = Math.min(this.#expiryAt, item.expiry);
  }

  /** Their rows are durable. */
  durable(orders: readonly number[]): void {
    for (const order of orders) {
      const item = this.#byOrder.get(order);
      if (item?.progress.at === "staged") item.progress = { at: "ready" };
    }
    for (const { block } of this.#flows.values())
      if (block?.waits === "time" && block.behind !== undefined && orders.includes(block.behind))
        block.behind = undefined;
  }

  /** Whether anything is to go, or is under way, on such a connection. */
  wants(socket: ConnectionKind): boolean {
    return this.#routes[socket] > 0;
  }

  /** The frames that may go now on a connection of this kind, in the order in which their envelopes were sealed. */
  pump(now: Time, socket: ConnectionKind): ClientFrame[] {
    const underWay = this.#underWay[socket];
    const room = MAX_IN_FLIGHT - underWay.size;
    if (this.#routes[socket] === 0 || room <= 0) return [];
    let bytes = 0;
    for (const item of underWay) bytes += item.ciphertext.length;
    const going: Item[] = [];
    for (const item of this.#sendable(now, socket, room)) {
      if (going.length >= room) break;
      if (bytes > 0 && bytes + item.ciphertext.length > MAX_IN_FLIGHT_BYTES) break;
      bytes += item.ciphertext.length;
      item.progress = { at: "under-way", socket, since: now };
      item.shown = true;
      underWay.add(item);
      going.push(item);
      if (this.#isOwn(item.to)) this.#ownAt = undefined;
    }
    return submits(going);
  }

  #sendable(now: Time, socket: ConnectionKind, room: number): Item[] {
    if (Number.isNaN(this.#ownAt))
      this.#ownAt = now + Math.ceil(this.#chance.fraction() * this.#own.jitterMs);
    const heldBack = now < (this.#ownAt ?? 0);
    const found: Item[] = [];
    for (const flow of this.#flows.values()) {
      if (heldBack && this.#isOwn(flow.to)) continue;
      let left = room;
      const alone = socket === "device" && !this.#isOwn(flow.to);
      for (const item of sendable(flow, { now, socket, alone })) {
        if (left-- === 0) break;
        found.push(item);
      }
    }
    return found.sort((a, b) => a.order - b.order);
  }

  /** The connection is gone: what was under way on it goes again. */
  lost(socket: ConnectionKind): void {
    for (const item of this.#underWay[socket]) item.progress = { at: "ready" };
    this.#underWay[socket].clear();
    if (socket === "device") this.#holdOwn();
  }

  accepted(turn: Turn, ids: readonly EnvelopeId[]): Settled[] {
    return this.#endAll(turn, ids, { end: "sent" });
  }

  /** Takes a refusal. Items that stay are in `waiting`; accounts whose device list is to be asked for in `relist`. */
  refused(turn: Turn, { code: number, retryAfter, ids }: FrameOf<"refused">): Refused {
    const { code, retry } = refusalOf(number);
    if (code === "not-permitted") return this.#denyKey(turn, ids);
    if (retry === "never")
      return {
        settled: this.#endAll(turn, ids, code === "expired" ? { end: "expired" } : { end: "refused", code }),
        waiting: [],
        relist: [],
        code,
      };
    const waiting = this.#waiting(ids);
    const listed = retry === "after-change";
    for (const item of waiting) {
      item.tries += 1;
      if (listed) this.#block(item, { order: item.order, waits: "device-list" });
      else {
        const wait = retryAfter + fullJitter(this.#chance, RETRY_BASE_MS, RETRY_CAP_MS, item.tries - 1);
        this.#block(item, { order: item.order, waits: "time", until: later(turn.now, wait) });
      }
    }
    return { settled: [], waiting, relist: listed ? accountsOf(waiting) : [], code };
  }

  /** A refused access key: whoever blocks somebody changes it, and the others hear of the new one, but not at once. */
  #denyKey(turn: Turn, ids: readonly EnvelopeId[]): Refused {
    const code = "not-permitted";
    const hopeless = ids.filter((id) => {
      const item = this.#byId.get(id);
      if (item?.accessKey === undefined) return true;
      const denied = this.#denied.get(accountOf(item.to));
      return denied !== undefined && sameBytes(denied, item.accessKey);
    });
    const settled = this.#endAll(turn, hopeless, { end: "refused", code });
    const waiting = this.#waiting(ids);
    const [until, again] = [later(turn.now, KEY_WAIT_MS), later(turn.now, KEY_RETRY_MS)];
    for (const item of waiting) {
      item.tries += 1;
      const { block } = this.#flows.get(item.to) ?? {};
      const since = block?.waits === "key" ? block.until : until;
      this.#block(item, { order: item.order, waits: "key", until: since, again });
    }
    return { settled, waiting, relist: [], code };
  }

  /** Another key did not come: what has the refused one ends. */
  #keysInVain(turn: Turn): Settled[] {
    const ids: EnvelopeId[] = [];
    for (const flow of this.#flows.values()) {
      if (flow.block?.waits !== "key" || flow.block.until > turn.now) continue;
      const key = this.#byOrder.get(flow.block.order)?.accessKey;
      flow.block = undefined;
      if (key === undefined) continue;
      if (this.#denied.size >= MAX_DENIED) this.#denied.clear();
      this.#denied.set(accountOf(flow.to), key);
      for (const { id, accessKey } of flow.items)
        if (accessKey !== undefined && sameBytes(accessKey, key)) ids.push(id);
    }
    return this.#endAll(turn, ids, { end: "refused", code: "not-permitted" });
  }

  /** The recipient's devices are others than the submit said: nothing goes to them. False: nothing of it was ours. */
  staleList(account: AccountId, ids: readonly EnvelopeId[]): boolean {
    const waiting = this.#waiting(ids);
    for (const item of waiting) {
      item.tries += 1;
      this.#block(item, { order: item.order, waits: "device-list" });
    }
    for (const flow of this.#flows.values())
      if (waiting.length > 0 && accountOf(flow.to) === account && flow.items[0] !== undefined)
        flow.block ??= { order: flow.items[0].order, waits: "device-list" };
    return waiting.length > 0;
  }

  /** What is on its way to an account, in order. */
  messagesOf(account: AccountId): MessageId[] {
    const items: Item[] = [];
    for (const flow of this.#flows.values()) if (accountOf(flow.to) === account) items.push(...flow.items);
    return [...new Set(items.sort((a, b) => a.order - b.order).map(({ message }) => message))];
  }

  #waiting(ids: readonly EnvelopeId[]): Item[] {
    const found: Item[] = [];
    for (const id of ids) {
      const item = this.#byId.get(id);
      if (item === undefined || item.progress.at === "staged") continue;
      this.#settle(item);
      item.progress = { at: "ready" };
      found.push(item);
    }
    return found;
  }

  /** The earliest refused item of a flow is the one that is waited for. */
  #block(item: Item, block: Block): void {
    const flow = this.#flows.get(item.to);
    if (flow === undefined) return;
    if (flow.block === undefined || flow.block.order >= item.order) flow.block = block;
  }

  /**
   * The newest device list of an account: what waited for it goes on, together with what has just been sealed for devices
   * that were added; what is for a device that is gone ends.
   */
  relisted(turn: Turn, account: AccountId, listVersion: number, devices: readonly number[]): Settled[] {
    const last = this.#byOrder.get(this.#nextOrder - 1);
    const behind = last?.progress.at === "staged" && accountOf(last.to) === account ? last.order : undefined;
    const gone: EnvelopeId[] = [];
    for (const flow of this.#flows.values()) {
      if (accountOf(flow.to) !== account) continue;
      if (!devices.includes(deviceOf(flow.to))) {
        for (const item of flow.items) if (item.progress.at !== "staged") gone.push(item.id);
        continue;
      }
      for (const item of flow.items) this.#setListVersion(turn, item, listVersion);
      if (flow.block?.waits !== "device-list") continue;
      const tries = this.#byOrder.get(flow.block.order)?.tries ?? 0;
      const wait = tries <= 1 ? 0 : fullJitter(this.#chance, RETRY_BASE_MS, RETRY_CAP_MS, tries);
      flow.block = { order: flow.block.order, waits: "time", until: (turn.now + wait) as Time, behind };
    }
    return this.#endAll(turn, gone, { end: "refused", code: "no-device" });
  }

  /** The list could not be had for good: what waits for it ends. */
  unlisted(turn: Turn, account: AccountId, code: RefusalCode): Settled[] {
    const ids: EnvelopeId[] = [];
    for (const flow of this.#flows.values())
      if (accountOf(flow.to) === account && flow.block?.waits === "device-list")
        for (const item of flow.items) if (item.progress.at !== "staged") ids.push(item.id);
    return this.#endAll(turn, ids, { end: "refused", code });
  }

  #setListVersion(turn: Turn, item: Item, listVersion: number): void {
    if (item.listVersion === listVersion) return;
    item.listVersion = listVersion;
    this.#rewrite(turn, item);
  }

  /** The recipient gave out another access key: what is not under way carries that one. A request that was sent stays one: its id
   *  on an anonymous connection would say whose that is. */
  rekey(turn: Turn, account: AccountId, accessKey: Uint8Array): void {
    this.#denied.delete(account);
    for (const flow of this.#flows.values()) {
      if (accountOf(flow.to) !== account) continue;
      if (flow.block?.waits === "key") flow.block = undefined;
      for (const item of flow.items) {
        if (item.accessKey === undefined ? item.shown : sameBytes(item.accessKey, accessKey)) continue;
        this.#routes[routeOf(item)] -= 1;
        item.accessKey = accessKey;
        this.#routes.anonymous += 1;
        this.#rewrite(turn, item);
      }
    }
  }

  #rewrite(turn: Turn, item: Item): void {
    const { id, message, to, listVersion, expiry, accessKey, told, ciphertext } = item;
    turn.stage(
      put("outbox", orderKey(item.order), outboxRow, {
        id,
        message,
        to,
        listVersion,
        expiry,
        accessKey,
        told,
        ciphertext,
      }),
    );
  }

  /** What time does: items expire unless an answer may still come, and what got no answer goes again. */
  tick(turn: Turn, relayNow: Time): Settled[] {
    for (const socket of ["device", "anonymous"] as const)
      for (const item of this.#underWay[socket])
        if (item.progress.at === "under-way" && turn.now - item.progress.since >= ANSWER_MS) {
          this.#underWay[socket].delete(item);
          item.progress = { at: "ready" };
        }
    const ended = this.#keysInVain(turn);
    if (relayNow < this.#expiryAt) return ended;
    const ids: EnvelopeId[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const item of this.#byId.values()) {
      if (item.expiry > relayNow) next = Math.min(next, item.expiry);
      else if (item.progress.at === "ready") ids.push(item.id);
      else next = Math.min(next, relayNow + ANSWER_MS);
    }
    this.#expiryAt = next;
    return [...ended, ...this.#endAll(turn, ids, { end: "expired" })];
  }

  /** When `tick` or `pump` has something to do by the passing of time. `offset`: the relay's clock minus ours. */
  nextAt(now: Time, offset: number): number {
    let at = soonest(now, Number.POSITIVE_INFINITY, this.#expiryAt - offset);
    at = soonest(now, at, this.#ownAt ?? 0);
    for (const socket of ["device", "anonymous"] as const)
      for (const item of this.#underWay[socket])
        if (item.progress.at === "under-way") at = soonest(now, at, item.progress.since + ANSWER_MS);
    for (const flow of this.#flows.values()) at = soonest(now, at, dueOf(flow.block, now));
    return at;
  }

  #endAll(turn: Turn, ids: readonly EnvelopeId[], how: Settled["how"]): Settled[] {
    const ended: Settled[] = [];
    for (const id of ids) {
      const item = this.#byId.get(id);
      if (item === undefined || item.progress.at === "staged") continue;
      this.#forget(turn, item);
      ended.push({ message: item.message, to: accountOf(item.to), told: item.told === "yes", how });
    }
    return ended;
  }

  #forget(turn: Turn, item: Item): void {
    this.#settle(item);
    this.#byId.delete(item.id);
    this.#byOrder.delete(item.order);
    this.#bytes -= item.ciphertext.length;
    this.#routes[routeOf(item)] -= 1;
    const left = (this.#left.get(item.message) ?? 1) - 1;
    if (item.told === "yes" && left > 0) this.#left.set(item.message, left);
    else if (item.told === "yes") this.#left.delete(item.message);
    turn.stage(remove("outbox", orderKey(item.order)));
    const flow = this.#flows.get(item.to);
    if (flow === undefined) return;
    flow.items.splice(flow.items.indexOf(item), 1);
    if (flow.block?.order === item.order) flow.block = undefined;
    if (flow.items.length === 0) this.#flows.delete(item.to);
  }

  #settle(item: Item): void {
    if (item.progress.at === "under-way") this.#underWay[item.progress.socket].delete(item);
  }
}

export interface Refused {
  readonly settled: readonly Settled[];
  readonly waiting: readonly {
    readonly message: MessageId;
    readonly to: DeviceAddress;
    readonly told: "yes" | "no";
  }[];
  readonly relist: readonly AccountId[];
  readonly code: RefusalCode;
}

function accountsOf(items: readonly Item[]): AccountId[] {
  return [...new Set(items.map((item) => accountOf(item.to)))];
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
