// The rows of everything secret: identity, prekeys, peers, ratchets, replay tags. Always true: they change only in the
// commit of what changed them, beside the core's rows in the same store.
import {
  accountId,
  type AccountId,
  binary,
  type Codec,
  decodeAll,
  type DeviceAddress,
  encode,
  fixed,
  joined,
  list,
  oneOf,
  optional,
  struct,
  type Time,
  time,
  u16,
} from "@lethe/protocol";
import {
  decodeIdentity,
  decodePeer,
  decodePrekey,
  decodeRatchet,
  type Identity,
  type KeptRatchets,
  MAX_ARCHIVED,
  type PeerDevice,
  type PrekeyId,
  type PrekeyRecord,
  type RatchetId,
} from "@lethe/crypto";
import type { StoredRows, Write } from "../delivery/events.ts";
import { CERTIFICATES, loadOwnDevices, type OwnDevices } from "./own-devices.ts";
import type { Made } from "../delivery/own-notes.ts";

export const KEY_TABLES = [
  "identity",
  "prekey",
  "prekey-unlisted",
  "prekey-pending",
  "peer",
  "ratchet",
  "ratchet-order",
  "replay",
  "told",
  "trust",
  CERTIFICATES,
  "contact-link",
] as const;
export type KeyTable = (typeof KEY_TABLES)[number];

/** Of the hash of what a peer was told. */
export const TOLD_BYTES = 8;

/** One's own identity stands under this key of the table of that name. */
export const OWN = "own";
/** Beside it: the device list was issued again, and the relay is not known to have it. */
export const LIST_PENDING = "list-pending";

/** Beside it: everything at the relay is to be replaced, for the store was restored. */
export const REPLACE_PENDING = "replace-pending";
/** Beside it: the access key is a new one, and the relay is not known to have its hash. */
export const ACCESS_PENDING = "access-pending";

/** Beside it: when the profile key was replaced last, and by which device of the account. */
export const PROFILE_SINCE = "profile-since";

const NEVER = new Uint8Array(10);
const madeRow = struct({ at: time, by: u16 });
const ratchetId = binary<RatchetId>(16, "ratchet id");
/** Which ratchet of a device is used for sending, and since when the others are not. */
const orderRow = struct({
  sending: optional(ratchetId),
  archived: list(struct({ id: ratchetId, since: time, trusted: oneOf({ no: 0, yes: 1 }) }), MAX_ARCHIVED),
});
const untilRow = struct({ until: time });
const toldRow = struct({
  what: fixed(TOLD_BYTES),
  at: oneOf({ telling: 0, known: 1 }),
  chain: optional(fixed(32)),
});

const trustRow = struct({ verified: optional(fixed(32)), successor: optional(accountId) });

/** What a contact link said of an account, or the card of a third person, which has no access key. Kept for good: no other key
 *  is ever believed under that account. */
export interface LinkedAccount {
  readonly fingerprint: Uint8Array;
  readonly accessKey: Uint8Array | undefined;
}

/** What a person has decided about an account's identity. */
export interface TrustedAccount {
  /** The account key that the safety number was compared for; undefined: it was not compared. */
  readonly verified: Uint8Array | undefined;
  /** The account that now has this one's name, by the relay's directory. */
  readonly successor: AccountId | undefined;
}

/** How far a peer device has been told our access key and name. `what`: a hash of both. */
export interface TellingPeer {
  readonly what: Uint8Array;
  readonly at: "telling" | "known";
  /** The ratchet key of a chain all of whose messages told it: an answer to that chain proves that it is known. */
  readonly chain: Uint8Array | undefined;
}

export interface KeyState {
  identity: Identity;
  listPending: boolean;
  replacePending: boolean;
  accessPending: boolean;
  profileSince: Made;
  readonly prekeys: Map<PrekeyId, PrekeyRecord>;
  /** Kept, and not known to be uploaded: uploaded with the same bytes until the relay has said yes. */
  readonly pending: Set<PrekeyId>;
  /** When a one-time key was found to be handed out. */
  readonly unlisted: Map<PrekeyId, Time>;
  readonly peers: Map<DeviceAddress, PeerDevice>;
  readonly ratchets: Map<DeviceAddress, KeptRatchets>;
  readonly replay: Map<string, Time>;
  readonly told: Map<DeviceAddress, TellingPeer>;
  readonly trust: Map<AccountId, TrustedAccount>;
  readonly own: OwnDevices;
  readonly linked: Map<AccountId, LinkedAccount>;
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
    replacePending: of("identity").some(({ key }) => key === REPLACE_PENDING),
    accessPending: of("identity").some(({ key }) => key === ACCESS_PENDING),
    profileSince: decodeAll(madeRow, of("identity").find(({ key }) => key === PROFILE_SINCE)?.value ?? NEVER),
    prekeys: new Map(prekeys.map((prekey) => [prekey.id, prekey])),
    pending: new Set(of("prekey-pending").map(({ key }) => key as PrekeyId)),
    unlisted: times<PrekeyId>(of("prekey-unlisted")),
    peers: new Map(peers.map((peer) => [peer.address, peer])),
    ratchets: new Map(
      of("ratchet-order").map(({ key, value }) => {
        const { sending, archived } = decodeAll(orderRow, value);
        const kept = archived.flatMap(({ id, since, trusted }) => {
          const ratchet = ratchets.get(key + id);
          return ratchet === undefined ? [] : [{ ratchet, since, trusted: trusted === "yes" }];
        });
        const used = sending === undefined ? undefined : ratchets.get(key + sending);
        return [key as DeviceAddress, { sending: used, archived: kept }];
      }),
    ),
    replay: times(of("replay")),
    told: new Map(of("told").map(({ key, value }) => [key as DeviceAddress, decodeAll(toldRow, value)])),
    trust: new Map(of("trust").map(({ key, value }) => [key as AccountId, decodeAll(trustRow, value)])),
    own: loadOwnDevices(of("identity"), of(CERTIFICATES)),
    linked: new Map(
      of("contact-link").map(({ key, value }) => {
        if (value.length !== 32 && value.length !== 48) throw new Error(); // a row of a later version
        const accessKey = value.length === 48 ? value.slice(32) : undefined;
        return [key as AccountId, { fingerprint: value.slice(0, 32), accessKey }];
      }),
    ),
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

export function putOrder(address: DeviceAddress, { sending, archived }: KeptRatchets): Write {
  const rest = archived.map(({ ratchet, since, trusted }) => ({
    id: ratchet.id,
    since,
    trusted: trusted ? ("yes" as const) : ("no" as const),
  }));
  return putKey("ratchet-order", address, encode(orderRow, { sending: sending?.id, archived: rest }));
}

export function putProfileSince(made: Made): Write {
  return putKey("identity", PROFILE_SINCE, encode(madeRow, { ...made, at: made.at as Time }));
}

export function putTrust(account: AccountId, trust: TrustedAccount): Write {
  return putKey("trust", account, encode(trustRow, trust));
}

export function putLinked(account: AccountId, linked: LinkedAccount): Write {
  return putKey("contact-link", account, joined(linked.fingerprint, linked.accessKey ?? new Uint8Array()));
}

export function putTold(address: DeviceAddress, told: TellingPeer): Write {
  return putKey("told", address, encode(toldRow, told));
}
