// What was sent and may be asked for again: body and place of each message, by the envelopes that carried it.
// Always true: an entry goes when its devices have all confirmed the message, or when it expires; only the device that
// an envelope was for can ask for it, and three times at most; a device that is named has a ciphertext of the message.
import {
  type AccountId,
  accountId,
  accountOf,
  addressOf,
  bytes,
  decodeAll,
  type DeviceAddress,
  type DeviceNumber,
  deviceNumber,
  deviceOf,
  encode,
  type EnvelopeId,
  envelopeId,
  list,
  MAX_DEVICES,
  type Of,
  oneOf,
  optional,
  struct,
  type Time,
  time,
  u64,
  u8,
} from "@lethe/protocol";
import type { MessageId, Place, StoredRows } from "./events.ts";
import { MAX_BODY_BYTES, MAX_RESENDABLE, MAX_RESENDABLE_BYTES, MAX_RESENDS } from "./limits.ts";
import { streamId } from "./rows.ts";
import type { Turn } from "./turn.ts";

export const RESEND_TABLE = "resendable";

const resendRow = struct({
  format: oneOf({ one: 1 }),
  to: accountId,
  at: time,
  sentAt: time,
  expiry: time,
  devices: list(
    struct({
      device: deviceNumber,
      id: envelopeId,
      place: optional(struct({ stream: streamId, sequence: u64 })),
      resends: u8,
      /** `yes`: asked for, and not sent again yet. `over`: the device has the message, or is gone. */
      asked: oneOf({ no: 0, yes: 1, over: 2 }),
    }),
    MAX_DEVICES,
  ),
  body: bytes(MAX_BODY_BYTES + 1_024),
});
type Row = Of<typeof resendRow>;
type Carried = Row["devices"][number];
/** A message's id; with one's own account behind it for what one's own other devices are told of the message. */
type Key = string;

/** A message for one device, to be sealed again under a new envelope id. */
export interface Resend {
  readonly message: MessageId;
  readonly to: DeviceAddress;
  readonly body: Uint8Array;
  readonly place: Place | undefined;
  readonly sentAt: Time;
  readonly expiry: Time;
}

/** A message that one of the account's devices has no ciphertext of. */
export type Lacking = Omit<Resend, "place">;

export interface Sent {
  readonly message: MessageId;
  readonly body: Uint8Array;
  readonly sentAt: Time;
  readonly expiry: Time;
  readonly carried: readonly { to: DeviceAddress; id: EnvelopeId; place: Place | undefined }[];
}

export class ResendLog {
  readonly #self: AccountId;
  readonly #rows = new Map<Key, Row>();
  readonly #byEnvelope = new Map<EnvelopeId, Key>();
  /** Messages with a device that asked. */
  readonly #asked = new Set<Key>();
  #bytes = 0;

  constructor(self: AccountId, rows: StoredRows) {
    this.#self = self;
    const found = (rows[RESEND_TABLE] ?? []).map(
      ({ key, value }) => [key, decodeAll(resendRow, value)] as const,
    );
    for (const [message, row] of found.sort((a, b) => a[1].at - b[1].at)) this.#index(message, row);
  }

  #keyOf(message: MessageId, to: AccountId): Key {
    return to === this.#self ? message + to : message;
  }

  #index(message: Key, row: Row): void {
    this.#rows.set(message, row);
    this.#bytes += row.body.length;
    for (const { id, asked } of row.devices) {
      this.#byEnvelope.set(id, message);
      if (asked === "yes") this.#asked.add(message);
    }
  }

  /** Keeps a message that was just sealed. */
  keep(turn: Turn, { message, body, sentAt, expiry, carried }: Sent): void {
    const first = carried[0];
    if (first === undefined) return;
    const to = accountOf(first.to);
    const key = this.#keyOf(message, to);
    if (this.#rows.has(key)) return;
    const devices = carried.map(carriedBy);
    const row: Row = { format: "one", to, at: turn.now, sentAt, expiry, devices, body };
    this.#index(key, row);
    this.#put(turn, key, row);
    for (const oldest of this.#rows.keys()) {
      if (this.#rows.size <= MAX_RESENDABLE && this.#bytes <= MAX_RESENDABLE_BYTES) return;
      this.#forget(turn, oldest);
    }
  }

  #put(turn: Turn, key: Key, row: Row): void {
    turn.stage({ table: RESEND_TABLE, key, value: encode(resendRow, row) });
  }

  #forget(turn: Turn, message: Key): void {
    const row = this.#rows.get(message);
    if (row === undefined) return;
    this.#rows.delete(message);
    this.#asked.delete(message);
    this.#bytes -= row.body.length;
    for (const { id } of row.devices) this.#byEnvelope.delete(id);
    turn.stage({ table: RESEND_TABLE, key: message, value: undefined });
  }

  /** Whom a message was sealed for; nobody once all have confirmed it. */
  carriers(message: MessageId): DeviceAddress[] {
    const rows = [this.#rows.get(message), this.#rows.get(message + this.#self)];
    return rows.flatMap((row) => row?.devices.map(({ device }) => addressOf(row.to, device)) ?? []);
  }

  /** It was sealed for another device. */
  carries(turn: Turn, message: MessageId, carried: Sent["carried"][number]): void {
    const key = this.#keyOf(message, accountOf(carried.to));
    const row = this.#rows.get(key);
    if (row === undefined) return;
    this.#byEnvelope.set(carried.id, key);
    this.#change(turn, key, { ...row, devices: [...row.devices, carriedBy(carried)] });
  }

  /** What it is to be sealed for of an account's devices, that it was not. */
  lacking(message: MessageId, to: AccountId, devices: readonly DeviceNumber[]): Lacking[] {
    const row = this.#rows.get(this.#keyOf(message, to));
    if (row === undefined || row.to !== to) return [];
    const { body, sentAt, expiry } = row;
    return devices
      .filter((device) => !row.devices.some((has) => has.device === device))
      .map((device) => ({ message, to: addressOf(to, device), body, sentAt, expiry }));
  }

  /** An account's devices are these now: the others ask for nothing any more. */
  relisted(turn: Turn, account: AccountId, devices: readonly DeviceNumber[]): void {
    for (const [key, row] of this.#rows)
      if (row.to === account)
        for (const { device, asked } of row.devices)
          if (asked !== "over" && !devices.includes(device)) this.#over(turn, key, device);
  }

  /** A device has the message: it will not ask for it. */
  delivered(turn: Turn, message: MessageId, from: DeviceAddress): void {
    const key = this.#keyOf(message, accountOf(from));
    if (this.#rows.get(key)?.to === accountOf(from)) this.#over(turn, key, deviceOf(from));
  }

  #over(turn: Turn, key: Key, number: DeviceNumber): void {
    const row = this.#rows.get(key);
    const has = row?.devices.find(({ device, asked }) => device === number && asked !== "over");
    if (row === undefined || has === undefined) return;
    this.#byEnvelope.delete(has.id);
    const next = changed(row, has, { asked: "over" });
    if (next.devices.every(({ asked }) => asked === "over")) this.#forget(turn, key);
    else this.#change(turn, key, next);
  }

  #change(turn: Turn, message: Key, row: Row): void {
    this.#rows.set(message, row);
    if (row.devices.some(({ asked }) => asked === "yes")) this.#asked.add(message);
    else this.#asked.delete(message);
    this.#put(turn, message, row);
  }

  /** A device could not open these. Gives how many of them are sent again; the others are not its, or no more. */
  ask(turn: Turn, from: DeviceAddress, envelopes: readonly EnvelopeId[]): number {
    let granted = 0;
    for (const id of new Set(envelopes)) {
      const message = this.#byEnvelope.get(id);
      const row = message === undefined ? undefined : this.#rows.get(message);
      const own = row?.devices.find((each) => each.id === id);
      if (message === undefined || row === undefined || own === undefined) continue;
      if (addressOf(row.to, own.device) !== from || own.asked !== "no" || own.resends >= MAX_RESENDS)
        continue;
      granted += 1;
      this.#change(turn, message, changed(row, own, { asked: "yes" }));
    }
    return granted;
  }

  /** What is to be sent again, oldest first. */
  *asked(): Generator<Resend> {
    for (const key of [...this.#asked]) {
      const row = this.#rows.get(key);
      const message = key.slice(0, 16) as MessageId;
      for (const own of row?.devices ?? []) {
        if (row === undefined || own.asked !== "yes") continue;
        const { to, body, sentAt, expiry } = row;
        yield { message, to: addressOf(to, own.device), body, place: own.place, sentAt, expiry };
      }
    }
  }

  get isAsked(): boolean {
    return this.#asked.size > 0;
  }

  /** It was sealed again, under another envelope id: that one may be asked for next. */
  resent(turn: Turn, { message, to }: Resend, id: EnvelopeId): void {
    const key = this.#keyOf(message, accountOf(to));
    const row = this.#rows.get(key);
    const own = row?.devices.find(({ device }) => device === deviceOf(to));
    if (row === undefined || own === undefined) return;
    this.#byEnvelope.delete(own.id);
    this.#byEnvelope.set(id, key);
    this.#change(turn, key, changed(row, own, { id, asked: "no", resends: own.resends + 1 }));
  }

  /** What cannot be sent again after all: its device is gone. */
  drop(turn: Turn, { message, to }: Resend): void {
    this.delivered(turn, message, to);
  }

  sweep(turn: Turn, relayNow: Time): void {
    for (const [message, { expiry }] of this.#rows) if (expiry <= relayNow) this.#forget(turn, message);
  }
}

function carriedBy({ to, id, place }: Sent["carried"][number]): Carried {
  return { device: deviceOf(to), id, place, resends: 0, asked: "no" };
}

function changed(row: Row, own: Carried, change: Partial<Carried>): Row {
  return { ...row, devices: row.devices.map((each) => (each === own ? { ...own, ...change } : each)) };
}
