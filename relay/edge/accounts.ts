// What the relay knows of accounts while it decides who may submit: a short-lived cache before the directory, and the
// checks themselves. Always true: a wrong access key, an unknown account and a blocked sender are refused after the same
// work; the cache serves only those who have proved themselves.
import { timingSafeEqual } from "node:crypto";
import { blake2b } from "@noble/hashes/blake2.js";
import {
  type AccountId,
  addressOf,
  type DeviceAddress,
  type DeviceNumber,
  type FrameOf,
} from "@lethe/protocol";
import type { AccountRecord, Directory } from "@lethe/queue";
import { TokenBucket } from "./token-bucket.ts";

/** Accounts held at most. */
export const ACCOUNT_CACHE = 50_000;

/** A device as submits need it. */
export interface KnownDevice {
  readonly device: DeviceNumber;
  /** The same string each time: a map that has seen it finds it again without hashing. */
  readonly address: DeviceAddress;
}

/** Of an account's record what is asked for all the time: its keys and lists are ten times as much. */
export interface KnownAccount {
  readonly listVersion: number;
  readonly hidesLastSeen: boolean;
  /** In rising order of device numbers. */
  readonly devices: readonly KnownDevice[];
}

interface Cached {
  readonly record: KnownAccount;
  readonly until: number;
  /** Envelopes that its devices may be sent. */
  readonly envelopes: TokenBucket;
  /** The key that last hashed to the record's hash: it is compared, not hashed again. */
  proved: Uint8Array | undefined;
  /** What `ask-devices` is answered with, once somebody has asked. */
  listing: Listing | undefined;
}

export type Listing = Pick<FrameOf<"has-devices">, "version" | "deviceList" | "certificates">;

/** What somebody shows who asks for an account: its access key, or none, which is enough for a device that is logged in. */
export interface Shown {
  readonly account: AccountId;
  readonly accessKey: Uint8Array | undefined;
  readonly identified: boolean;
}

/** A hash that no key is known for: what is shown for an account that is not there is compared with it. */
const NOBODYS_HASH = new Uint8Array(32);

export class Accounts {
  readonly #directory: Directory;
  #rate: number;
  readonly #now: () => number;
  readonly #cacheMs: number;
  readonly #cache = new Map<AccountId, Cached>();
  /** Changes told so far: what was read before one of them is not kept. */
  #changes = 0;

  /**
   * @param rate envelopes a second that one account may be sent.
   * @param cacheMs how long a record may be used without asking again.
   */
  constructor(directory: Directory, rate: number, now: () => number, cacheMs: number) {
    this.#directory = directory;
    this.#rate = rate;
    this.#now = now;
    this.#cacheMs = cacheMs;
  }

  /** For accounts that are read from now on. */
  relimit(rate: number): void {
    this.#rate = rate;
  }

  /**
   * The account, if it is at hand for whoever shows this; `undefined` says nothing, `admit` does. A cache that served others
   * too would tell them by its speed who is in use. The way of every message: nothing is allocated.
   */
  admitted(account: AccountId, accessKey: Uint8Array | undefined, identified: boolean): Cached | undefined {
    const cached = this.#atHand(account);
    if (cached === undefined) return undefined;
    if (accessKey === undefined) return identified ? cached : undefined;
    return cached.proved !== undefined && sameKey(cached.proved, accessKey) ? cached : undefined;
  }

  /** By the directory: the account, or `undefined` for a wrong key and an unknown account, after the same work. */
  async admit({ account, accessKey, identified }: Shown): Promise<Cached | undefined> {
    const before = this.#changes;
    const record = await this.#directory.account(account);
    if (accessKey === undefined) {
      return identified && record !== undefined ? this.#keep(record, before) : undefined;
    }
    const isRight = timingSafeEqual(accessKeyHash(accessKey), record?.accessKeyHash ?? NOBODYS_HASH);
    if (!isRight || record === undefined) return undefined;
    const cached = this.#keep(record, before);
    cached.proved = Uint8Array.from(accessKey);
    return cached;
  }

  /** Device list and certificates as of now; undefined where the account has gone meanwhile. */
  async listing(account: AccountId, cached: Cached): Promise<Listing | undefined> {
    const record = await this.#directory.account(account);
    if (record === undefined) return undefined;
    const { listVersion: version, deviceList, devices } = record;
    cached.listing = { version, deviceList, certificates: devices.map((d) => d.certificate) };
    return cached.listing;
  }

  #atHand(account: AccountId): Cached | undefined {
    const cached = this.#cache.get(account);
    return cached !== undefined && cached.until > this.#now() ? cached : undefined;
  }

  /** Only accounts that somebody was admitted to are kept: asking for others pushes nothing out. */
  #keep(record: AccountRecord, before: number): Cached {
    const { account } = record;
    const isNews = this.#changes !== before;
    const known = this.#atHand(account);
    if (known !== undefined && !isNews) return known;
    const until = this.#now() + this.#cacheMs;
    const envelopes = new TokenBucket(this.#rate, this.#rate * 2, this.#now());
    const fresh: Cached = {
      record: knownOf(record),
      until,
      envelopes,
      proved: undefined,
      listing: undefined,
    };
    if (isNews) return fresh;
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
}

export type { Cached };

export function knownOf(record: AccountRecord): KnownAccount {
  return {
    listVersion: record.listVersion,
    hidesLastSeen: record.hidesLastSeen === true,
    devices: record.devices.map(({ device }) => ({
      device,
      // Through bytes and back: one flat string, where a joined one is a rope that every map would have to flatten.
      address: Buffer.from(addressOf(record.account, device), "latin1").toString("latin1") as DeviceAddress,
    })),
  };
}

export function deviceIn(known: KnownAccount, device: DeviceNumber): KnownDevice | undefined {
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
