// Identities, certificates, device lists, sealing keys and prekeys: "Keys in bytes" of crypto/README.md.
import { type Bytes, E, Fields, hex, join, L, M, same, u16, u32, u64, u8, X } from "./bytes.ts";
import type { Chance } from "./chance.ts";
import { blake2b, ed25519Public, ed25519Sign, kemPublic, verify, x25519Public } from "./primitives.ts";

const DAY = 24 * 3_600_000;
const SIGNATURE = 64;

/** Account id and device number. */
export const addr = (account: Bytes, device: number): Bytes => join(account, u16(device));
export const idOf = (encodedKey: Bytes): Bytes => blake2b(32, encodedKey).slice(0, 8);

/** What is public of a device: what a certificate says. */
export interface Party {
  readonly account: Bytes;
  readonly device: number;
  readonly AK: Bytes;
  readonly DS: Bytes;
  readonly DI: Bytes;
}

export interface List {
  readonly bytes: Bytes;
  readonly version: number;
  readonly issuedAt: number;
}

/** version u32 | first 16 bytes of the hash. */
export const viewOf = ({ bytes, version }: List): Bytes =>
  join(u32(version), blake2b(32, bytes).slice(0, 16));

export interface Sealing {
  readonly key: Bytes;
  readonly createdAt: number;
  /** All 113 bytes. */
  readonly bytes: Bytes;
}

export interface Own extends Party {
  readonly secrets: { readonly AK: Bytes; readonly DS: Bytes; readonly DI: Bytes };
  readonly certificate: Bytes;
  list: List;
  /** Newest last. */
  readonly sealing: (Sealing & { readonly secret: Bytes })[];
}

export function makeIdentity(chance: Chance, now: number): Own {
  const account = chance.bytes(16);
  const secrets = { AK: chance.bytes(32), DS: chance.bytes(32), DI: chance.bytes(32) };
  chance.bytes(32); // The profile key, which no message is made with.
  const party: Party = {
    account,
    device: 1,
    AK: ed25519Public(secrets.AK),
    DS: ed25519Public(secrets.DS),
    DI: x25519Public(secrets.DI),
  };
  const body = join(u8(1), addr(account, 1), E(party.AK), E(party.DS), X(party.DI), u64(now));
  const certificate = join(
    body,
    ed25519Sign(secrets.AK, L("sig/device-certificate"), body),
    ed25519Sign(secrets.DS, L("sig/device-possession"), E(party.AK), addr(account, 1)),
  );
  const own = { ...party, secrets, certificate, sealing: [] };
  const list = issueList(own, { version: 1, previous: new Uint8Array(32), now });
  const made: Own = { ...own, list };
  made.sealing.push(makeSealing(made, chance, now));
  return made;
}

interface Issue {
  readonly version: number;
  readonly previous: Bytes;
  readonly now: number;
}

function issueList(own: Omit<Own, "list">, { version, previous, now }: Issue): List {
  const entry = join(u16(own.device), blake2b(32, own.certificate));
  const body = join(u8(1), own.account, u32(version), previous, u64(now), u16(1), entry);
  const bytes = join(body, ed25519Sign(own.secrets.AK, L("sig/device-list"), body));
  return { bytes, version, issuedAt: now };
}

export function issueListAgain(own: Own, now: number): void {
  const { version, bytes } = own.list;
  own.list = issueList(own, { version: version + 1, previous: blake2b(32, bytes), now });
}

export function makeSealing({ account, device, secrets }: Own, chance: Chance, now: number) {
  const secret = chance.bytes(32);
  const key = x25519Public(secret);
  const said = join(X(key), u64(now), u64(now + 35 * DAY));
  const tuple = join(u8(1), addr(account, device), said);
  const bytes = join(said, ed25519Sign(secrets.DS, L("sig/sealing-key"), tuple));
  return { secret, key, createdAt: now, bytes };
}

/** @throws Error for a record that DS did not sign, or that is past its time */
export function readSealing(bytes: Bytes, { account, device, DS }: Party, now: number): Sealing {
  const fields = new Fields(bytes);
  const key = fields.key(1);
  const [createdAt, expiresAt] = [fields.number(8), fields.number(8)];
  verify(DS, fields.take(SIGNATURE), L("sig/sealing-key"), u8(1), addr(account, device), bytes.slice(0, 49));
  fields.end();
  if (now >= expiresAt) throw new Error("sealing key past its time");
  return { key, createdAt, bytes };
}

/** @throws Error for a certificate that AK or DS did not sign */
export function readCertificate(bytes: Bytes): Party {
  const fields = new Fields(bytes);
  if (fields.number(1) !== 1) throw new Error("unknown certificate");
  const [account, device] = [fields.take(16), fields.number(2)];
  const [AK, DS, DI] = [fields.key(3), fields.key(3), fields.key(1)];
  fields.number(8);
  const body = fields.soFar();
  verify(AK, fields.take(SIGNATURE), L("sig/device-certificate"), body);
  verify(DS, fields.take(SIGNATURE), L("sig/device-possession"), E(AK), addr(account, device));
  fields.end();
  return { account, device, AK, DS, DI };
}

/** @throws Error for a list that AK did not sign, or that does not name the certificate */
export function readList(bytes: Bytes, certificate: Bytes): List {
  const { account, device, AK } = readCertificate(certificate);
  const fields = new Fields(bytes);
  if (fields.number(1) !== 1 || !same(fields.take(16), account)) throw new Error("another account's list");
  const version = fields.number(4);
  fields.take(32);
  const issuedAt = fields.number(8);
  const entries = Array.from({ length: fields.number(2) }, () => fields.take(34));
  const body = fields.soFar();
  verify(AK, fields.take(SIGNATURE), L("sig/device-list"), body);
  fields.end();
  const named = join(u16(device), blake2b(32, certificate));
  if (!entries.some((entry) => same(entry, named))) throw new Error("device not listed");
  return { bytes, version, issuedAt };
}

export type Kind = "signed" | "lastResort" | "oneTime" | "oneTimeKem";

/** A prekey of one's own; `secret` is a KEM's seed. */
export interface Prekey {
  readonly kind: Kind;
  readonly id: Bytes;
  readonly secret: Bytes;
  readonly key: Bytes;
  readonly upload: Bytes;
}

export function makePrekey(kind: Kind, own: Own, chance: Chance, now: number): Prekey {
  if (kind === "oneTime") {
    const secret = chance.bytes(32);
    const key = x25519Public(secret);
    return { kind, id: idOf(X(key)), secret, key, upload: join(u8(3), X(key)) };
  }
  const isKem = kind !== "signed";
  const secret = chance.bytes(isKem ? 64 : 32);
  const key = isKem ? kemPublic(secret) : x25519Public(secret);
  const encoded = isKem ? M(key) : X(key);
  const format = { signed: 1, lastResort: 2, oneTimeKem: 4 }[kind];
  const days = kind === "oneTimeKem" ? 60 : 35;
  const times = join(u64(now), u64(now + days * DAY));
  const newest = own.sealing.at(-1);
  const sealing = isKem || newest === undefined ? new Uint8Array(0) : newest.bytes;
  const body = join(u8(format), addr(own.account, own.device), encoded, times, sealing);
  const upload = join(body, ed25519Sign(own.secrets.DS, L(SIGNED_AS[kind]), body));
  return { kind, id: idOf(encoded), secret, key, upload };
}

const SIGNED_AS = {
  signed: "sig/signed-prekey",
  lastResort: "sig/last-resort-kem-prekey",
  oneTimeKem: "sig/one-time-kem-prekey",
} as const;

/** A prekey as the relay hands it out. */
export interface Item {
  readonly id: Bytes;
  readonly bytes: Bytes;
}

export interface Bundle {
  readonly signed: Item;
  readonly lastResort: Item;
  readonly oneTime: Item | undefined;
  readonly oneTimeKem: Item | undefined;
}

/** @throws Error for anything that is not that device's prekey of that kind, valid now */
export function readPrekey(kind: Kind, item: Item, owner: Party, now: number) {
  const fields = new Fields(item.bytes);
  const format = { signed: 1, lastResort: 2, oneTime: 3, oneTimeKem: 4 }[kind];
  if (fields.number(1) !== format) throw new Error("another kind of prekey");
  const isKem = kind === "lastResort" || kind === "oneTimeKem";
  if (kind !== "oneTime" && !same(fields.take(18), addr(owner.account, owner.device)))
    throw new Error("another device's prekey");
  const key = fields.key(isKem ? 2 : 1);
  if (!same(idOf(isKem ? M(key) : X(key)), item.id)) throw new Error(`not key ${hex(item.id)}`);
  if (kind === "oneTime") {
    fields.end();
    return { key, id: item.id, sealing: undefined };
  }
  const [, expiresAt] = [fields.number(8), fields.number(8)];
  const sealing = kind === "signed" ? readSealing(fields.take(113), owner, now) : undefined;
  const body = fields.soFar();
  verify(owner.DS, fields.take(SIGNATURE), L(SIGNED_AS[kind]), body);
  fields.end();
  if (now >= expiresAt) throw new Error("prekey past its time");
  return { key, id: item.id, sealing };
}
