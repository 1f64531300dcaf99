// Making a store into an account's: identity and prekeys first, durably, then the relay's register.
// Always true: nothing is uploaded that is not in the store; a store belongs to one name at one relay from the moment
// the relay has said yes, and to none before.
import {
  base64url,
  decodeAll,
  encode,
  isUserName,
  type Of,
  PATHS,
  type RegisterRequest,
  struct,
  text,
  toHex,
  u8,
} from "@lethe/protocol";
import {
  createIdentity,
  encodeIdentity,
  type Identity,
  publicIdentity,
  type Random,
  signAsDevice,
} from "@lethe/crypto";
import type { StoredRows, Write } from "./delivery/events.ts";
import { CORE_TABLES } from "./delivery/rows.ts";
import { type Clock, pause } from "./edge/clock.ts";
import type { RelayHttp, Signer } from "./edge/relay-http.ts";
import { ClientError } from "./errors.ts";
import { KEY_TABLES, type KeyState, loadKeys, OWN, putKey } from "./keys/key-rows.ts";
import { noOwnDevices } from "./keys/own-devices.ts";
import { firstPrekeysInPieces, putPrekeys } from "./keys/prekey-keeper.ts";
import { MEDIA_TABLES } from "./media/tables.ts";
import type { ClientStore } from "./store/store.ts";

/** Who the store belongs to: a row of its own, written when the relay has registered the account. */
const OWNER = { table: "owner", key: "owner" } as const;
const ownerRow = struct({ format: u8, name: text(32), relay: text(255) });

export interface Enrolling {
  readonly store: ClientStore;
  readonly user: string;
  /** For the relay's registration policy. */
  readonly ticket: string | undefined;
  readonly http: RelayHttp;
  readonly clock: Clock;
  readonly random: Random;
}

export interface Enrolled {
  readonly rows: StoredRows;
  readonly keys: KeyState;
  readonly signer: Signer;
  /** The relay's name, pinned. */
  readonly relay: string;
  /** Registered just now: nobody can write to it before its prekeys are at the relay. */
  readonly isNew: boolean;
}

/**
 * @throws ClientError name-invalid, store-of-another, name-taken, relay-unreachable, ticket-required, ticket-invalid,
 *   registration-closed, identity-unreachable, rate-limited
 */
export async function enrol(enrolling: Enrolling): Promise<Enrolled> {
  const { store, user } = enrolling;
  if (!isUserName(user)) throw new ClientError("name-invalid", user);
  const owner = await readOwner(store);
  if (owner !== undefined && owner.name !== user) throw new ClientError("store-of-another", owner.name);
  const keys = loadKeys(await load(store, KEY_TABLES)) ?? (await begin(enrolling));
  const signer = signerOf(keys);
  const relay = owner?.relay ?? (await register(enrolling, keys, signer));
  return { rows: await load(store, CORE_TABLES), keys, signer, relay, isNew: owner === undefined };
}

/** Whose the store is: a name, or "" where an account was begun and is not registered. Undefined: it is new. */
export async function ownerOf(store: ClientStore): Promise<string | undefined> {
  const owner = await readOwner(store);
  if (owner !== undefined) return owner.name;
  return (await store.get("identity", OWN)) === undefined ? undefined : "";
}

/** Makes a new store into a linked device's, in one commit: what `enrol` finds then is registered already. */
export async function beginLinked(
  { store, clock, random }: Pick<Enrolling, "store" | "clock" | "random">,
  { identity, name, relay }: { readonly identity: Identity; readonly name: string; readonly relay: string },
): Promise<void> {
  const prekeys = await firstPrekeysInPieces({ identity, random, now: clock.now() });
  const owner = putOwner(name, relay);
  await store.commit([putKey("identity", OWN, encodeIdentity(identity)), ...putPrekeys(prekeys), owner]);
}

/** Erases everything of an account from its store, in one commit: it is as new. @throws StoreError store-failed */
export async function erase(store: ClientStore): Promise<void> {
  const writes: Write[] = [{ ...OWNER, value: undefined }];
  for (const table of [...KEY_TABLES, ...CORE_TABLES, ...MEDIA_TABLES])
    for (const { key } of await store.list(table)) writes.push({ table, key, value: undefined });
  await store.commit(writes);
}

async function readOwner(store: ClientStore): Promise<Of<typeof ownerRow> | undefined> {
  const stored = await store.get(OWNER.table, OWNER.key);
  return stored === undefined ? undefined : decodeAll(ownerRow, stored);
}

function putOwner(name: string, relay: string): Write {
  return { ...OWNER, value: encode(ownerRow, { format: 1, name, relay }) };
}

async function load(store: ClientStore, tables: readonly string[]): Promise<StoredRows> {
  const rows: Record<string, Awaited<ReturnType<ClientStore["list"]>>> = {};
  for (const table of tables) rows[table] = await store.list(table);
  return rows;
}

async function begin({ store, clock, random }: Enrolling): Promise<KeyState> {
  const now = clock.now();
  const identity = createIdentity({ random, now });
  await pause();
  const prekeys = await firstPrekeysInPieces({ identity, random, now });
  const writes: Write[] = [putKey("identity", OWN, encodeIdentity(identity)), ...putPrekeys(prekeys)];
  await store.commit(writes);
  return {
    identity,
    listPending: false,
    replacePending: false,
    accessPending: false,
    profileSince: { at: 0, by: 0 },
    prekeys: new Map(prekeys.map((record) => [record.id, record])),
    pending: new Set(prekeys.map(({ id }) => id)),
    unlisted: new Map(),
    peers: new Map(),
    ratchets: new Map(),
    replay: new Map(),
    told: new Map(),
    trust: new Map(),
    own: noOwnDevices(),
    linked: new Map(),
  };
}

function signerOf(keys: KeyState): Signer {
  const { account, device } = publicIdentity(keys.identity);
  return { account, device, sign: (tuple) => signAsDevice(keys.identity, "request", tuple) };
}

/** Repeating it with the same keys succeeds: the answer to an earlier try may have been lost. */
async function register(
  { store, user, ticket, http }: Enrolling,
  keys: KeyState,
  signer: Signer,
): Promise<string> {
  const relay = await http.name();
  const own = publicIdentity(keys.identity);
  const request: RegisterRequest = {
    name: user,
    account: toHex(own.account),
    accountKey: base64url(own.accountKey),
    device: own.device,
    signingKey: base64url(own.signingKey),
    certificate: base64url(own.certificate),
    deviceList: base64url(own.deviceList),
    listVersion: own.listVersion,
    accessKeyHash: base64url(own.accessKeyHash),
    ...(ticket === undefined ? {} : { ticket }),
  };
  await http.signed("POST", PATHS.accounts, request, signer, relay);
  await store.commit([putOwner(user, relay)]);
  return relay;
}
