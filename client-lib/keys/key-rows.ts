// The rows of everything secret: identity, prekeys, peers, ratchets, replay tags. Always true: they change only in the
// commit of what changed them, beside the core's rows in the same store.
import {
  binary,
  type Codec,
  decodeAll,
  type DeviceAddress,
  encode,
  list,
  oneOf,
  struct,
  type Time,
  time,
} from "@lethe/protocol";
import {
  decodeIdentity,
  decodePeer,
  decodePrekey,
  decodeRatchet,
  type Identity,
  type PeerDevice,
  type PrekeyId,
  type PrekeyRecord,
  type Ratchet,
  type RatchetId,
} from "@lethe/crypto";
import type { StoredRows, Write } from "../delivery/events.ts";

export const KEY_TABLES = [
  "identity",
  "prekey",
  "prekey-unlisted",
  "prekey-pending",
  "peer",
  "ratchet",
  "ratchet-order",
  "replay",
] as const;
export type KeyTable = (typeof KEY_TABLES)[number];

/** One's own identity stands under this key of the table of that name. */
export const OWN = "own";
/** Beside it: the device list was issued again, and the relay is not known to have it. */
export const LIST_PENDING = "list-pending";

/** Ratchets of a peer device: this many beside the one used for sending (crypto.md 1.5). */
export const MAX_ARCHIVED = 8;

/** Which ratchet of a device is used for sending, and whether it may be. */
const orderRow = struct({
  sending: oneOf({ no: 0, yes: 1 }),
  ids: list(binary<RatchetId>(16, "ratchet id"), MAX_ARCHIVED + 1),
});
const untilRow = struct({ until: time });

/** The ratchets with one device, the first used for sending if `sending`. */
export interface Ratchets {
  readonly sending: boolean;
  readonly all: readonly Ratchet[];
}

export interface KeyState {
  identity: Identity;
  listPending: boolean;
  readonly prekeys: Map<PrekeyId, PrekeyRecord>;
  /** Kept, and not known to be uploaded: uploaded with the same bytes until the relay has said yes. */
  readonly pending: Set<PrekeyId>;
  /** When a one-time key was found to be handed out. */
  readonly unlisted: Map<PrekeyId, Time>;
  readonly peers: Map<DeviceAddress, PeerDevice>;
  readonly ratchets: Map<DeviceAddress, Ratchets>;
  readonly replay: Map<string, Time>;
}

/** Undefined: the store holds no identity yet. */
export function loadKeys(rows: StoredRows): KeyState | undefined {
  const of = (table: KeyTable) => rows[table] ?? [];
  const own = of("identity").find(({ key }) => key === OWN);
  if (own === undefined) return undefined;
  const ratchets = new Map(of("ratchet").map(({ key, value }) => [key, decodeRatchet(value)]));
  const prekeys = of("prekey").map(({ value }) => decodePrekey(value));
  const peers = of("peer").map(({ value }) => decodePeer(value));
  return {
    identity: decodeIdentity(own.value),
    listPending: of("identity").some(({ key }) => key === LIST_PENDING),
    prekeys: new Map(prekeys.map((prekey) => [prekey.id, prekey])),
    pending: new Set(of("prekey-pending").map(({ key }) => key as PrekeyId)),
    unlisted: times<PrekeyId>(of("prekey-unlisted")),
    peers: new Map(peers.map((peer) => [peer.address, peer])),
    ratchets: new Map(
      of("ratchet-order").map(({ key, value }) => {
        const { sending, ids } = decodeAll(orderRow, value);
        const all = ids.map((id) => ratchets.get(key + id)).filter((ratchet) => ratchet !== undefined);
        return [key as DeviceAddress, { sending: sending === "yes", all }];
      }),
    ),
    replay: times(of("replay")),
  };
}

function times<K extends string>(rows: readonly { key: string; value: Uint8Array }[]): Map<K, Time> {
  return new Map(rows.map(({ key, value }) => [key as K, decodeAll(untilRow, value).until]));
}

export function putKey(table: KeyTable, key: string, value: Uint8Array): Write {
  return { table, key, value };
}

export function removeKey(table: KeyTable, key: string): Write {
  return { table, key, value: undefined };
}

/** All rows of a prekey go together. */
export function removePrekey(id: PrekeyId): Write[] {
  return [removeKey("prekey", id), removeKey("prekey-pending", id), removeKey("prekey-unlisted", id)];
}

export function putTime(table: KeyTable, key: string, until: Time): Write {
  return putKey(table, key, encode(untilRow as Codec<{ until: Time }>, { until }));
}

export function putOrder(address: DeviceAddress, { sending, all }: Ratchets): Write {
  const row = { sending: sending ? "yes" : "no", ids: all.map(({ id }) => id) } as const;
  return putKey("ratchet-order", address, encode(orderRow, { ...row, ids: [...row.ids] }));
}
