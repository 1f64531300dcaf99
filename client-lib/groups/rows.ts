// The rows of groups: their layouts and keys. Always true: what is written here is read back equal, and what does not decode
// is refused; secrets stand in them, so they belong to the same encrypted store as the keys of ratchets.
import {
  accountId,
  bytes,
  type DeviceAddress,
  deviceAddress,
  deviceNumber,
  envelopeId,
  fixed,
  groupEnvelopeId,
  list,
  MAX_DEVICES,
  MAX_ENVELOPE_BYTES,
  MAX_GROUP_RECIPIENTS,
  type Of,
  oneOf,
  optional,
  struct,
  text,
  time,
  u32,
  u64,
} from "@lethe/protocol";
import { type GroupId, MAX_GROUP_NAME_BYTES, MAX_GROUP_STATE_BYTES } from "@lethe/crypto";
import { groupId, messageId, orderKey, place, streamId } from "../delivery/rows.ts";
import { MAX_BODY_BYTES } from "../delivery/limits.ts";

const format = oneOf({ one: 1 });
/** What `encodeGroupView` and the others make: their own codecs bound them closer. */
const kept = bytes(1_048_576);

/** `invited`: the person has not decided; `left`: kept to tell an older state from a later one, if it is joined again. */
export const groupRow = struct({
  format,
  standing: oneOf({ invited: 0, joined: 1, left: 2 }),
  by: accountId,
  view: kept,
});

/** A state of the past, for whoever has missed it. */
export const historyRow = struct({ format, state: bytes(MAX_GROUP_STATE_BYTES) });

/** This device's keys for sending in a group, and its place in the order of its messages. */
export const ownRow = struct({ format, stream: streamId, next: u64, keys: optional(kept) });

/** A change of this device's, to be made again where it loses. */
const changeCodec = struct({
  kind: oneOf({ add: 1, remove: 2, promote: 3, demote: 4, rename: 5, writers: 6, renew: 7, leave: 8 }),
  accounts: list(accountId, MAX_GROUP_RECIPIENTS),
  name: text(MAX_GROUP_NAME_BYTES),
  writers: oneOf({ members: 1, admins: 2 }),
});
export type Change = Of<typeof changeCodec>;

/** A state that accounts are still to be told. */
export const owedRow = struct({
  format,
  at: time,
  state: bytes(MAX_GROUP_STATE_BYTES),
  sealKey: optional(fixed(32)),
  /** Undefined where another device has made it. */
  change: optional(changeCodec),
  /** Whom it has added: they are told everybody's access key, the others theirs. */
  added: list(accountId, MAX_GROUP_RECIPIENTS),
  accounts: list(accountId, 2 * MAX_GROUP_RECIPIENTS),
});

const said = {
  message: messageId,
  group: groupId,
  sentAt: time,
  expiry: time,
  body: bytes(MAX_BODY_BYTES + 1_024),
} as const;
/** `only`: a message that was sealed before, once more, for devices that had been missing. */
export const unsealedRow = struct({
  format,
  ...said,
  place: optional(place),
  only: list(deviceAddress, MAX_DEVICES),
});

const recipient = struct({
  account: accountId,
  accessKey: fixed(16),
  listVersion: u32,
  devices: list(deviceNumber, MAX_DEVICES),
});
export const outRow = struct({
  format,
  ...said,
  stream: streamId,
  sequence: u64,
  groupEnvelope: groupEnvelopeId,
  ciphertext: bytes(MAX_ENVELOPE_BYTES),
  recipients: list(recipient, MAX_GROUP_RECIPIENTS),
});

/** Accounts of a message's recipients, and how far it got with each. */
export const sentRow = struct({
  format,
  group: groupId,
  at: time,
  state: oneOf({ queued: 0, sent: 1, expired: 4, refused: 5 }),
  /** Accounts that it went to. */
  of: u32,
  delivered: list(accountId, MAX_GROUP_RECIPIENTS),
  read: list(accountId, MAX_GROUP_RECIPIENTS),
});

/** What may open once a state or a chain has come. */
export const waitingRow = struct({
  format,
  at: time,
  /** Undefined for a group's envelope; the device that told it for what was told. */
  teller: optional(deviceAddress),
  id: envelopeId,
  bytes: bytes(MAX_ENVELOPE_BYTES),
});

export type GroupRow = Of<typeof groupRow>;
export type OwedRow = Of<typeof owedRow>;
export type UnsealedRow = Of<typeof unsealedRow>;
export type OutRow = Of<typeof outRow>;
export type SentRow = Of<typeof sentRow>;
export type WaitingRow = Of<typeof waitingRow>;

export function chainsKey(group: GroupId, device: DeviceAddress): string {
  return group + device;
}

export function owedKey(group: GroupId, epoch: number): string {
  return group + orderKey(epoch);
}
