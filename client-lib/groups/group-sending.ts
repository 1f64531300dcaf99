// From a message to a group to one ciphertext for all: who is in it, whether this device's keys may be used once more, who
// has to be told them first. Always true: keys and ciphertext are one commit; nothing is encrypted while a rotation is due,
// nor for a device that was not told; messages to a group are encrypted in the order in which they were given.
import {
  type AccountId,
  accountOf,
  addressOf,
  type DeviceAddress,
  deviceOf,
  type FrameOf,
  fromBytes,
  type GroupEnvelopeId,
  MAX_ENVELOPE_BYTES,
  type Time,
} from "@lethe/protocol";
import {
  envelopeIdFor,
  type GroupId,
  type GroupRoster,
  type GroupView,
  type OwnSenderKeys,
  senderKeys,
} from "@lethe/crypto";
import { writeContent } from "../content/content.ts";
import { soonest } from "../delivery/connection-ends.ts";
import type { Disappearing } from "../delivery/disappearing.ts";
import type {
  Chance,
  Content,
  Happening,
  MessageId,
  Place,
  RefusalCode,
  StoredRows,
} from "../delivery/events.ts";
import type { LibraryMail } from "../delivery/library-mail.ts";
import { MAX_BODY_BYTES } from "../delivery/limits.ts";
import { orderKey, orderOf, put, remove, readTable } from "../delivery/rows.ts";
import type { Sending } from "../delivery/sending.ts";
import type { Turn } from "../delivery/turn.ts";
import type { GroupOutbox } from "./group-outbox.ts";
import type { GroupSent } from "./group-sent.ts";
import type { GroupStore, KnownGroup, OwnKeys } from "./group-store.ts";
import { MAX_GROUP_UNSEALED, MAX_TELLINGS, MAX_TYPING_DEVICES, MEMBER_WAIT_MS } from "./limits.ts";
import type { GroupKeys, Reach } from "./reach.ts";
import { type OutRow, type UnsealedRow, unsealedRow } from "./rows.ts";
import { encodeTelling } from "./told.ts";

export interface GroupSendingParts {
  readonly self: AccountId;
  readonly chance: Chance;
  readonly keys: GroupKeys;
  readonly store: GroupStore;
  readonly reach: Reach;
  readonly outbox: GroupOutbox;
  readonly sent: GroupSent;
  readonly mail: LibraryMail;
  readonly sending: Sending;
  readonly disappearing: Disappearing;
  readonly introduce: () => { readonly accessKey: Uint8Array; readonly name: string };
  readonly keyOf: (account: AccountId) => Uint8Array | undefined;
}

interface Unsealed extends UnsealedRow {
  readonly order: number;
  /** When it was looked at first: from then on members are waited for. */
  since: Time | undefined;
}

const NOTHING = { accessKey: new Uint8Array(), name: "" };

/** Keys that may be used for the roster given: everybody in it was told them. */
interface Prepared {
  readonly own: OwnKeys & { readonly keys: OwnSenderKeys };
  readonly roster: GroupRoster;
}

export class GroupSending {
  readonly #parts: GroupSendingParts;
  readonly #unsealed = new Map<GroupId, Unsealed[]>();
  /** Groups that something has happened to since they were looked at. */
  readonly #stirred = new Set<GroupId>();
  #count = 0;
  #nextOrder = 1;
  /** When the relay last answered a question, or was connected to; undefined while it is not. */
  #heardAt: number | undefined;

  constructor(parts: GroupSendingParts, rows: StoredRows) {
    this.#parts = parts;
    for (const [key, row] of readTable(rows, "group-unsealed", unsealedRow))
      this.#keep({ ...row, order: orderOf(key), since: undefined });
  }

  get isStirred(): boolean {
    return this.#stirred.size > 0;
  }

  stir(group: GroupId): void {
    if (this.#unsealed.has(group)) this.#stirred.add(group);
  }

  stirAll(): void {
    for (const group of this.#unsealed.keys()) this.#stirred.add(group);
  }

  /** The relay is there, and answers: nobody's keys are given up before it has been silent for a while. */
  heard(now: Time): void {
    if (this.#heardAt !== undefined) this.#heardAt = now;
  }

  connected(now: Time): void {
    this.#heardAt ??= now;
  }

  lost(): void {
    this.#heardAt = undefined;
  }

  /** Whether a message is still to be encrypted. */
  waits(message: MessageId): boolean {
    for (const waiting of this.#unsealed.values())
      if (waiting.some((item) => item.message === message)) return true;
    return false;
  }

  #patientUntil({ since }: Unsealed, now: Time): number {
    if (this.#heardAt === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(since ?? now, this.#heardAt) + MEMBER_WAIT_MS;
  }

  send(turn: Turn, { message, group, body, ttl }: Happening & { event: "group-send" }): void {
    const { disappearing, outbox, sent, store, sending } = this.#parts;
    if (sent.of(message)?.group === group) return turn.tellAfter({ tell: "queued", message });
    const refuse = (code: RefusalCode) => turn.tell({ tell: "group-refused", message, group, code });
    if (store.of(group)?.standing !== "joined") return refuse("not-a-member");
    if (body.length > MAX_BODY_BYTES) return refuse("body-too-large");
    if (this.#count >= MAX_GROUP_UNSEALED || !outbox.hasRoom) return refuse("outbox-full");
    sent.add(turn, message, group);
    const expiry = sending.expiryOf(turn.now, ttl);
    this.#add(turn, {
      format: "one",
      message,
      group,
      body: disappearing.goes(turn, { group }, message, body),
      sentAt: turn.now,
      expiry,
      place: undefined,
      only: [],
    });
    turn.tellAfter({ tell: "queued", message });
  }

  /** Devices that had been missing: what they have missed is encrypted once more, for them alone. */
  missed(
    turn: Turn,
    { message, group, body, sentAt, expiry, stream, sequence }: OutRow,
    only: readonly DeviceAddress[],
  ): void {
    if (this.#count >= MAX_GROUP_UNSEALED) return;
    const place = { stream, sequence };
    this.#add(turn, { format: "one", message, group, body, sentAt, expiry, place, only: [...only] });
  }

  #add(turn: Turn, row: UnsealedRow): void {
    const item: Unsealed = { ...row, order: this.#nextOrder, since: undefined };
    this.#keep(item);
    turn.stage(put("group-unsealed", orderKey(item.order), unsealedRow, row));
  }

  #keep(item: Unsealed): void {
    const waiting = this.#unsealed.get(item.group) ?? [];
    waiting.push(item);
    this.#unsealed.set(item.group, waiting);
    this.#stirred.add(item.group);
    this.#count += 1;
    this.#nextOrder = Math.max(this.#nextOrder, item.order + 1);
  }

  #done(turn: Turn, item: Unsealed): void {
    const waiting = this.#unsealed.get(item.group) ?? [];
    const left = waiting.filter((each) => each !== item);
    this.#count -= waiting.length - left.length;
    if (left.length === 0) this.#unsealed.delete(item.group);
    else this.#unsealed.set(item.group, left);
    turn.stage(remove("group-unsealed", orderKey(item.order)));
  }

  #refuse(turn: Turn, item: Unsealed, code: RefusalCode): void {
    this.#done(turn, item);
    if (item.only.length > 0) return;
    this.#parts.sent.settle(turn, item.message, code === "expired" ? "expired" : "refused");
    turn.tellAfter({ tell: "group-refused", message: item.message, group: item.group, code });
  }

  /** Goes on with every group that something has happened to. */
  pump(turn: Turn): void {
    const stirred = [...this.#stirred];
    this.#stirred.clear();
    for (const group of stirred) this.#goOn(turn, group);
  }

  #goOn(turn: Turn, group: GroupId): void {
    const waiting = this.#unsealed.get(group);
    const known = this.#parts.store.of(group);
    const first = waiting?.[0];
    if (waiting === undefined || first === undefined) return;
    if (known?.standing !== "joined") {
      for (const item of waiting) this.#refuse(turn, item, "not-a-member");
      return;
    }
    first.since ??= turn.now;
    const patient = turn.now < this.#patientUntil(first, turn.now);
    const prepared = this.#prepare(turn, known, patient);
    if (prepared === undefined) return;
    let { own } = prepared;
    for (const item of waiting) {
      const next = this.#encrypt(turn, known, { own, roster: prepared.roster }, item);
      if (next === "rotate") {
        this.#stirred.add(group);
        break;
      }
      if (typeof next === "string") this.#refuse(turn, item, next);
      else {
        own = next;
        this.#done(turn, item);
      }
    }
    this.#parts.store.putOwn(turn, group, own);
  }

  /** This device's keys, told to all who can be reached; undefined while somebody is being asked for, or more is to be told. */
  #prepare(turn: Turn, { id, view }: KnownGroup, patient: boolean): Prepared | undefined {
    const { reach, keys: known, store } = this.#parts;
    const identity = known.identity();
    let waits = false;
    for (const { account } of view.state.members) {
      if (reach.account(turn, account) !== "waits") continue;
      waits = true;
      if (!patient) reach.giveUp(account, turn.now);
    }
    if (waits && patient) return undefined;
    const roster = reach.roster(view.state, turn.now);
    // Our own list is too old to send by: its renewal is waited for, and no chain made time and again meanwhile.
    const { account: self, device: here } = identity.certificate;
    if (!roster.devices.has(addressOf(self, here))) return undefined;
    // A state may come before its seal key: any member can pass it on without.
    if (view.sealKey === undefined) return undefined;
    const own = store.own(id);
    const asked = { identity, view, roster, now: turn.now };
    const due = senderKeys.rotationDue({ ...asked, own: own.keys });
    let keys =
      due === undefined && own.keys !== undefined
        ? own.keys
        : senderKeys.rotate({ ...asked, random: known.random });
    const untold = senderKeys.untold(keys, roster);
    const ready: DeviceAddress[] = [];
    for (const device of untold) {
      const state = reach.device(turn, device);
      if (state === "ready") ready.push(device);
      else if (state === "waits") waits = true;
    }
    if (waits && patient) return undefined;
    const some = ready.slice(0, MAX_TELLINGS);
    if (some.length > 0) {
      const told = this.#tell(turn, view, roster, { ...own, keys }, some);
      if (told === undefined) return undefined;
      keys = told;
      store.putOwn(turn, id, { ...own, keys });
      if (some.length < ready.length) {
        this.#stirred.add(id);
        return undefined;
      }
    }
    const without = new Set(senderKeys.untold(keys, roster));
    const devices = new Set([...roster.devices].filter((device) => !without.has(device)));
    return { own: { ...own, keys }, roster: { ...roster, devices } };
  }

  /** Tells these devices the keys; undefined where not all of it can be taken now. */
  #tell(
    turn: Turn,
    view: GroupView,
    roster: GroupRoster,
    { keys: own, stream, next }: Prepared["own"],
    devices: readonly DeviceAddress[],
  ): OwnSenderKeys | undefined {
    const { keys, mail, introduce } = this.#parts;
    if (!mail.hasRoom(devices.length)) return undefined;
    const telling = senderKeys.tell({ identity: keys.identity(), view, roster, own, devices, now: turn.now });
    if (telling.code !== "ok") return undefined;
    const { accessKey, name } = introduce();
    const told = encodeTelling({ kind: "chain", accessKey, name, stream, next, told: telling.told });
    for (const device of devices) mail.control(turn, device, { kind: "group", told });
    return telling.own;
  }

  #encrypt(
    turn: Turn,
    { view }: KnownGroup,
    { own, roster }: Prepared,
    item: Unsealed,
  ): (OwnKeys & { keys: OwnSenderKeys }) | "rotate" | RefusalCode {
    const { outbox, sent } = this.#parts;
    const place: Place = item.place ?? { stream: own.stream, sequence: own.next };
    const { message, sentAt, body } = item;
    const said = { message, place, sentAt, content: { kind: "message", body } as const };
    const sealed = this.#seal(turn, view, { own, roster }, said, "lasting");
    if (typeof sealed === "string") return sealed;
    const recipients = this.#recipients(roster, item.only);
    const { group, expiry } = item;
    if (recipients.length > 0) {
      const { ciphertext, groupEnvelope } = sealed;
      if (ciphertext.length > MAX_ENVELOPE_BYTES) return "body-too-large";
      outbox.add(turn, {
        format: "one",
        message,
        group,
        sentAt,
        expiry,
        body,
        ...place,
        groupEnvelope,
        ciphertext,
        recipients,
      });
    }
    const { self } = this.#parts;
    if (item.only.length === 0)
      sent.goesTo(turn, message, recipients.filter(({ account }) => account !== self).length);
    return { stream: own.stream, next: item.place === undefined ? own.next + 1 : own.next, keys: sealed.own };
  }

  #seal(
    turn: Turn,
    view: GroupView,
    { own, roster }: Prepared,
    said: { message: MessageId; place: Place | undefined; sentAt: Time; content: Content },
    content: "lasting" | "passing",
  ): { own: OwnSenderKeys; ciphertext: Uint8Array; groupEnvelope: GroupEnvelopeId } | "rotate" | RefusalCode {
    const { keys, chance } = this.#parts;
    const groupEnvelope: GroupEnvelopeId = fromBytes(chance.bytes(16));
    const plaintext = writeContent(said, NOTHING);
    const encrypting = {
      identity: keys.identity(),
      view,
      roster,
      own: own.keys,
      content,
      plaintext,
      groupEnvelope,
      random: keys.random,
      now: turn.now,
    };
    const sealed = senderKeys.encrypt(encrypting);
    if (sealed.code === "ok") return { own: sealed.own, ciphertext: sealed.ciphertext, groupEnvelope };
    if (sealed.code === "rotation-due" || sealed.code === "not-told") return "rotate";
    return sealed.code === "too-long" ? "body-too-large" : sealed.code;
  }

  /** For each account its devices that are sent to. This very device is among them: its absence would name the sender. */
  #recipients({ devices }: GroupRoster, only: readonly DeviceAddress[]): OutRow["recipients"] {
    const { keys, keyOf } = this.#parts;
    const byAccount = new Map<AccountId, OutRow["recipients"][number]>();
    for (const device of devices) {
      if (only.length > 0 && !only.includes(device)) continue;
      const account = accountOf(device);
      const known = byAccount.get(account);
      if (known !== undefined) {
        known.devices.push(deviceOf(device));
        continue;
      }
      const accessKey = keyOf(account);
      const list = keys.account(account)?.list;
      if (accessKey === undefined || list === undefined) continue;
      byAccount.set(account, { account, accessKey, listVersion: list.version, devices: [deviceOf(device)] });
    }
    return [...byAccount.values()];
  }

  /** Somebody is writing: now, or not at all, and in small groups only. */
  signal(turn: Turn, group: GroupId, body: Uint8Array): void {
    const known = this.#parts.store.of(group);
    if (known?.standing !== "joined") return;
    const roster = this.#parts.reach.roster(known.view.state, turn.now);
    const own = this.#parts.store.own(group);
    if (roster.devices.size > MAX_TYPING_DEVICES || own.keys === undefined) return;
    const said = {
      message: fromBytes<MessageId>(this.#parts.chance.bytes(16)),
      place: undefined,
      sentAt: turn.now,
      content: { kind: "signal", body } as const,
    };
    const sealed = this.#seal(turn, known.view, { own: { ...own, keys: own.keys }, roster }, said, "passing");
    if (typeof sealed === "string") return;
    this.#parts.store.putOwn(turn, group, { ...own, keys: sealed.own });
    for (const { account, accessKey, devices } of this.#recipients(roster, [])) {
      if (account === this.#parts.self) continue;
      const envelopes = devices.map((device) => {
        const id = envelopeIdFor(sealed.groupEnvelope, addressOf(account, device));
        return { device, id, ciphertext: sealed.ciphertext };
      });
      const frame: FrameOf<"signal"> = { frame: "signal", recipient: account, accessKey, envelopes };
      turn.afterwards({ next: "signal", socket: "anonymous", frame });
    }
  }

  /** What waited for members until its own time was over. */
  tick(turn: Turn): void {
    const relayNow = this.#parts.sending.relayNow(turn.now);
    for (const [group, waiting] of this.#unsealed) {
      for (const item of waiting) if (item.expiry <= relayNow) this.#refuse(turn, item, "expired");
      const first = this.#unsealed.get(group)?.[0];
      if (first?.since !== undefined && turn.now >= this.#patientUntil(first, turn.now))
        this.#stirred.add(group);
    }
  }

  nextAt(now: Time): number {
    let at = Number.POSITIVE_INFINITY;
    for (const [first] of this.#unsealed.values()) {
      if (first === undefined) continue;
      at = soonest(now, at, this.#patientUntil(first, now));
      at = soonest(now, at, first.expiry - this.#parts.sending.offset);
    }
    return at;
  }
}
