// Sealing a message for the devices of an account, into the outbox, each under its number in the device's stream.
// Always true: ratchet, number and ciphertext are one commit; a number is used up only when something was sealed under
// it; what a device has a ciphertext of is never sealed for it anew, except where it asks for it.
import {
  type AccountId,
  accountOf,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  deviceOf,
  type EnvelopeId,
  fromBytes,
  MAX_ENVELOPE_BYTES,
  type Time,
} from "@lethe/protocol";
import type { Contacts } from "./contacts.ts";
import type {
  Chance,
  Cipher,
  Content,
  MessageId,
  Place,
  RefusalCode,
  StoredRows,
  StreamId,
} from "./events.ts";
import type { Outbox } from "./outbox.ts";
import type { Lacking, ResendLog, Sent } from "./resend-log.ts";
import { type OutboxRow, put, readTable, remove, streamOutRow } from "./rows.ts";
import type { SentLog } from "./sent-log.ts";
import type { Turn } from "./turn.ts";

export interface Parts {
  readonly self: AccountId;
  readonly chance: Chance;
  readonly cipher: Cipher;
  readonly contacts: Contacts;
  readonly outbox: Outbox;
  readonly resends: ResendLog;
  readonly sent: SentLog;
}

export interface Said {
  readonly to: AccountId;
  readonly message: MessageId;
  readonly content: Content;
  readonly sentAt: Time;
  readonly expiry: Time;
}

type Carried = Sent["carried"][number];
type SealedItem = { readonly carried: Carried; readonly item: OutboxRow };

export class Sealing {
  readonly #parts: Parts;
  readonly #isKeyless: (now: Time, to: DeviceAddress) => boolean;
  readonly #streams = new Map<DeviceAddress, { stream: StreamId; next: number }>();
  /** What the relay takes, by its last word. */
  maxBytes = MAX_ENVELOPE_BYTES;

  /** @param isKeyless whether a device is passed over: its keys are not to be had. */
  constructor(parts: Parts, rows: StoredRows, isKeyless: (now: Time, to: DeviceAddress) => boolean) {
    this.#parts = parts;
    this.#isKeyless = isKeyless;
    for (const [key, { stream, next }] of readTable(rows, "stream-out", streamOutRow))
      this.#streams.set(key as DeviceAddress, { stream, next });
  }

  /** For all devices of the account that have keys, or for none. One's own devices are told, and receipts are given, as far as it can be. */
  seal(turn: Turn, said: Said): RefusalCode | "ok" {
    const { cipher, outbox, resends, self } = this.#parts;
    const { to: account, message, content, sentAt, expiry } = said;
    const peer = cipher.peer(account, turn.now);
    if (peer === undefined) return "not-sealable";
    const mayMissAny = account === self || content.kind !== "message";
    const mayMiss = (device: DeviceNumber): boolean =>
      mayMissAny || this.#isKeyless(turn.now, addressOf(account, device));
    const items: SealedItem[] = [];
    for (const { device } of peer.devices) {
      const sealed = this.#sealFor(turn, said, device, peer.listVersion);
      if (typeof sealed !== "string") items.push(sealed);
      else if (sealed === "body-too-large" || !mayMiss(device)) return sealed;
    }
    for (const { carried, item } of items) {
      this.#useUp(turn, carried);
      outbox.add(turn, item);
    }
    if (items.length === 0) return "not-sealable";
    if (content.kind !== "message") return "ok";
    resends.keep(turn, { message, body: content.body, sentAt, expiry, carried: items.map((i) => i.carried) });
    return "ok";
  }

  /** A message that others of the account's devices have, for one that was added meanwhile. */
  sealFurther(turn: Turn, { to, body, ...rest }: Lacking): void {
    const { cipher, outbox, resends } = this.#parts;
    const account = accountOf(to);
    const version = cipher.peer(account, turn.now)?.listVersion ?? 0;
    const said = { ...rest, to: account, content: { kind: "message", body } as const };
    const sealed = this.#sealFor(turn, said, deviceOf(to), version);
    if (typeof sealed === "string") return;
    this.#useUp(turn, sealed.carried);
    outbox.add(turn, sealed.item);
    resends.carries(turn, rest.message, sealed.carried);
  }

  #sealFor(
    turn: Turn,
    { to: account, message, content, sentAt, expiry }: Said,
    device: DeviceNumber,
    listVersion: number,
  ): SealedItem | RefusalCode {
    const { chance, cipher, contacts, self, sent } = this.#parts;
    const to = addressOf(account, device);
    const id: EnvelopeId = fromBytes(chance.bytes(16));
    const place = content.kind === "message" ? this.#place(to) : undefined;
    const sealed = cipher.seal({ to, id, message, place, content, sentAt, now: turn.now });
    if (sealed.ciphertext === undefined) return sealed.code;
    turn.stage(...sealed.writes);
    const { ciphertext } = sealed;
    if (ciphertext.length > this.maxBytes) return "body-too-large";
    const { accessKey } = contacts.of(account);
    // Of what one's own devices are told the application knows nothing, except what it wrote to them.
    const isWritten = account !== self || sent.of(message)?.to === self;
    const told = content.kind === "message" && isWritten ? "yes" : "no";
    const item = { id, message, to, listVersion, expiry, accessKey, told, ciphertext } as const;
    return { carried: { to, id, place }, item };
  }

  #place(to: DeviceAddress): Place {
    const known = this.#streams.get(to);
    if (known !== undefined) return { stream: known.stream, sequence: known.next };
    return { stream: fromBytes(this.#parts.chance.bytes(8)), sequence: 1 };
  }

  #useUp(turn: Turn, { to, place }: Carried): void {
    if (place === undefined) return;
    const row = { stream: place.stream, next: place.sequence + 1 };
    this.#streams.set(to, row);
    turn.stage(put("stream-out", to, streamOutRow, row));
  }

  /** Devices are gone, and their numbers never come again; or, of everybody: the store went back, and new streams begin. */
  endStreams(turn: Turn, isOver: (to: DeviceAddress) => boolean): void {
    for (const to of this.#streams.keys())
      if (isOver(to)) {
        this.#streams.delete(to);
        turn.stage(remove("stream-out", to));
      }
  }
}
