// From a message of the application to sealed envelopes in the outbox: finding out the recipient's devices and keys, and
// what becomes of what is on its way when they change.
// Always true: a message is durable, unsealed or sealed, before the application hears that it is queued; the messages
// to one account are sealed in the order in which they were given; what waits in the outbox for an account goes on only
// when it is there for each of the devices that the newest list names.
import { noteBody, ownCopyOf } from "../content/content.ts";
import { addTime, later, soonest } from "./connection-ends.ts";
import type { Disappearing } from "./disappearing.ts";
import type { Happening, MessageId, RefusalCode, RelayTerms, StoredRows } from "./events.ts";
import {
  ASK_AGAIN_MS,
  DEFAULT_TTL_MS,
  MAX_ASKS,
  MAX_BODY_BYTES,
  MAX_OUTBOX_ITEMS,
  MAX_UNSEALED,
  OLDER_LIST_MS,
  RECEIPT_JITTER_MS,
  RETRY_BASE_MS,
} from "./limits.ts";
import type { Ended, Lookups, Question } from "./lookups.ts";
import type { Settled } from "./outbox.ts";
import { type OwnNote, ownNote } from "./own-notes.ts";
import {
  type AccountId,
  accountOf,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  deviceOf,
  encode,
  type EnvelopeId,
  type FrameOf,
  fromBytes,
  MAX_ENVELOPE_BYTES,
  MAX_TTL_MS,
  type Time,
} from "@lethe/protocol";
import { orderKey, orderOf, put, readTable, remove, type UnsealedRow, unsealedRow } from "./rows.ts";
import type { Receipts } from "./receipts.ts";
import { type Parts as SealingParts, Sealing } from "./sealing.ts";
import { tellSettled } from "./settled.ts";
import type { Turn } from "./turn.ts";

interface Unsealed extends UnsealedRow {
  readonly order: number;
  /** Whether it has a row: what is sealed at once needs none. */
  readonly stored: boolean;
}

export interface Parts extends SealingParts {
  readonly device: DeviceNumber;
  readonly disappearing: Disappearing;
  readonly lookups: Lookups;
}

type Sought = Exclude<Question, { about: "name" }>;

/** What the last answer taught, so that a lesson that changes nothing is not asked for again and again. */
type Lesson = { readonly about: "devices" } | { readonly about: "prekeys"; readonly address: DeviceAddress };

export class Sending {
  readonly #parts: Parts;
  readonly #unsealed = new Map<AccountId, Unsealed[]>();
  readonly #sealing: Sealing;
  /** Devices that are listed and have no keys to be had, and until when no mail waits for them. */
  readonly #keyless = new Map<DeviceAddress, number>();
  /** When keys for a receipt were asked for. */
  readonly #askedFor = new Map<AccountId | DeviceAddress, Time>();
  /** What is asked for again for a while, and since when: it may be there in a moment. */
  readonly #older = new Map<AccountId | DeviceAddress, Time>();
  #count = 0;
  #nextOrder = 1;
  /** What the relay takes, by its last word; until then what the protocol allows. */
  #terms: RelayTerms = { maxEnvelopeBytes: MAX_ENVELOPE_BYTES, maxTtlMs: MAX_TTL_MS };
  /** The relay's clock minus ours, ms: expiries are in the relay's time. */
  offset = 0;

  constructor(parts: Parts, rows: StoredRows) {
    this.#parts = parts;
    this.#sealing = new Sealing(parts, rows, (now, to) => this.#isKeyless(now, to));
    for (const [key, row] of readTable(rows, "unsealed", unsealedRow))
      this.#keep({ ...row, order: orderOf(key), stored: true });
  }

  /** The relay says what it takes: at each connection, and in its policy. */
  agree({ maxEnvelopeBytes, maxTtlMs }: RelayTerms): void {
    this.#terms = {
      maxEnvelopeBytes: Math.min(maxEnvelopeBytes, MAX_ENVELOPE_BYTES),
      maxTtlMs: Math.min(maxTtlMs, MAX_TTL_MS),
    };
    this.#sealing.maxBytes = this.#terms.maxEnvelopeBytes;
  }

  /** When mail that the application gives no life expires, in the relay's time. */
  expiryOf(now: Time, ttl = DEFAULT_TTL_MS): Time {
    return addTime(this.relayNow(now), Math.min(ttl, this.#terms.maxTtlMs));
  }

  relayNow(now: Time): Time {
    return addTime(now, this.offset);
  }

  /** Takes a message. One that was taken before, under the same id, is not taken again. */
  send(turn: Turn, { message, to, body, ttl }: Happening & { event: "send" }): void {
    const { contacts, disappearing, sent, outbox } = this.#parts;
    if (sent.of(message)?.to === to) return turn.tellAfter({ tell: "queued", message });
    const refuse = (code: RefusalCode) => turn.tell({ tell: "refused", message, to, code });
    if (to === this.#parts.self && this.isAlone(turn)) return refuse("no-other-device");
    if (body.length > Math.min(MAX_BODY_BYTES, this.#terms.maxEnvelopeBytes)) return refuse("body-too-large");
    if (contacts.of(to).decision === "blocked") return refuse("blocked");
    if (this.#count >= MAX_UNSEALED || !outbox.hasRoom(1, MAX_ENVELOPE_BYTES)) return refuse("outbox-full");
    const goes = disappearing.goes(turn, { conversation: to }, message, body);
    const row = { message, to, body: goes, sentAt: turn.now, expiry: this.expiryOf(turn.now, ttl) };
    sent.add(turn, message, to);
    if (to === this.#parts.self) this.#toOwn(turn, { ...row, body: ownCopyOf(to, goes) });
    else {
      if (contacts.of(to).decision === "none") contacts.decide(turn, to, "accepted");
      this.#take(turn, row);
    }
    turn.tellAfter({ tell: "queued", message });
  }

  /** Seals a message, or keeps it until that can be done. */
  #take(turn: Turn, row: UnsealedRow): void {
    const item = { ...row, order: this.#nextOrder, stored: this.#need(turn, row.to) !== "nothing" };
    this.#keep(item);
    if (item.stored) turn.stage(put("unsealed", orderKey(item.order), unsealedRow, item));
    this.prepare(turn, row.to);
  }

  /** Whether a message, or what one's own devices are told of it, waits for keys. */
  waits(message: MessageId): boolean {
    for (const waiting of this.#unsealed.values())
      if (waiting.some((item) => item.message === message)) return true;
    return false;
  }

  #keep(item: Unsealed): void {
    const waiting = this.#unsealed.get(item.to) ?? [];
    waiting.push(item);
    this.#unsealed.set(item.to, waiting);
    this.#count += 1;
    this.#nextOrder = Math.max(this.#nextOrder, item.order + 1);
  }

  /** What is missing before mail to the account can be sealed. */
  #need(turn: Turn, account: AccountId): "nothing" | "devices" | DeviceAddress[] {
    const peer = this.#parts.cipher.peer(account, turn.now);
    if (peer === undefined) return "devices";
    if (peer.devices.length === 0) return account === this.#parts.self ? "nothing" : "devices";
    const unready = peer.devices
      .filter(({ ready }) => !ready)
      .map(({ device }) => addressOf(account, device));
    const missing = unready.filter((to) => !this.#isKeyless(turn.now, to));
    if (missing.length > 0) return missing;
    return unready.length < peer.devices.length ? "nothing" : unready;
  }

  #isKeyless(now: Time, to: DeviceAddress): boolean {
    return now < (this.#keyless.get(to) ?? 0);
  }

  /** Goes on with what waits for an account: seals it, or asks for what is missing. */
  prepare(turn: Turn, account: AccountId, lesson?: Lesson): void {
    if (!this.#unsealed.has(account)) return;
    const need = this.#need(turn, account);
    if (need === "nothing") {
      this.#sealWaiting(turn, account);
      return;
    }
    const inVain = need === "devices" ? lesson?.about === "devices" : learned(lesson, need);
    if (inVain) {
      this.#refuseWaiting(turn, account, "not-sealable");
      return;
    }
    if (need === "devices") this.askDevices(turn, account);
    else for (const address of need) this.askPrekeys(turn, address);
  }

  prepareAll(turn: Turn): void {
    for (const account of [...this.#unsealed.keys()])
      if (!this.#parts.lookups.isAsking(account)) this.prepare(turn, account);
  }

  askDevices(turn: Turn, account: AccountId): void {
    this.#parts.lookups.ask(turn, { about: "devices", account }, this.#parts.contacts.of(account).accessKey);
  }

  askPrekeys(turn: Turn, address: DeviceAddress): void {
    const { chance, contacts, lookups } = this.#parts;
    const accessKey = contacts.of(accountOf(address)).accessKey;
    lookups.ask(turn, { about: "prekeys", address, requestId: chance.bytes(16) }, accessKey);
  }

  /** A question about an account was answered or refused. */
  ended(turn: Turn, ended: Ended): Settled[] {
    const { question } = ended;
    if (question.about === "name") return [];
    const account = accountIn(question);
    const code = ended.how === "refused" ? ended.code : this.#learn(turn, ended);
    const settled: Settled[] = [];
    if (code === "ok") {
      settled.push(...this.#mend(turn, account));
      this.prepare(turn, account, question);
      if (question.about === "devices" && this.#askedFor.has(account)) this.#awaits(turn, account);
    } else if (!this.#goesOn(turn, account, question)) {
      const soon = code === (question.about === "devices" ? "list-rolled-back" : "no-device");
      if (soon && this.#asksAgain(turn, question)) return [];
      settled.push(...this.#inVain(turn, question, code));
    }
    this.prepareAll(turn);
    return settled;
  }

  /** A node of the relay may have a list from before it was changed, and a device that is new no keys there yet. */
  #asksAgain(turn: Turn, question: Sought): boolean {
    const about = question.about === "devices" ? question.account : question.address;
    const since = this.#older.get(about) ?? turn.now;
    if (turn.now - since >= OLDER_LIST_MS) return !this.#older.delete(about);
    if (this.#older.size >= MAX_ASKS) this.#older.clear();
    this.#older.set(about, since);
    const { chance, contacts, lookups } = this.#parts;
    const from = later(turn.now, RETRY_BASE_MS * (1 + chance.fraction()));
    return lookups.ask({ now: from }, question, contacts.of(accountIn(question)).accessKey);
  }

  /** Mail goes to the devices that have keys, if any has. */
  #inVain(turn: Turn, question: Sought, code: RefusalCode): Settled[] {
    const account = accountIn(question);
    if (question.about === "devices") {
      this.#refuseWaiting(turn, account, code);
      return this.#parts.outbox.unlisted(turn, account, code);
    }
    if (this.#keyless.size >= MAX_ASKS) this.#keyless.clear();
    this.#keyless.set(question.address, turn.now + ASK_AGAIN_MS);
    const need = this.#need(turn, account);
    const isVain = typeof need !== "string" && need.every((to) => this.#isKeyless(turn.now, to));
    if (isVain) this.#refuseWaiting(turn, account, code);
    else this.prepare(turn, account);
    return this.#mend(turn, account);
  }

  /** The relay has another list of an account's devices than a submit was for: what is missing is asked for, all at once. */
  stale(turn: Turn, { account, version, missing, ids }: FrameOf<"stale-list">): Settled[] {
    const { cipher, device: here, outbox, self } = this.#parts;
    if (!outbox.staleList(account, ids)) return [];
    const peer = cipher.peer(account, turn.now);
    if (peer !== undefined && peer.listVersion >= version) return this.#mend(turn, account);
    this.askDevices(turn, account);
    const isKnown = (device: DeviceNumber): boolean =>
      (account === self && device === here) || peer?.devices.some((of) => of.device === device) !== false;
    for (const device of missing) if (!isKnown(device)) this.askPrekeys(turn, addressOf(account, device));
    return [];
  }

  /**
   * What is on its way to an account, for the devices that it has now: sealed for those that were added, ended for those
   * that are gone, in one commit. It waits for the keys of those that were added, if there are any to be had.
   */
  #mend(turn: Turn, account: AccountId): Settled[] {
    const { cipher, outbox, resends } = this.#parts;
    const peer = cipher.peer(account, turn.now);
    if (peer === undefined) return outbox.unlisted(turn, account, "not-sealable");
    const devices = peer.devices.map(({ device }) => device);
    const lacking = outbox.messagesOf(account).flatMap((of) => resends.lacking(of, account, devices));
    const waitedFor = new Set<DeviceAddress>();
    for (const { device, ready } of peer.devices) {
      const to = addressOf(account, device);
      if (!ready && !this.#isKeyless(turn.now, to) && lacking.some((of) => of.to === to)) waitedFor.add(to);
    }
    for (const to of waitedFor) this.askPrekeys(turn, to);
    if (waitedFor.size > 0) return [];
    for (const each of lacking) this.#sealing.sealFurther(turn, each);
    this.#sealing.endStreams(turn, (to) => accountOf(to) === account && !devices.includes(deviceOf(to)));
    resends.relisted(turn, account, devices);
    return outbox.relisted(turn, account, peer.listVersion, devices);
  }

  /** A ratchet that was only to be renewed is used for another while where the renewal was refused. */
  #goesOn(turn: Turn, account: AccountId, question: Ended["question"]): boolean {
    if (question.about !== "prekeys") return false;
    if (!this.#parts.cipher.goOn(question.address, turn.now)) return false;
    this.prepare(turn, account);
    return true;
  }

  #learn(turn: Turn, { question, answer }: Ended & { how: "answered" }): RefusalCode | "ok" {
    const { cipher } = this.#parts;
    const learned =
      question.about === "devices" && answer.frame === "has-devices"
        ? cipher.learnDevices(question.account, answer, turn.now)
        : question.about === "prekeys" && answer.frame === "has-prekeys"
          ? cipher.learnPrekeys(question.address, answer, turn.now)
          : undefined;
    if (learned?.writes === undefined) return learned?.code ?? "not-sealable";
    turn.stage(...learned.writes);
    if (question.about !== "devices") return "ok";
    this.#older.delete(question.account);
    for (const to of this.#keyless.keys()) if (accountOf(to) === question.account) this.#keyless.delete(to);
    return "ok";
  }

  #sealWaiting(turn: Turn, account: AccountId): void {
    const waiting = this.#unsealed.get(account) ?? [];
    this.#unsealed.delete(account);
    this.#count -= waiting.length;
    for (const item of waiting) {
      const { order, message, body, sentAt, expiry, stored } = item;
      if (stored) turn.stage(remove("unsealed", orderKey(order)));
      const code = this.#sealing.seal(turn, {
        to: account,
        message,
        content: { kind: "message", body },
        sentAt,
        expiry,
      });
      if (code !== "ok") this.#refuse(turn, message, account, code);
      else if (account !== this.#parts.self) this.#copy(turn, item);
    }
    this.#renew(turn, account);
  }

  /** One's own other devices are told of a message in the commit that seals it; or later, if their keys are not there. */
  #copy(turn: Turn, { message, to: conversation, body, sentAt, expiry }: Unsealed): void {
    this.#toOwn(turn, { message, to: conversation, body: ownCopyOf(conversation, body), sentAt, expiry });
  }

  /** Tells one's own other devices something, if there are any. */
  tellOwn(turn: Turn, note: OwnNote): void {
    const { chance, self } = this.#parts;
    if (this.isAlone(turn)) return;
    const [message, body] = [fromBytes<MessageId>(chance.bytes(16)), noteBody(encode(ownNote, note))];
    this.#toOwn(turn, { message, to: self, body, sentAt: turn.now, expiry: this.expiryOf(turn.now) });
  }

  /** This account is known to have no other device. */
  isAlone(turn: Turn): boolean {
    return this.#parts.cipher.peer(this.#parts.self, turn.now)?.devices.length === 0;
  }

  /** One's own devices never take the room that mail to others needs. */
  #toOwn(turn: Turn, row: UnsealedRow): void {
    const { outbox, self } = this.#parts;
    const waiting = this.#unsealed.get(self)?.length ?? 0;
    if (this.isAlone(turn) || waiting >= MAX_UNSEALED / 2 || outbox.size >= MAX_OUTBOX_ITEMS / 2) return;
    this.#take(turn, { ...row, to: self });
  }

  /** Another list of an account is known: what is on its way is for the devices of that one. */
  changed(turn: Turn, account: AccountId): void {
    const { cipher, outbox, self, sent } = this.#parts;
    if (cipher.peer(account, turn.now) !== undefined)
      tellSettled(turn, this.#mend(turn, account), { sent, outbox });
    else if (account === self || outbox.messagesOf(account).length > 0) this.askDevices(turn, account);
  }

  /** Ratchets that are due are replaced beside the mail: a relay that withholds prekeys stops none of it. */
  #renew(turn: Turn, account: AccountId): void {
    for (const { device, stale } of this.#parts.cipher.peer(account, turn.now)?.devices ?? [])
      if (stale === true) this.askPrekeys(turn, addressOf(account, device));
  }

  #refuseWaiting(turn: Turn, account: AccountId, code: RefusalCode): void {
    // What one's own devices are told goes to those that it can be sealed for.
    if (account === this.#parts.self) return this.#sealWaiting(turn, account);
    const waiting = this.#unsealed.get(account) ?? [];
    this.#unsealed.delete(account);
    this.#count -= waiting.length;
    for (const { order, message } of waiting) {
      turn.stage(remove("unsealed", orderKey(order)));
      this.#refuse(turn, message, account, code);
    }
  }

  #refuse(turn: Turn, message: MessageId, to: AccountId, code: RefusalCode): void {
    if (to === this.#parts.self && this.#parts.sent.of(message)?.to !== to) return;
    this.#parts.sent.reach(turn, message, to, "refused");
    turn.tellAfter({ tell: "refused", message, to, code });
  }

  /** The store went back: numbers may have been used already, so new streams begin; and our own list may be newer. */
  restored(turn: Turn): void {
    this.askDevices(turn, this.#parts.self);
    this.#sealing.endStreams(turn, () => true);
  }

  /** Seals the receipts that are due, to whom it can be; and tells one's own other devices what was read here. */
  receipts(turn: Turn, due: Receipts): void {
    const { chance, contacts, outbox } = this.#parts;
    for (const account of due.ready(turn.now)) {
      const can = contacts.reaches(account) && !this.#awaits(turn, account);
      if (!can || !outbox.hasRoom(1, MAX_ENVELOPE_BYTES)) {
        due.postpone(turn, account, RECEIPT_JITTER_MS);
        continue;
      }
      const content = { kind: "receipt", ...due.take(turn, account) } as const;
      const [message, expiry] = [fromBytes<MessageId>(chance.bytes(16)), this.expiryOf(turn.now)];
      this.#sealing.seal(turn, { to: account, message, content, sentAt: turn.now, expiry });
      const { read: messages } = content;
      if (messages.length > 0) this.tellOwn(turn, { kind: "read", conversation: account, messages });
    }
  }

  /** Whether a receipt waits for keys: they are asked for, but not time and again. */
  #awaits(turn: Turn, account: AccountId): boolean {
    const need = this.#need(turn, account);
    if (need === "nothing") return false;
    if (need === "devices") {
      if (this.#mayAsk(turn.now, account)) this.askDevices(turn, account);
      return true;
    }
    const missing = need.filter((address) => !this.#isKeyless(turn.now, address));
    for (const address of missing) if (this.#mayAsk(turn.now, address)) this.askPrekeys(turn, address);
    return missing.length > 0;
  }

  #mayAsk(now: Time, about: AccountId | DeviceAddress): boolean {
    if (now - (this.#askedFor.get(about) ?? Number.NEGATIVE_INFINITY) < ASK_AGAIN_MS) return false;
    if (this.#askedFor.size >= MAX_ASKS) this.#askedFor.clear();
    this.#askedFor.set(about, now);
    return true;
  }

  /** Typing and the like: sealed and sent now, or not at all; only to contacts whose key is known. */
  signal(turn: Turn, account: AccountId, body: Uint8Array): void {
    const { chance, cipher, contacts } = this.#parts;
    const { accessKey, decision } = contacts.of(account);
    const peer = cipher.peer(account, turn.now);
    if (accessKey === undefined || decision !== "accepted" || peer === undefined) return;
    const envelopes = [];
    for (const { device, ready } of peer.devices) {
      if (!ready) continue;
      const to = addressOf(account, device);
      const id: EnvelopeId = fromBytes(chance.bytes(16));
      const message: MessageId = fromBytes(chance.bytes(16));
      const content = { kind: "signal", body } as const;
      const sealed = cipher.seal({
        to,
        id,
        message,
        place: undefined,
        content,
        sentAt: turn.now,
        now: turn.now,
      });
      if (sealed.ciphertext === undefined) continue;
      turn.stage(...sealed.writes);
      envelopes.push({ device, id, ciphertext: sealed.ciphertext });
    }
    if (envelopes.length === 0) return;
    turn.afterwards({
      next: "signal",
      socket: "anonymous",
      frame: { frame: "signal", recipient: account, accessKey, envelopes },
    });
  }

  /** What waited for keys until its time was over. */
  tick(turn: Turn): void {
    const relayNow = this.relayNow(turn.now);
    for (const [account, waiting] of this.#unsealed) {
      const over = waiting.filter(({ expiry }) => expiry <= relayNow);
      for (const { order, message } of over) {
        turn.stage(remove("unsealed", orderKey(order)));
        if (account === this.#parts.self && this.#parts.sent.of(message)?.to !== account) continue;
        this.#parts.sent.reach(turn, message, account, "expired");
        turn.tellAfter({ tell: "expired", message, to: account });
      }
      this.#count -= over.length;
      const left = waiting.filter((item) => !over.includes(item));
      if (left.length === 0) this.#unsealed.delete(account);
      else if (over.length > 0) this.#unsealed.set(account, left);
    }
  }

  nextAt(now: Time): number {
    let at = Number.POSITIVE_INFINITY;
    for (const waiting of this.#unsealed.values())
      for (const { expiry } of waiting) at = soonest(now, at, expiry - this.offset);
    return at;
  }
}

function accountIn(question: Sought): AccountId {
  return question.about === "devices" ? question.account : accountOf(question.address);
}

/** Whether what is missing is what has just been learned. */
function learned(lesson: Lesson | undefined, need: readonly DeviceAddress[]): boolean {
  return lesson?.about === "prekeys" && need.includes(lesson.address);
}
