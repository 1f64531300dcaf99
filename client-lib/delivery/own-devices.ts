// The other devices of this account: what this one tells them, and what becomes of what they tell.
// Always true: what a person decides on one device is told to the others in the commit of the decision; a device that is
// new on the list is told all contacts and timers, by the device with the lowest number, which is the primary one.
import { decodeAll, type AccountId, type DeviceNumber, type Time } from "@lethe/protocol";
import type { Contacts } from "./contacts.ts";
import type { Cipher, StoredRows } from "./events.ts";
import type { Disappearing } from "./disappearing.ts";
import type { LibraryMail } from "./library-mail.ts";
import { MAX_NOTED_CONTACTS, OWN_LIST_MS } from "./limits.ts";
import { type ForApplication, isLater, type NotedContact, type OwnNote, ownNote } from "./own-notes.ts";
import type { Receiving } from "./receiving.ts";
import type { Sending } from "./sending.ts";
import type { Turn } from "./turn.ts";

export const OWN_DEVICE_TABLE = "own-device";

export interface Parts {
  readonly self: AccountId;
  readonly device: DeviceNumber;
  readonly cipher: Cipher;
  readonly contacts: Contacts;
  readonly disappearing: Disappearing;
  readonly mail: LibraryMail;
  readonly sending: Sending;
  readonly receiving: Receiving;
  /** Who is in a group with this account. */
  readonly fellows: () => Iterable<AccountId>;
}

export class OwnDevices {
  readonly #parts: Parts;
  /** Those that have been told all contacts, or were there before there was anything to tell. */
  readonly #told: Set<string>;
  /** Not asked for again before: our own list could not be had. */
  #askAt = 0;
  /** Of the list that everything kept is for. */
  #version = 0;

  constructor(parts: Parts, rows: StoredRows) {
    this.#parts = parts;
    this.#told = new Set((rows[OWN_DEVICE_TABLE] ?? []).map(({ key }) => key));
  }

  tick(turn: Turn): void {
    const { cipher, contacts, device: here, self, sending } = this.#parts;
    const own = cipher.peer(self, turn.now);
    if (own !== undefined && own.listVersion !== this.#version) {
      this.#version = own.listVersion;
      turn.stage(...cipher.forgetUnlisted(self));
      sending.changed(turn, self);
    }
    if (own === undefined && turn.now >= this.#askAt) {
      this.#askAt = turn.now + OWN_LIST_MS;
      sending.askDevices(turn, self);
    }
    this.#tell(turn, contacts.takeChanged());
    const fresh = own?.devices.filter(({ device }) => !this.#told.has(String(device))) ?? [];
    if (own === undefined || fresh.length === 0) return;
    for (const { device } of fresh) {
      this.#told.add(String(device));
      turn.stage({ table: OWN_DEVICE_TABLE, key: String(device), value: new Uint8Array() });
    }
    if (!own.devices.every(({ device }) => device > here)) return;
    this.#tell(turn, [...contacts.all().keys()]);
    const timers = this.#parts.disappearing.timers();
    for (let at = 0; at < timers.length; at += MAX_NOTED_CONTACTS)
      sending.tellOwn(turn, { kind: "timers", timers: timers.slice(at, at + MAX_NOTED_CONTACTS) });
  }

  #tell(turn: Turn, accounts: readonly AccountId[]): void {
    const { contacts, cipher, sending } = this.#parts;
    const noted: NotedContact[] = [];
    for (const account of accounts) {
      const { decision, ...row } = contacts.of(account);
      if (decision !== "none") noted.push({ account, decision, ...row, verified: cipher.verified(account) });
    }
    for (let at = 0; at < noted.length; at += MAX_NOTED_CONTACTS)
      sending.tellOwn(turn, { kind: "contacts", contacts: noted.slice(at, at + MAX_NOTED_CONTACTS) });
  }

  /** What cannot be read is of a later version. Gives what the application is to hear of. */
  heard(turn: Turn, bytes: Uint8Array): ForApplication | undefined {
    let note: OwnNote;
    try {
      note = decodeAll(ownNote, bytes);
    } catch {
      return undefined;
    }
    if (note.kind === "read" || note.kind === "deleted") return note;
    if (note.kind === "profile-key") this.#profileKey(turn, note);
    else if (note.kind === "timers")
      for (const { timer, ...where } of note.timers) this.#parts.disappearing.set(turn, where, timer);
    else for (const each of note.contacts) this.#contact(turn, each);
    return undefined;
  }

  #contact(turn: Turn, noted: NotedContact): void {
    const { cipher, contacts, receiving, self } = this.#parts;
    const { account, accessKey, name, nameFrom, verified } = noted;
    if (account === self) return;
    const known = contacts.of(account);
    if (isLater(noted, known) || known.decision === "none")
      receiving.decide(turn, account, noted.decision, noted);
    if (accessKey !== undefined && known.accessKey === undefined)
      receiving.learnKey(turn, account, accessKey);
    if (name !== undefined && nameFrom === "claimed") contacts.claim(turn, account, name);
    if (name !== undefined && nameFrom === "found" && known.nameFrom === "claimed")
      contacts.named(turn, account, name, "elsewhere");
    if (verified !== undefined) turn.stage(...cipher.verify(account, verified));
  }

  /** Somebody was blocked elsewhere. If we have blocked somebody later, our key is the one, and is told once more. */
  #profileKey(turn: Turn, note: OwnNote & { kind: "profile-key" }): void {
    const { cipher, mail } = this.#parts;
    const { is, accessKey, writes } = cipher.adoptProfileKey(note);
    turn.stage(...writes);
    if (is === "older") mail.announce(turn, accessKey, this.#parts.fellows());
  }

  nextAt(now: Time): number {
    return this.#parts.cipher.peer(this.#parts.self, now) === undefined
      ? this.#askAt
      : Number.POSITIVE_INFINITY;
  }
}
