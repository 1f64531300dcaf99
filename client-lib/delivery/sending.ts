// From a message of the application to sealed envelopes in the outbox: finding out the recipient's devices and keys,
// sealing for each device, numbering.
// Always true: a message is durable, unsealed or sealed, before the application hears that it is queued; the messages
// to one account are sealed in the order in which they were given; ratchet, numbers and ciphertext are one commit.
import { ownCopyOf } from "../content/content.ts";
import { addTime, soonest } from "./connection-ends.ts";
import type { Contacts } from "./contacts.ts";
import type {
  Chance,
  Cipher,
  Content,
  Happening,
  MessageId,
  Place,
  RefusalCode,
  RelayTerms,
  StoredRows,
  StreamId,
} from "./events.ts";
import { DEFAULT_TTL_MS, MAX_BODY_BYTES, MAX_OUTBOX_ITEMS, MAX_UNSEALED } from "./limits.ts";
import type { Ended, Lookups } from "./lookups.ts";
import type { Outbox, Settled } from "./outbox.ts";
import {
  type AccountId,
  accountOf,
  addressOf,
  type DeviceAddress,
  type EnvelopeId,
  fromBytes,
  MAX_ENVELOPE_BYTES,
  MAX_TTL_MS,
  type Time,
} from "@lethe/protocol";
import {
  orderKey,
  orderOf,
  type OutboxRow,
  put,
  readTable,
  remove,
  streamOutRow,
  type UnsealedRow,
  unsealedRow,
} from "./rows.ts";
import type { ResendLog, Sent } from "./resend-log.ts";
import type { SentLog } from "./sent-log.ts";
import type { Turn } from "./turn.ts";

interface Unsealed extends UnsealedRow {
  readonly order: number;
  /** Whether it has a row: what is sealed at once needs none. */
  readonly stored: boolean;
}

export interface Parts {
  readonly self: AccountId;
  readonly chance: Chance;
  readonly cipher: Cipher;
  readonly contacts: Contacts;
  readonly outbox: Outbox;
  readonly lookups: Lookups;
  readonly sent: SentLog;
  readonly resends: ResendLog;
}

/** What the last answer taught, so that a lesson that changes nothing is not asked for again and again. */
type Lesson = { readonly about: "devices" } | { readonly about: "prekeys"; readonly address: DeviceAddress };

export class Sending {
  readonly #parts: Parts;
  readonly #unsealed = new Map<AccountId, Unsealed[]>();
  readonly #streams = new Map<DeviceAddress, { stream: StreamId; next: number }>();
  #count = 0;
  #nextOrder = 1;
  /** What the relay takes, by its last word; until then what the protocol allows. */
  #terms: RelayTerms = { maxEnvelopeBytes: MAX_ENVELOPE_BYTES, maxTtlMs: MAX_TTL_MS };
  /** The relay's clock minus ours, ms: expiries are in the relay's time. */
  offset = 0;

  constructor(parts: Parts, rows: StoredRows) {
    this.#parts = parts;
    for (const [key, row] of readTable(rows, "unsealed", unsealedRow))
      this.#keep({ ...row, order: orderOf(key), stored: true });
    for (const [key, { stream, next }] of readTable(rows, "stream-out", streamOutRow))
      this.#streams.set(key as DeviceAddress, { stream, next });
  }

  /** The relay says what it takes: at each connection, and in its policy. */
  agree({ maxEnvelopeBytes, maxTtlMs }: RelayTerms): void {
    this.#terms = {
      maxEnvelopeBytes: Math.min(maxEnvelopeBytes, MAX_ENVELOPE_BYTES),
      maxTtlMs: Math.min(maxTtlMs, MAX_TTL_MS),
    };
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
    const { contacts, sent, outbox } = this.#parts;
    if (sent.of(message)?.to === to) return turn.tellAfter({ tell: "queued", message });
    const refuse = (code: RefusalCode) => turn.tell({ tell: "refused", message, to, code });
    if (to === this.#parts.self) return refuse("not-sealable");
    if (body.length > Math.min(MAX_BODY_BYTES, this.#terms.maxEnvelopeBytes)) return refuse("body-too-large");
    if (contacts.of(to).decision === "blocked") return refuse("blocked");
    if (this.#count >= MAX_UNSEALED || !outbox.hasRoom(1, MAX_ENVELOPE_BYTES)) return refuse("outbox-full");
    if (contacts.of(to).decision === "none") contacts.decide(turn, to, "accepted");
    sent.add(turn, message, to);
    this.#take(turn, { message, to, body, sentAt: turn.now, expiry: this.expiryOf(turn.now, ttl) });
    turn.tellAfter({ tell: "queued", message });
  }

  /** Seals a message, or keeps it until that can be done. */
  #take(turn: Turn, row: UnsealedRow): void {
    const item = { ...row, order: this.#nextOrder, stored: this.#need(turn, row.to) !== "nothing" };
    this.#keep(item);
    if (item.stored) turn.stage(put("unsealed", orderKey(item.order), unsealedRow, item));
    this.prepare(turn, row.to);
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
    const missing = peer.devices
      .filter(({ ready }) => !ready)
      .map(({ device }) => addressOf(account, device));
    return missing.length === 0 ? "nothing" : missing;
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
    const account = question.about === "devices" ? question.account : accountOf(question.address);
    const code = ended.how === "refused" ? ended.code : this.#learn(turn, ended);
    const settled: Settled[] = [];
    if (code === "ok") {
      if (question.about === "devices") settled.push(...this.#relisted(turn, account));
      this.prepare(turn, account, question);
    } else if (!this.#goesOn(turn, account, question)) {
      settled.push(...this.#parts.outbox.unlisted(turn, account, code));
      this.#refuseWaiting(turn, account, code);
    }
    this.prepareAll(turn);
    return settled;
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
    return "ok";
  }

  #relisted(turn: Turn, account: AccountId): Settled[] {
    const peer = this.#parts.cipher.peer(account, turn.now);
    if (peer === undefined) return this.#parts.outbox.unlisted(turn, account, "not-sealable");
    return this.#parts.outbox.relisted(
      turn,
      account,
      peer.listVersion,
      peer.devices.map(({ device }) => device),
    );
  }

  #sealWaiting(turn: Turn, account: AccountId): void {
    const waiting = this.#unsealed.get(account) ?? [];
    this.#unsealed.delete(account);
    this.#count -= waiting.length;
    for (const item of waiting) {
      const { order, message, body, sentAt, expiry, stored } = item;
      if (stored) turn.stage(remove("unsealed", orderKey(order)));
      const code = this.#seal(turn, {
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
    const { cipher, outbox, self } = this.#parts;
    if (cipher.peer(self, turn.now)?.devices.length === 0) return;
    const waiting = this.#unsealed.get(self)?.length ?? 0;
    if (waiting >= MAX_UNSEALED / 2 || outbox.size >= MAX_OUTBOX_ITEMS / 2) return;
    this.#take(turn, { message, to: self, body: ownCopyOf(conversation, body), sentAt, expiry });
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
    if (to === this.#parts.self) return;
    this.#parts.sent.reach(turn, message, to, "refused");
    turn.tellAfter({ tell: "refused", message, to, code });
  }

  /** Seals one message for every device of the account, into the outbox: for all of them, or for none. */
  #seal(turn: Turn, sealing: Sealing): RefusalCode | "ok" {
    const { cipher, contacts, outbox, chance } = this.#parts;
    const { to: account, message, content, sentAt, expiry } = sealing;
    const peer = cipher.peer(account, turn.now);
    if (peer === undefined) return "not-sealable";
    const isOwn = account === this.#parts.self;
    const carried: Sent["carried"][number][] = [];
    const items: OutboxRow[] = [];
    for (const { device } of peer.devices) {
      const to = addressOf(account, device);
      const id: EnvelopeId = fromBytes(chance.bytes(16));
      const place = content.kind === "message" ? this.#place(to) : undefined;
      const sealed = cipher.seal({ to, id, message, place, content, sentAt, now: turn.now });
      if (sealed.ciphertext === undefined && isOwn) continue;
      if (sealed.ciphertext === undefined) return sealed.code;
      turn.stage(...sealed.writes);
      if (sealed.ciphertext.length > this.#terms.maxEnvelopeBytes) return "body-too-large";
      carried.push({ to, id, place });
      items.push({
        id,
        message,
        to,
        listVersion: peer.listVersion,
        expiry,
        accessKey: contacts.of(account).accessKey,
        told: content.kind === "message" && !isOwn ? "yes" : "no",
        ciphertext: sealed.ciphertext,
      });
    }
    for (const { to, place } of carried) if (place !== undefined) this.#useUp(turn, to, place);
    for (const item of items) outbox.add(turn, item);
    if (content.kind === "message") {
      const sent = { message, body: content.body, sentAt, expiry, carried };
      this.#parts.resends.keep(turn, sent);
    }
    return "ok";
  }

  #place(to: DeviceAddress): Place {
    const known = this.#streams.get(to);
    if (known !== undefined) return { stream: known.stream, sequence: known.next };
    return { stream: fromBytes(this.#parts.chance.bytes(8)), sequence: 1 };
  }

  /** A number is used up only when something was sealed under it. */
  #useUp(turn: Turn, to: DeviceAddress, { stream, sequence }: Place): void {
    const row = { stream, next: sequence + 1 };
    this.#streams.set(to, row);
    turn.stage(put("stream-out", to, streamOutRow, row));
  }

  /** The store went back: numbers may have been used already, so new streams begin; and our own list may be newer. */
  restored(turn: Turn): void {
    this.askDevices(turn, this.#parts.self);
    for (const to of this.#streams.keys()) turn.stage(remove("stream-out", to));
    this.#streams.clear();
  }

  /** Seals a receipt, if the account's keys are known. False: later. */
  receipt(turn: Turn, account: AccountId, take: () => Content & { kind: "receipt" }): boolean {
    const { chance, contacts, outbox } = this.#parts;
    if (!contacts.reaches(account) || this.#need(turn, account) !== "nothing") return false;
    if (!outbox.hasRoom(1, MAX_ENVELOPE_BYTES)) return false;
    const expiry = this.expiryOf(turn.now);
    const message: MessageId = fromBytes(chance.bytes(16));
    this.#seal(turn, { to: account, message, content: take(), sentAt: turn.now, expiry });
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
        if (account === this.#parts.self) continue;
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

interface Sealing {
  readonly to: AccountId;
  readonly message: MessageId;
  readonly content: Content;
  readonly sentAt: Time;
  readonly expiry: Time;
}

/** Whether what is missing is what has just been learned. */
function learned(lesson: Lesson | undefined, need: readonly DeviceAddress[]): boolean {
  return lesson?.about === "prekeys" && need.includes(lesson.address);
}
