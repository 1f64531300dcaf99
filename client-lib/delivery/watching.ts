// Whom the application watches, and what it has heard of each.
// Always true: only contacts are watched, by the access key that they gave; whoever is watched is asked for again on each
// new connection; the application hears each change once. What was known is believed for a while after the connection
// was lost or the watch refused, so that a reconnect does not flicker; after that the person is unknown.
import { type AccountId, type ClientFrame, type FrameOf, MAX_WATCHES, type Time } from "@lethe/protocol";
import { later } from "./connection-ends.ts";
import type { Contacts } from "./contacts.ts";
import type { Happening, Presence, WatchCode } from "./events.ts";
import { KEY_RETRY_MS, KEY_WAIT_MS, OFFLINE_AFTER_MS, UNKNOWN_AFTER_MS } from "./limits.ts";
import type { Turn } from "./turn.ts";

type Asked =
  | { readonly at: "to-send" }
  | { readonly at: "sent"; readonly key: Uint8Array }
  /** Refused: the person may have told us a key before the relay, so it is tried again. */
  | { readonly at: "refused"; readonly again: Time }
  /** Refused for as long as no other key is learned. */
  | { readonly at: "denied" };

interface Watch {
  asked: Asked;
  told: Presence | undefined;
  /** What the application will be told, and when, unless something else is heard by then. */
  next: { readonly presence: Presence; readonly at: Time } | undefined;
  /** Until when a refused key is tried again. */
  tryUntil: Time | undefined;
}

const UNKNOWN: Presence = { state: "unknown", lastSeen: undefined };

export class Watching {
  readonly #contacts: Contacts;
  readonly #watches = new Map<AccountId, Watch>();
  /** Watches that something is to be done about: sent, tried again, told to be unknown. */
  readonly #restless = new Set<AccountId>();
  /** Whom the relay still watches for us on this connection, and need not. */
  readonly #ending = new Set<AccountId>();

  constructor(contacts: Contacts) {
    this.#contacts = contacts;
  }

  of(account: AccountId): Presence {
    return this.#watches.get(account)?.told ?? UNKNOWN;
  }

  #mayWatch(account: AccountId): WatchCode | "ok" {
    const { decision, accessKey } = this.#contacts.of(account);
    if (decision === "blocked") return "blocked";
    if (decision === "none" || accessKey === undefined) return "not-a-contact";
    return this.#watches.size >= MAX_WATCHES && !this.#watches.has(account) ? "too-many-watched" : "ok";
  }

  /** Watching somebody once more tries again where it was denied. */
  watch(turn: Turn, { ask, account }: Happening & { event: "watch" }): void {
    const code = this.#mayWatch(account);
    turn.tell({ tell: "watching", ask, code });
    if (code !== "ok") return;
    const known = this.#watches.get(account);
    if (known?.asked.at === "denied") known.asked = { at: "to-send" };
    const watch = known ?? {
      asked: { at: "to-send" },
      told: undefined,
      next: undefined,
      tryUntil: undefined,
    };
    this.#watches.set(account, watch);
    if (known === undefined) this.#doubt(account, watch, turn.now);
    this.#restless.add(account);
  }

  unwatch(account: AccountId): void {
    const watch = this.#watches.get(account);
    if (watch === undefined) return;
    if (watch.asked.at === "sent") this.#ending.add(account);
    this.#watches.delete(account);
    this.#restless.delete(account);
  }

  /** A contact has given another key: what was refused with the old one is tried with it. */
  rekeyed(account: AccountId): void {
    const watch = this.#watches.get(account);
    if (watch === undefined || watch.asked.at === "sent") return;
    watch.asked = { at: "to-send" };
    watch.tryUntil = undefined;
    this.#restless.add(account);
  }

  /** Whether a connection is of use. */
  get wantsConnection(): boolean {
    for (const { asked } of this.#watches.values()) if (asked.at !== "denied") return true;
    return false;
  }

  /** The frames that are to go now on the connection that is up. */
  pump(): ClientFrame[] {
    const frames: ClientFrame[] = [...this.#ending].map((account) => ({ frame: "unwatch", account }));
    this.#ending.clear();
    for (const account of this.#restless) {
      const watch = this.#watches.get(account);
      const key = this.#contacts.of(account).accessKey;
      if (watch?.asked.at !== "to-send" || key === undefined) continue;
      watch.asked = { at: "sent", key };
      frames.push({ frame: "watch", account, accessKey: key });
    }
    return frames;
  }

  /** The connection is gone. */
  lost(now: Time): void {
    this.#ending.clear();
    for (const [account, watch] of this.#watches) {
      if (watch.asked.at === "denied") continue;
      watch.asked = { at: "to-send" };
      this.#doubt(account, watch, now);
    }
  }

  #doubt(account: AccountId, watch: Watch, now: Time): void {
    if (watch.next?.presence !== UNKNOWN)
      watch.next = { presence: UNKNOWN, at: later(now, UNKNOWN_AFTER_MS) };
    this.#restless.add(account);
  }

  notice(turn: Turn, { account, state, lastSeen }: FrameOf<"notice">): void {
    const watch = this.#watches.get(account);
    if (watch === undefined || watch.asked.at !== "sent") return;
    if (state === "denied") return this.#denied(turn, account, watch, watch.asked.key);
    watch.tryUntil = undefined;
    const presence = { state, lastSeen: state === "offline" && lastSeen > 0 ? lastSeen : undefined };
    // A relay that was started anew, and now has us, may have them in a moment.
    const cameBack = watch.next !== undefined && watch.told?.state === "online" && state === "offline";
    if (cameBack) watch.next = { presence, at: later(turn.now, OFFLINE_AFTER_MS) };
    else this.#tell(turn, account, watch, presence);
  }

  #denied(turn: Turn, account: AccountId, watch: Watch, key: Uint8Array): void {
    this.#doubt(account, watch, turn.now);
    // A key that is learned anew is another array: one that is the same was not replaced.
    if (this.#contacts.of(account).accessKey !== key) {
      watch.asked = { at: "to-send" };
      return;
    }
    watch.tryUntil ??= later(turn.now, KEY_WAIT_MS);
    const again = later(turn.now, KEY_RETRY_MS);
    watch.asked = again < watch.tryUntil ? { at: "refused", again } : { at: "denied" };
  }

  #tell(turn: Turn, account: AccountId, watch: Watch, presence: Presence): void {
    const { told } = watch;
    watch.next = undefined;
    if (told?.state === presence.state && told.lastSeen === presence.lastSeen) return;
    watch.told = presence;
    turn.tell({ tell: "presence", account, presence });
  }

  tick(turn: Turn): void {
    for (const account of this.#restless) {
      const watch = this.#watches.get(account);
      if (watch === undefined) continue;
      if (watch.asked.at === "refused" && watch.asked.again <= turn.now) watch.asked = { at: "to-send" };
      if (watch.next !== undefined && watch.next.at <= turn.now)
        this.#tell(turn, account, watch, watch.next.presence);
      const settled = watch.asked.at === "sent" || watch.asked.at === "denied";
      if (settled && watch.next === undefined) this.#restless.delete(account);
    }
  }

  nextAt(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const account of this.#restless) {
      const { asked, next } = this.#watches.get(account) ?? {};
      if (next !== undefined) at = Math.min(at, next.at);
      if (asked?.at === "refused") at = Math.min(at, asked.again);
    }
    return at;
  }
}
