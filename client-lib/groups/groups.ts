// Groups behind one door, for the core: what happens goes in, and what is staged, told and sent comes out with the turn. Always
// true: everything that follows from one event is in its commit.
import {
  type AccountId,
  addressOf,
  type ClientFrame,
  type DeviceAddress,
  type EnvelopeId,
  type FrameOf,
  type Time,
} from "@lethe/protocol";
import type { GroupId } from "@lethe/crypto";
import type { Contacts } from "../delivery/contacts.ts";
import type { Disappearing } from "../delivery/disappearing.ts";
import type { Chance, Cipher, Happening, MessageId, StoredRows } from "../delivery/events.ts";
import type { LibraryMail } from "../delivery/library-mail.ts";
import type { Ended as EndedQuestion } from "../delivery/lookups.ts";
import type { Sending } from "../delivery/sending.ts";
import type { Turn } from "../delivery/turn.ts";
import { type Ended, GroupOutbox } from "./group-outbox.ts";
import { type GroupInbox, GroupReceiving } from "./group-receiving.ts";
import { GroupSending } from "./group-sending.ts";
import { GroupSent } from "./group-sent.ts";
import { GroupStore, type KnownGroup } from "./group-store.ts";
import { Membership } from "./membership.ts";
import { OwedStates } from "./owed.ts";
import { type GroupKeys, Reach } from "./reach.ts";
import type { SentRow } from "./rows.ts";
import { GroupWaiting } from "./waiting.ts";

export interface GroupsParts {
  readonly self: AccountId;
  readonly chance: Chance;
  readonly cipher: Cipher;
  readonly contacts: Contacts;
  readonly sending: Sending;
  readonly disappearing: Disappearing;
  readonly mail: LibraryMail;
  readonly inbox: GroupInbox;
  readonly keys: GroupKeys;
  /** This account's own access key. */
  readonly accessKey: () => Uint8Array;
}

export class Groups {
  readonly #store: GroupStore;
  readonly #sent: GroupSent;
  readonly #outbox: GroupOutbox;
  readonly #reach: Reach;
  readonly #owed: OwedStates;
  readonly #membership: Membership;
  readonly #sending: GroupSending;
  readonly #receiving: GroupReceiving;
  readonly #parts: GroupsParts;
  /** Devices of this account that are known to be there. */
  #ownDevices: string;

  constructor(parts: GroupsParts, rows: StoredRows) {
    this.#parts = parts;
    const { self, chance, contacts, keys } = parts;
    const keyOf = (account: AccountId) =>
      account === self ? parts.accessKey() : contacts.of(account).accessKey;
    const introduce = () => ({ accessKey: parts.accessKey(), name: keys.name });
    this.#store = new GroupStore(chance, rows);
    this.#sent = new GroupSent(this.#store, rows);
    this.#reach = new Reach(parts);
    const ended = (turn: Turn, what: Ended) => this.#ended(turn, what);
    const relist = (turn: Turn, account: AccountId) => parts.sending.askDevices(turn, account);
    this.#outbox = new GroupOutbox({ self, chance, ended, relist, keyOf }, rows);
    const shared = { ...parts, store: this.#store, reach: this.#reach, keyOf, introduce };
    this.#owed = new OwedStates(shared, rows);
    const changed = (group: GroupId) => this.#changed(group);
    this.#membership = new Membership({ ...shared, owed: this.#owed, changed });
    this.#sending = new GroupSending({ ...shared, outbox: this.#outbox, sent: this.#sent }, rows);
    const waiting = new GroupWaiting(rows);
    this.#receiving = new GroupReceiving({ ...shared, membership: this.#membership, waiting });
    this.#ownDevices = this.#ownList();
  }

  // --- to look at ----------------------------------------------------------------------------------------------------

  all(): Iterable<KnownGroup> {
    return this.#store.all();
  }

  of(group: GroupId): KnownGroup | undefined {
    return this.#store.of(group);
  }

  sent(message: MessageId): Readonly<SentRow> | undefined {
    return this.#sent.of(message);
  }

  carriers(message: MessageId): readonly DeviceAddress[] {
    return this.#outbox.carriers(message) ?? [];
  }

  isPending(message: MessageId): boolean {
    return this.#sending.waits(message) || this.#outbox.carriers(message) !== undefined;
  }

  /** Envelopes that are not settled. */
  get unsettled(): number {
    return this.#outbox.size;
  }

  /** Who is in a group with this account, but for somebody who is to hear nothing. */
  fellows(except?: AccountId): Set<AccountId> {
    const all = new Set<AccountId>();
    for (const { standing, view } of this.#store.all())
      if (standing === "joined") for (const { account } of view.state.members) all.add(account);
    if (except !== undefined) all.delete(except);
    all.delete(this.#parts.self);
    return all;
  }

  get wantsConnection(): boolean {
    return this.#outbox.wantsConnection;
  }

  // --- what happens --------------------------------------------------------------------------------------------------

  take(turn: Turn, event: Happening & { event: `group-${string}` }): void {
    switch (event.event) {
      case "group-change":
        return this.#membership.ask(turn, event.ask, event.group, event.change);
      case "group-join":
        return this.#membership.join(turn, event.ask, event.group);
      case "group-send":
        return this.#sending.send(turn, event);
      case "group-signal":
        return this.#sending.signal(turn, event.group, event.body);
    }
  }

  push(turn: Turn, id: EnvelopeId, ciphertext: Uint8Array): void {
    this.#receiving.push(turn, id, ciphertext);
  }

  signal(
    turn: Turn,
    id: EnvelopeId,
    ciphertext: Uint8Array,
  ): { from: DeviceAddress; group: GroupId } | undefined {
    return this.#receiving.signal(turn, id, ciphertext);
  }

  told(turn: Turn, from: DeviceAddress, id: EnvelopeId, plaintext: Uint8Array): void {
    this.#receiving.told(turn, from, id, plaintext);
  }

  /** Messages of ours to groups that an account confirms now, and had not. */
  confirmed(
    turn: Turn,
    account: AccountId,
    ids: readonly MessageId[],
    state: "delivered" | "read",
  ): MessageId[] {
    return ids.filter((id) => this.#sent.reach(turn, id, account, state));
  }

  /** Another device of this account has said something to a group: receipts for it are counted here too. */
  sentElsewhere(turn: Turn, message: MessageId, group: GroupId): void {
    const of = (this.#store.of(group)?.view.state.members.length ?? 1) - 1;
    this.#sent.add(turn, message, group, of);
    this.#sent.settle(turn, message, "sent");
  }

  accepted(turn: Turn, ids: readonly EnvelopeId[]): void {
    this.#outbox.accepted(turn, ids);
    this.#owed.stir();
  }

  refused(turn: Turn, frame: FrameOf<"refused">): void {
    this.#outbox.refused(turn, frame);
  }

  staleList(turn: Turn, frame: FrameOf<"stale-list">): void {
    this.#outbox.staleList(turn, frame);
  }

  /** A question about an account has ended. */
  answered(turn: Turn, ended: EndedQuestion): void {
    if (ended.question.about === "name") return;
    this.#sending.heard(turn.now);
    this.#reach.ended(turn, ended);
    if (ended.question.about === "devices") this.relisted(turn, ended.question.account);
    this.#stirAll();
    this.#membership.goOn(turn);
  }

  /** An account's devices may be others than before. */
  relisted(turn: Turn, account: AccountId): void {
    const { cipher, keys } = this.#parts;
    const known = cipher.peer(account, turn.now) !== undefined;
    const list = keys.account(account)?.list;
    const devices =
      known && list !== undefined ? list.devices.map(({ device }) => addressOf(account, device)) : undefined;
    for (const { row, devices: missed } of this.#outbox.relisted(turn, account, list?.version ?? 0, devices))
      this.#sending.missed(turn, row, missed);
    this.#stirAll();
  }

  /** Everything that waits for somebody's keys is looked at again, once a step. */
  #stirAll(): void {
    this.#sending.stirAll();
    this.#owed.stir();
    this.#receiving.stir();
  }

  #changed(group: GroupId): void {
    this.#sending.stir(group);
    this.#receiving.stir();
  }

  durable(order: number): void {
    this.#outbox.durable(order);
  }

  lost(): void {
    this.#sending.lost();
    this.#outbox.lost();
  }

  restored(turn: Turn): void {
    this.#store.restored(turn);
  }

  #ended(turn: Turn, { message, row, how, code }: Ended): void {
    if (!this.#sent.settle(turn, message, how)) return;
    if (how === "sent") turn.tellAfter({ tell: "group-sent", message, group: row.group });
    else
      turn.tellAfter({
        tell: "group-refused",
        message,
        group: row.group,
        code: how === "expired" ? "expired" : (code ?? "not-permitted"),
      });
  }

  #ownList(): string {
    return (this.#parts.keys.account(this.#parts.self)?.list.devices ?? [])
      .map(({ device }) => device)
      .join();
  }

  /** A new device of one's own is told of every group, by each device that is here already. */
  #welcomeOwn(turn: Turn): void {
    const now = this.#ownList();
    if (now === this.#ownDevices) return;
    const left = new Set(now.split(","));
    const lost = this.#ownDevices.split(",").some((device) => !left.has(device));
    this.#ownDevices = now;
    const isPrimary = this.#parts.keys.identity().accountSeed !== undefined;
    for (const group of [...this.#store.all()]) {
      if (group.standing === "left") continue;
      if (lost && isPrimary) this.#membership.renew(turn, group);
      const known = this.#store.of(group.id);
      if (known !== undefined) this.#membership.retell(turn, known, this.#parts.self);
    }
    this.#sending.stirAll();
  }

  pump(turn: Turn): void {
    this.#welcomeOwn(turn);
    this.#receiving.pump(turn);
    this.#owed.pump(turn);
    this.#sending.pump(turn);
  }

  frames(now: Time): ClientFrame[] {
    this.#sending.connected(now);
    return this.#outbox.pump(now);
  }

  tick(turn: Turn): void {
    this.#outbox.tick(turn, this.#parts.sending.relayNow(turn.now));
    this.#sending.tick(turn);
    this.#receiving.tick(turn);
  }

  sweep(turn: Turn): void {
    this.#store.sweep(turn);
    this.#sent.sweep(turn);
    this.#owed.sweep(turn);
    this.#receiving.sweep(turn);
  }

  nextAt(now: Time): number {
    const stirred = this.#sending.isStirred || this.#owed.isStirred || this.#receiving.isStirred;
    if (stirred) return now + 1;
    return Math.min(
      this.#receiving.nextAt(now),
      this.#outbox.nextAt(now, this.#parts.sending.offset),
      this.#sending.nextAt(now),
    );
  }
}
