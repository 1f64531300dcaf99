// Mail that no person has written, for one device: what libraries say to each other, and messages sent again.
// Always true: it goes to contacts, with their access key, and to one's own other devices alone; ratchet and ciphertext
// are one commit; the application is not told of its fate.
import {
  accountOf,
  type AccountId,
  addressOf,
  type DeviceAddress,
  deviceOf,
  type EnvelopeId,
  fromBytes,
} from "@lethe/protocol";
import type { Contacts } from "./contacts.ts";
import type { Chance, Cipher, Control, MessageId } from "./events.ts";
import type { Outbox } from "./outbox.ts";
import type { Resend } from "./resend-log.ts";
import type { OutboxRow } from "./rows.ts";
import type { Sending } from "./sending.ts";
import type { Turn } from "./turn.ts";

export interface Parts {
  readonly chance: Chance;
  readonly cipher: Cipher;
  readonly contacts: Contacts;
  readonly outbox: Outbox;
  readonly sending: Sending;
}

export class LibraryMail {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Whether mail can be sealed for one device now. `lookUp`: what is missing is asked the relay for. */
  ready(turn: Turn, to: DeviceAddress, lookUp: boolean): "yes" | "no" | "gone" {
    const account = accountOf(to);
    const { cipher, contacts, sending } = this.#parts;
    if (!contacts.reaches(account)) return "gone";
    const peer = cipher.peer(account, turn.now);
    if (peer === undefined && lookUp) sending.askDevices(turn, account);
    if (peer === undefined) return "no";
    const own = peer.devices.find(({ device }) => device === deviceOf(to));
    if (own === undefined) return "gone";
    if (!own.ready && lookUp) sending.askPrekeys(turn, to);
    return own.ready ? "yes" : "no";
  }

  /** Whether so many small envelopes may be sealed now. */
  hasRoom(envelopes: number): boolean {
    return this.#parts.outbox.hasRoom(envelopes, envelopes * 2_048);
  }

  /** Says something to the other side's library. False: it cannot be sealed now. */
  control(turn: Turn, to: DeviceAddress, control: Control): boolean {
    const { chance, cipher, sending } = this.#parts;
    const id: EnvelopeId = fromBytes(chance.bytes(16));
    const sealed = cipher.sealControl({ to, id, control, now: turn.now });
    if (sealed.ciphertext === undefined) return false;
    turn.stage(...sealed.writes);
    const message: MessageId = fromBytes(chance.bytes(16));
    const expiry = sending.expiryOf(turn.now);
    return this.#toOutbox(turn, { id, message, to, expiry, ciphertext: sealed.ciphertext });
  }

  /** Somebody was blocked and is to lose the right to send: those who remain get a new access key, then the relay its hash. */
  lockOut(turn: Turn, fellows: Iterable<AccountId>): void {
    const { cipher, sending } = this.#parts;
    const changed = cipher.newAccessKey(turn.now);
    if (changed === undefined) return;
    turn.stage(...changed.writes);
    sending.tellOwn(turn, { kind: "profile-key", ...changed.profileKey });
    this.announce(turn, changed.accessKey, fellows);
  }

  /** Contacts, and who is in a group with this account, are told the access key; then the relay its hash. */
  announce(turn: Turn, accessKey: Uint8Array, fellows: Iterable<AccountId>): void {
    const { contacts } = this.#parts;
    const notice = { kind: "access-key", accessKey } as const;
    const told = new Set(fellows);
    for (const [contact, { decision }] of contacts.all()) if (decision === "accepted") told.add(contact);
    for (const account of told) this.notify(turn, account, notice);
    turn.tellAfter({ tell: "access-key-changed" });
  }

  /** To every device that it can be sealed for now; the others hear of it with their next message. */
  notify(turn: Turn, account: AccountId, control: Control): void {
    for (const { device, ready } of this.#parts.cipher.peer(account, turn.now)?.devices ?? [])
      if (ready) this.control(turn, addressOf(account, device), control);
  }

  /** A message once more for one device: the same id and place, a fresh envelope. Undefined: it cannot be. */
  again(turn: Turn, { message, to, body, place, sentAt, expiry }: Resend): EnvelopeId | undefined {
    const { chance, cipher, sending } = this.#parts;
    if (expiry <= sending.relayNow(turn.now)) return undefined;
    const id: EnvelopeId = fromBytes(chance.bytes(16));
    const content = { kind: "message", body } as const;
    const sealed = cipher.seal({ to, id, message, place, content, sentAt, now: turn.now });
    if (sealed.ciphertext === undefined) return undefined;
    turn.stage(...sealed.writes);
    return this.#toOutbox(turn, { id, message, to, expiry, ciphertext: sealed.ciphertext }) ? id : undefined;
  }

  /** What the application is not told of. */
  #toOutbox(turn: Turn, item: Pick<OutboxRow, "id" | "message" | "to" | "expiry" | "ciphertext">): boolean {
    const { cipher, contacts, outbox } = this.#parts;
    const account = accountOf(item.to);
    const { accessKey } = contacts.of(account);
    const peer = cipher.peer(account, turn.now);
    if (!contacts.reaches(account) || peer === undefined) return false;
    if (!outbox.hasRoom(1, item.ciphertext.length)) return false;
    outbox.add(turn, { ...item, listVersion: peer.listVersion, accessKey, told: "no" });
    return true;
  }
}
