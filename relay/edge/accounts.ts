// What the relay knows of accounts while it decides who may submit: a short-lived cache before the directory, and the
// checks themselves. Always true: a wrong access key, an unknown account and a blocked sender give one code.
import { timingSafeEqual } from "node:crypto";
import { blake2b } from "@noble/hashes/blake2.js";
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  fromBytes,
  toBytes,
} from "@lethe/protocol";
import type { AccountRecord, Directory } from "@lethe/queue";
import { TokenBucket } from "./token-bucket.ts";

/**
 * How long an account's record may be used without asking again, ms. Every change of an account is made through this
 * process, which drops what it holds; where other nodes change accounts too, theirs must hold within 10 s.
 */
export const ACCOUNT_CACHE_MS = 60_000;
/** Accounts held at most. */
export const ACCOUNT_CACHE = 50_000;

/** A device as logins and submits need it. Keys are kept as ids are: a string takes a sixth of what a byte array does. */
export interface KnownDevice {
  readonly device: DeviceNumber;
  /** The same string each time: a map that has seen it finds it again without hashing. */
  readonly address: DeviceAddress;
  /** Ed25519 public key, 32 bytes, one character a byte. */
  readonly signingKey: string;
}

/** Of an account's record what is asked for all the time. */
export interface KnownAccount {
  readonly listVersion: number;
  /** BLAKE2b-256 of the access key, one character a byte. */
  readonly accessKeyHash: string;
  readonly hidesLastSeen: boolean;
  /** In rising order of device numbers. */
  readonly devices: readonly KnownDevice[];
}

interface Cached {
  readonly record: KnownAccount | undefined;
  readonly until: number;
  /** Envelopes that its devices may be sent. */
  readonly envelopes: TokenBucket;
  /** The key that last hashed to the record's hash: it is compared, not hashed again. */
  proved: Uint8Array | undefined;
}

export type Knock = "permitted" | "not-permitted";

export class Accounts {
  readonly #directory: Directory;
  #rate: number;
  readonly #now: () => number;
  readonly #cache = new Map<AccountId, Cached>();
  /** Changes told so far: what was read before one of them is not kept. */
  #changes = 0;

  /** @param rate envelopes a second that one account may be sent. */
  constructor(directory: Directory, rate: number, now: () => number) {
    this.#directory = directory;
    this.#rate = rate;
    this.#now = now;
  }

  /** For accounts that are read from now on. */
  relimit(rate: number): void {
    this.#rate = rate;
  }

  /** The record if it is at hand, `undefined` if it must be fetched first. */
  atHand(account: AccountId): Cached | undefined {
    const cached = this.#cache.get(account);
    return cached !== undefined && cached.until > this.#now() ? cached : undefined;
  }

  /** The record, not kept if it was not at hand: whoever logs in may be written to much later, or never. */
  async read(account: AccountId): Promise<KnownAccount | undefined> {
    const cached = this.atHand(account);
    return cached === undefined ? knownOf(await this.#directory.account(account)) : cached.record;
  }

  async fetch(account: AccountId): Promise<Cached> {
    const cached = this.atHand(account);
    if (cached !== undefined) return cached;
    const before = this.#changes;
    const record = await this.#directory.account(account);
    const until = this.#now() + ACCOUNT_CACHE_MS;
    const envelopes = new TokenBucket(this.#rate, this.#rate * 2, this.#now());
    const fresh: Cached = { record: knownOf(record), until, envelopes, proved: undefined };
    if (this.#changes !== before) return fresh;
    if (this.#cache.size >= ACCOUNT_CACHE) this.#cache.delete(this.#cache.keys().next().value as AccountId);
    this.#cache.delete(account);
    this.#cache.set(account, fresh);
    return fresh;
  }

  /** Drops what is cached: the account has changed. */
  changed(account: AccountId): void {
    this.#changes++;
    this.#cache.delete(account);
  }

  /** Whether the bearer of `accessKey` may submit; without a key only a device that has proved itself may. */
  knock(cached: Cached, accessKey: Uint8Array | undefined, identified: boolean): Knock {
    const { record } = cached;
    if (accessKey === undefined) return identified && record !== undefined ? "permitted" : "not-permitted";
    if (cached.proved !== undefined && sameKey(cached.proved, accessKey)) return "permitted";
    const hash = accessKeyHash(accessKey); // also for an unknown account: the same work, the same time
    if (record === undefined || !timingSafeEqual(hash, toBytes(record.accessKeyHash))) return "not-permitted";
    cached.proved = Uint8Array.from(accessKey);
    return "permitted";
  }
}

export type { Cached };

export function knownOf(record: AccountRecord | undefined): KnownAccount | undefined {
  if (record === undefined) return undefined;
  return {
    listVersion: record.listVersion,
    accessKeyHash: fromBytes(record.accessKeyHash),
    hidesLastSeen: record.hidesLastSeen === true,
    devices: record.devices.map(({ device, signingKey }) => ({
      device,
      // Through bytes and back: one flat string, where a joined one is a rope that every map would have to flatten.
      address: Buffer.from(addressOf(record.account, device), "latin1").toString("latin1") as DeviceAddress,
      signingKey: fromBytes(signingKey),
    })),
  };
}

export function deviceIn(known: KnownAccount | undefined, device: DeviceNumber): KnownDevice | undefined {
  if (known === undefined) return undefined;
  for (const each of known.devices) if (each.device === device) return each;
  return undefined;
}

/** In constant time, like `timingSafeEqual`, whose way out of JavaScript costs more than the 16 bytes: every message pays. */
function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

/** BLAKE2b-256 of a delivery access key: what the relay keeps of it. */
export function accessKeyHash(key: Uint8Array): Uint8Array {
  return blake2b(key, { dkLen: 32 });
}

/** BLAKE2b-256(secret | request id): who asks for prekeys, without saying who (prekey hand-out, clause P-REQUESTER). */
export function requesterOf(secret: Uint8Array, requestId: Uint8Array): Uint8Array {
  return blake2b(Buffer.concat([secret, requestId]), { dkLen: 32 });
}

/** The id of a group's shared ciphertext for one device: BLAKE2b-128(group envelope id | address), clause D-GROUP-ID. */
export function groupIdFor(tuple: Uint8Array): Uint8Array {
  return blake2b(tuple, { dkLen: 16 });
}

/** What a submit's devices lack and have too much, compared with the record. */
export function compareDevices(
  record: KnownAccount,
  devices: readonly DeviceNumber[],
): { missing: DeviceNumber[]; extra: DeviceNumber[] } {
  const known = record.devices.map((d) => d.device);
  return {
    missing: known.filter((device) => !devices.includes(device)),
    extra: devices.filter((device) => !known.includes(device)),
  };
}
