// From a pushed envelope to an entry of the inbox: opened, remembered, put in order, given to whoever it is for.
// Always true: ratchet, id, entry, contact and the receipts that it causes are one commit, and the acknowledgement and
// the application come after it; what does not open is quarantined and acknowledged, and the next flows.
import {
  type AccountId,
  accountOf,
  type DeviceAddress,
  type EnvelopeId,
  type FrameOf,
  type Time,
} from "@lethe/protocol";
import type { GroupId } from "@lethe/crypto";
import { soonest } from "./connection-ends.ts";
import type { Contacts } from "./contacts.ts";
import type { Cipher, Control, Decision, Happening, MessageId, StreamId } from "./events.ts";
import type { GroupInbox, GroupOpened } from "../groups/group-receiving.ts";
import type { Groups } from "../groups/groups.ts";
import type { Disappearing } from "./disappearing.ts";
import type { Early } from "./early.ts";
import { entryOf, type Inbox, type OpenedEnvelope, type Ready } from "./inbox.ts";
import { MAX_CONTENT_BYTES } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import type { ForApplication, Made } from "./own-notes.ts";
import type { Quarantine } from "./quarantine.ts";
import type { Recovery } from "./recovery.ts";
import type { ResendLog } from "./resend-log.ts";
import type { Receipts } from "./receipts.ts";
import type { Sending } from "./sending.ts";
import type { SentLog } from "./sent-log.ts";
import type { Turn } from "./turn.ts";
import type { Watching } from "./watching.ts";

export interface Parts {
  readonly self: AccountId;
  readonly requests: "ask" | "accept";
  readonly cipher: Cipher;
  readonly contacts: Contacts;
  readonly outbox: Outbox;
  readonly sent: SentLog;
  readonly inbox: Inbox;
  readonly receipts: Receipts;
  readonly recovery: Recovery;
  readonly resends: ResendLog;
  readonly quarantine: Quarantine;
  readonly watching: Watching;
  readonly groups: () => Groups | undefined;
  readonly sending: Sending;
  readonly early: Early;
  readonly disappearing: Disappearing;
  /** Takes a note of another device of this account; gives what the application is to hear of. */
  readonly heard: (turn: Turn, note: Uint8Array) => ForApplication | undefined;
}

/** What follows from messages alone is overridden by whatever a person decides, on whichever device. */
const OF_ITSELF: Made = { at: 0, by: 0 };

export class Receiving implements GroupInbox {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Takes a pushed envelope. It is acknowledged on the connection that it came on, once everything is durable. */
  push(turn: Turn, connection: number, frame: FrameOf<"push">): void {
    const { cipher, inbox, groups } = this.#parts;
    if (frame.kind === "group") {
      if (!inbox.hasSeen(frame.id)) groups()?.push(turn, frame.id, frame.ciphertext);
    } else if (!inbox.hasSeen(frame.id)) {
      const outcome = cipher.open({
        id: frame.id,
        kind: frame.kind,
        ciphertext: frame.ciphertext,
        now: turn.now,
      });
      if (outcome.outcome === "ok" || outcome.outcome === "control")
        for (const account of outcome.relisted ?? []) this.#parts.sending.changed(turn, account);
      if (outcome.outcome === "ok") this.#opened(turn, frame, outcome);
      else if (outcome.outcome === "poison") {
        turn.stage(...outcome.writes);
        this.#quarantine(turn, frame, outcome.code);
        if (outcome.resend !== undefined) this.#parts.recovery.failed(turn, frame.id, outcome.resend);
      } else if (outcome.outcome === "control") {
        turn.stage(...outcome.writes);
        if (outcome.control.kind === "group")
          groups()?.told(turn, outcome.from, frame.id, outcome.control.told);
        else this.#control(turn, outcome.from, outcome.control);
      }
    }
    turn.afterwards({ next: "acknowledge", connection, id: frame.id });
  }

  /** The other side's library has something to say. */
  #control(turn: Turn, from: DeviceAddress, control: Exclude<Control, { kind: "group" }>): void {
    const { contacts, recovery, self } = this.#parts;
    if (contacts.of(accountOf(from)).decision === "blocked") return;
    if (control.kind === "resend") recovery.asked(turn, from, control);
    else if (accountOf(from) !== self) this.learnKey(turn, accountOf(from), control.accessKey);
  }

  learnKey(turn: Turn, account: AccountId, accessKey: Uint8Array): void {
    const { contacts, outbox, watching } = this.#parts;
    if (!contacts.learnKey(turn, account, accessKey)) return;
    outbox.rekey(turn, account, accessKey);
    watching.rekeyed(account);
  }

  /** Typing and the like: told to the application if it is a contact's; never remembered, never acknowledged. */
  signal(turn: Turn, frame: FrameOf<"push">): void {
    const ofGroup = this.#parts.groups()?.signal(turn, frame.id, frame.ciphertext);
    if (ofGroup !== undefined) return turn.tellAfter({ tell: "group-signal", ...ofGroup });
    const outcome = this.#parts.cipher.open({ ...frame, now: turn.now });
    if (outcome.outcome === "duplicate") return;
    turn.stage(...outcome.writes);
    if (outcome.outcome !== "ok" || outcome.content.kind !== "signal") return;
    if (this.#parts.contacts.of(accountOf(outcome.from)).decision !== "accepted") return;
    turn.tellAfter({ tell: "signal", from: outcome.from, body: outcome.content.body });
  }

  #quarantine(turn: Turn, frame: FrameOf<"push">, code: string): void {
    this.quarantine(turn, frame.id, frame.ciphertext, code);
  }

  quarantine(turn: Turn, id: EnvelopeId, ciphertext: Uint8Array, code: string): void {
    this.#parts.quarantine.add(turn, { id, ciphertext }, code);
    turn.tellAfter({ tell: "quarantined", id, code });
  }

  /** An envelope of a group, whose group and sender are proved. */
  opened(turn: Turn, { id, group, ...opened }: GroupOpened): void {
    const { inbox, self, groups } = this.#parts;
    const { content, from, message } = opened;
    if (!inbox.remember(turn, id, from, message)) return;
    if (content.kind === "signal" || content.kind === "receipt") return;
    if (accountOf(from) === self) groups()?.sentElsewhere(turn, message, group);
    const said = { ...opened, outcome: "ok", writes: [], group } as const;
    for (const ready of inbox.arrive(turn, said)) this.#give(turn, ready);
  }

  expect(turn: Turn, from: DeviceAddress, group: GroupId, place: { stream: StreamId; next: number }): void {
    this.#parts.inbox.expect(turn, { from, group, ...place });
  }

  left(turn: Turn, group: GroupId): void {
    this.#parts.inbox.left(turn, group);
  }

  #opened(turn: Turn, frame: FrameOf<"push">, opened: OpenedEnvelope): void {
    const { inbox, contacts, self } = this.#parts;
    const account = accountOf(opened.from);
    turn.stage(...opened.writes);
    if (!inbox.remember(turn, frame.id, opened.from, opened.message)) return;
    if (contacts.of(account).decision === "blocked") return;
    if (opened.content.kind === "signal") return;
    if (account !== self) this.meet(turn, account, opened);
    if (opened.content.kind === "receipt") this.#receipt(turn, opened);
    else if (opened.content.body.length > MAX_CONTENT_BYTES) this.#quarantine(turn, frame, "body-too-large");
    else if (account === self) this.#ownMessage(turn, opened);
    else if (opened.conversation !== undefined || opened.content.kind === "note")
      this.#quarantine(turn, frame, "not-an-own-device");
    else this.#message(turn, account, opened);
  }

  /** What somebody says of themselves: their key for anonymous mail, their name. */
  meet(
    turn: Turn,
    account: AccountId,
    { accessKey, name }: Pick<OpenedEnvelope, "accessKey" | "name">,
  ): void {
    const { contacts } = this.#parts;
    if (accessKey !== undefined) this.learnKey(turn, account, accessKey);
    if (name !== undefined) contacts.claim(turn, account, name);
  }

  /** Only what this device sent to that account counts, and only once. */
  #receipt(turn: Turn, opened: OpenedEnvelope): void {
    const { early, groups, inbox, sent, resends, sending, self } = this.#parts;
    if (opened.content.kind !== "receipt") return;
    const { content: said } = opened;
    for (const id of [...said.delivered, ...said.read]) resends.delivered(turn, id, opened.from);
    const account = accountOf(opened.from);
    if (account !== self && !sending.isAlone(turn))
      for (const what of ["delivered", "read"] as const)
        for (const id of said[what])
          if (sent.of(id) === undefined && groups()?.sent(id) === undefined)
            early.keep(turn, id, opened.from, what);
    const reached = (ids: readonly MessageId[], state: "delivered" | "read") => [
      ...ids.filter((id) => sent.reach(turn, id, account, state)),
      ...(groups()?.confirmed(turn, account, ids, state) ?? []),
    ];
    const delivered = reached(opened.content.delivered, "delivered");
    const read = reached(opened.content.read, "read");
    if (delivered.length + read.length === 0) return;
    const content = { kind: "receipt", delivered, read } as const;
    for (const ready of inbox.arrive(turn, { ...opened, place: undefined, content }))
      inbox.keepForApplication(turn, ready);
  }

  /** Another device of this account has sent something: receipts for it are believed here too. */
  #ownMessage(turn: Turn, opened: OpenedEnvelope): void {
    const { contacts, early, inbox, self, sent } = this.#parts;
    const { conversation, message } = opened;
    if (conversation !== undefined) {
      if (conversation !== self && contacts.of(conversation).decision === "none")
        this.decide(turn, conversation, "accepted", OF_ITSELF);
      if (sent.of(message) === undefined) sent.add(turn, message, conversation);
    }
    for (const ready of inbox.arrive(turn, opened)) this.#give(turn, ready);
    const before = conversation === undefined ? undefined : early.take(turn, message, conversation);
    if (before === undefined) return;
    const { from, what } = before;
    const receipt = { kind: "receipt", delivered: [], read: [], [what]: [message] } as const;
    this.#receipt(turn, { ...opened, from, content: receipt });
  }

  #message(turn: Turn, account: AccountId, opened: OpenedEnvelope): void {
    const { inbox, contacts, requests } = this.#parts;
    if (contacts.of(account).decision === "none") {
      if (requests === "accept" && opened.content.kind !== "update")
        contacts.decide(turn, account, "accepted", OF_ITSELF);
      else if (!inbox.requests.hasRoom(account, bodyBytes(opened))) return;
    }
    for (const ready of inbox.arrive(turn, opened)) this.#give(turn, ready);
  }

  /** An entry whose turn has come. */
  #give(turn: Turn, ready: Ready): void {
    const { inbox, contacts, receipts, self } = this.#parts;
    const account = accountOf(ready.row.from);
    if (ready.row.kind.startsWith("group")) return this.#giveOfGroup(turn, ready);
    if (account === self) return this.#giveOwn(turn, ready);
    const { decision, name } = contacts.of(account);
    if (decision === "accepted") {
      this.#keep(turn, ready);
      if (ready.row.kind === "message") receipts.add(turn, account, ready.row.message, "delivered");
    } else if (decision === "blocked" || (ready.row.kind === "update" && !inbox.requests.has(account)))
      inbox.drop(turn, ready); // what changes nothing that is here is no request
    else {
      if (!inbox.requests.has(account)) turn.tellAfter({ tell: "request", account, name });
      inbox.keepAsRequest(turn, ready);
    }
  }

  /** Kept for the application, if it is something to it. */
  #keep(turn: Turn, ready: Ready): void {
    const { disappearing, inbox } = this.#parts;
    if (disappearing.comes(turn, entryOf(ready))) inbox.keepForApplication(turn, ready);
    else inbox.drop(turn, ready);
  }

  /** Whoever is in a group with this account has its word for what has come. */
  #giveOfGroup(turn: Turn, ready: Ready): void {
    const { receipts, self } = this.#parts;
    const account = accountOf(ready.row.from);
    this.#keep(turn, ready);
    if (ready.row.kind === "group" && account !== self)
      receipts.add(turn, account, ready.row.message, "delivered");
  }

  /** The device that told it is told that it has come. */
  #giveOwn(turn: Turn, ready: Ready): void {
    const { inbox, receipts, self } = this.#parts;
    const { kind, body, message } = ready.row;
    if (kind === "own" || kind === "note") receipts.add(turn, self, message, "delivered");
    const note = kind === "note" ? this.#parts.heard(turn, body) : undefined;
    if (note?.kind === "deleted") inbox.forget(turn, note.conversation, note.messages);
    if (note?.kind === "read") this.#parts.disappearing.read(turn, note.conversation, note.messages);
    if (kind !== "note" || note !== undefined) this.#keep(turn, ready);
    else inbox.drop(turn, ready);
  }

  /** `made`: not here and now. */
  decide(turn: Turn, account: AccountId, decision: Decision, made?: Made): void {
    const { contacts, inbox } = this.#parts;
    contacts.decide(turn, account, decision, made);
    if (decision === "blocked") {
      this.#parts.watching.unwatch(account);
      inbox.dropHeld(turn, account);
      this.#parts.recovery.forget(turn, account);
    }
    for (const ready of inbox.requests.take(account)) this.#give(turn, ready);
  }

  /** The person has read messages of an account. */
  read(turn: Turn, { from: account, messages, group }: Happening & { event: "read" }): void {
    const { contacts, disappearing, groups, self } = this.#parts;
    disappearing.read(turn, account, messages);
    const inGroup = group !== undefined && groups()?.of(group)?.standing === "joined";
    if (account === self || (!inGroup && contacts.of(account).decision !== "accepted")) return;
    for (const message of messages) this.#parts.receipts.add(turn, account, message, "read");
  }

  tick(turn: Turn): void {
    for (const ready of this.#parts.inbox.tick(turn)) this.#give(turn, ready);
  }

  nextAt(now: Time): number {
    return soonest(now, Number.POSITIVE_INFINITY, this.#parts.inbox.nextAt());
  }
}

function bodyBytes({ content }: OpenedEnvelope): number {
  return content.kind === "receipt" ? 0 : content.body.length;
}
