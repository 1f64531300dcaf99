// The rows of the core's tables: their layouts and keys. Always true: a row that is written here is read back equal,
// and a row that does not decode is refused, never guessed.
import {
  accountId,
  binary,
  bytes,
  type Codec,
  type DeviceAddress,
  decodeAll,
  deviceAddress,
  encode,
  envelopeId,
  fixed,
  MAX_ENVELOPE_BYTES,
  type Of,
  oneOf,
  optional,
  struct,
  type Time,
  text,
  time,
  u8,
  u16,
  u32,
  u64,
} from "@lethe/protocol";
import type { GroupId } from "@lethe/crypto";
import type { MessageId, Row, StoredRows, StreamId, Write } from "./events.ts";

export const messageId: Codec<MessageId> = binary(16, "message id");
export const streamId: Codec<StreamId> = binary(8, "stream id");

const body = bytes(MAX_ENVELOPE_BYTES);
const place = struct({ stream: streamId, sequence: u64 });

/** What has a row, by table. The first byte of each row is its layout's version. */
function versioned<T>(codec: Codec<T>): Codec<T> {
  return {
    read(r) {
      if (r.u8() !== 1) throw new Error("a row of a later version of this library");
      return codec.read(r);
    },
    write(w, v) {
      w.u8(1);
      codec.write(w, v);
    },
  };
}

export const epochRow = versioned(struct({ epoch: u64 }));
export const outboxRow = versioned(
  struct({
    id: envelopeId,
    message: messageId,
    to: deviceAddress,
    listVersion: u32,
    expiry: time,
    /** Absent: an identified request. Once sealed for the anonymous connection it never becomes a request. */
    accessKey: optional(fixed(16)),
    told: oneOf({ no: 0, yes: 1 }),
    ciphertext: bytes(MAX_ENVELOPE_BYTES),
  }),
);
export const unsealedRow = versioned(
  struct({ message: messageId, to: accountId, sentAt: time, expiry: time, body }),
);
export const inboxRow = versioned(
  struct({
    from: deviceAddress,
    message: messageId,
    sentAt: time,
    arrivedAt: time,
    place: optional(place),
    state: oneOf({ held: 0, request: 1, new: 2 }),
    late: oneOf({ no: 0, yes: 1 }),
    /** A gap stands where the missing messages would have stood; it has no place of its own. `group-silent`: what is said to a
     *  group and is never confirmed. */
    kind: oneOf({
      message: 0,
      receipt: 1,
      unknown: 2,
      gap: 3,
      own: 4,
      group: 5,
      "group-gap": 6,
      note: 7,
      update: 8,
      "group-silent": 9,
      disappear: 10,
    }),
    body,
  }),
);
export const seenRow = versioned(struct({ at: time }));
export const streamOutRow = versioned(struct({ stream: streamId, next: u64 }));
export const streamInRow = versioned(struct({ next: u64, at: time }));
export const receiptRow = versioned(struct({ what: oneOf({ delivered: 1, read: 2 }) }));
const contactOf1 = struct({
  decision: oneOf({ none: 0, accepted: 1, blocked: 2 }),
  accessKey: optional(fixed(16)),
  name: optional(text(32)),
  /** A claimed name is what the account says of itself; a found one is the relay's directory's. */
  nameFrom: oneOf({ claimed: 0, found: 1 }),
});
/** When it was decided, and on which device of this account. */
const decided = struct({ at: time, by: u16 });
/** Of the version before there is neither: whatever is decided anywhere is later. */
export const contactRow: Codec<Of<typeof contactOf1> & Of<typeof decided>> = {
  read(r) {
    const version = r.u8();
    if (version !== 1 && version !== 2) throw new Error(); // a row of a later version of this library
    const contact = contactOf1.read(r);
    return { ...contact, ...(version === 1 ? { at: 0 as Time, by: 0 } : decided.read(r)) };
  },
  write(w, v) {
    w.u8(2);
    contactOf1.write(w, v);
    decided.write(w, v);
  },
};
export const earlyRow = versioned(
  struct({ from: deviceAddress, what: oneOf({ delivered: 1, read: 2 }), at: time }),
);
export const quarantineRow = versioned(
  struct({ id: envelopeId, at: time, code: text(64), ciphertext: bytes(MAX_ENVELOPE_BYTES) }),
);
export const sentRow = versioned(
  struct({
    to: accountId,
    at: time,
    state: oneOf({ queued: 0, sent: 1, delivered: 2, read: 3, expired: 4, refused: 5 }),
  }),
);
/** How long what is said in a conversation stays, ms; 0: as long as one likes. When that was set, and by whom. */
export const timerRow = versioned(struct({ ms: u64, setAt: u64, by: accountId }));
/** A conversation with one account, or a group's. */
export const where = {
  conversation: optional(accountId),
  group: optional(binary<GroupId>(16, "group id")),
} as const;
/** A message that is to go: how long it stays, since when it is kept, and when it is over; 0: not read, or sent, yet. */
export const disappearRow = versioned(
  struct({
    ...where,
    ms: u64,
    since: u64,
    at: u64,
  }),
);
export const receiptBody = struct({
  delivered: listOf(messageId),
  read: listOf(messageId),
});
/** What was said to a group. */
export const groupBody = struct({ group: binary<GroupId>(16, "group id"), body });
/** What another device of one's own has sent, and to whom. */
export const ownBody = struct({ conversation: accountId, body });
/** Messages whose time is over. */
export const disappearBody = struct({ ...where, author: accountId, messages: listOf(messageId) });
/** The numbers that are missing, both included. */
export const gapBody = struct({ first: u64, last: u64 });
export const groupGapBody = struct({ group: binary<GroupId>(16, "group id"), first: u64, last: u64 });

/** A u8 count, then that many items. */
function listOf<T>(item: Codec<T>): Codec<T[]> {
  return {
    read: (r) => Array.from({ length: u8.read(r) }, () => item.read(r)),
    write(w, v) {
      u8.write(w, v.length);
      for (const x of v) item.write(w, x);
    },
  };
}

export type OutboxRow = Of<typeof outboxRow>;
export type UnsealedRow = Of<typeof unsealedRow>;
export type InboxRow = Of<typeof inboxRow>;
export type ContactRow = Of<typeof contactRow>;
export type EarlyRow = Of<typeof earlyRow>;
export type TimerRow = Of<typeof timerRow>;
export type DisappearRow = Of<typeof disappearRow>;
export type SentRow = Of<typeof sentRow>;

/** The tables that the core reads at its start and writes. Others of the same store are not its business. */
export const CORE_TABLES = [
  "self",
  "outbox",
  "unsealed",
  "inbox",
  "seen",
  "stream-out",
  "stream-in",
  "receipt",
  "contact",
  "quarantine",
  "sent",
  "resendable",
  "recovery",
  "own-device",
  "early",
  "timer",
  "disappear",
  "group",
  "group-history",
  "group-own",
  "group-chains",
  "group-owed",
  "group-unsealed",
  "group-out",
  "group-sent",
  "group-waiting",
] as const;
export type CoreTable = (typeof CORE_TABLES)[number];

export interface MissingRun {
  readonly from: DeviceAddress;
  readonly stream: StreamId;
  readonly group: GroupId | undefined;
  readonly first: number;
  readonly last: number;
  readonly now: Time;
}

/** A gap as a row of the inbox. Its id is its stream's with the first missing number: the same whenever it is told. */
export function gapRow({ from, stream, group, first, last, now }: MissingRun): InboxRow {
  return {
    from,
    message: (stream + orderKey(first)) as MessageId,
    sentAt: now,
    arrivedAt: now,
    place: undefined,
    state: "new",
    late: "no",
    ...(group === undefined
      ? { kind: "gap", body: encode(gapBody, { first, last }) }
      : { kind: "group-gap", body: encode(groupGapBody, { group, first, last }) }),
  };
}

/** A counter as a key: 8 bytes, big endian, so that keys sort as the counters do. */
export function orderKey(order: number): string {
  let key = "";
  for (let shift = 7; shift >= 0; shift--) key += String.fromCharCode(Math.floor(order / 256 ** shift) % 256);
  return key;
}

export function orderOf(key: string): number {
  let order = 0;
  for (let i = 0; i < key.length; i++) order = order * 256 + key.charCodeAt(i);
  return order;
}

/** All rows of a table, decoded, in the order of their keys. */
export function readTable<T>(rows: StoredRows, table: CoreTable, codec: Codec<T>): [key: string, value: T][] {
  const found = rows[table] ?? [];
  const sorted = [...found].sort((a: Row, b: Row) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return sorted.map(({ key, value }) => [key, decodeAll(codec, value)]);
}

export function put<T>(table: CoreTable, key: string, codec: Codec<T>, value: T): Write {
  return { table, key, value: encode(codec, value) };
}

export function remove(table: CoreTable, key: string): Write {
  return { table, key, value: undefined };
}
