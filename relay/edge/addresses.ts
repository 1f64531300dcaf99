// What one network address may have: connections, of them not proven yet, envelopes a second, registrations an hour.
// Always true: an address is remembered while something of it is open, or while forgetting it would give it more; those
// who are remembered are capped, and a crowd of new ones is refused before those who are connected.
import { TokenBucket } from "./token-bucket.ts";

export interface AddressLimits {
  /** Connections of one address. */
  readonly connections: number;
  /** Connections that have not proved who they are, of one address and of all. */
  readonly unproven: number;
  readonly unprovenInAll: number;
  /** Envelopes a second, and at once. */
  readonly envelopes: number;
  /** Registrations an hour, and at once. */
  readonly registrations: number;
  /** Whether this machine's own addresses are limited too: behind a proxy on it, everybody comes from there. */
  readonly local: boolean;
}

/** Addresses remembered at most: about 20 MB. */
const MAX_REMEMBERED = 100_000;
const LOCAL = /^(?:127\.\d+\.\d+\.\d+|0:0:0:0|)$/;
const UNLIMITED = Number.POSITIVE_INFINITY;

/** One address, shared by its connections. */
export interface Address {
  readonly remote: string;
  open: number;
  unproven: number;
  readonly envelopes: TokenBucket;
  readonly registrations: TokenBucket;
}

export class Addresses {
  #limits: AddressLimits;
  readonly #now: () => number;
  readonly #known = new Map<string, Address>();
  #unproven = 0;

  constructor(limits: AddressLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Other limits, from now on; addresses that are known keep their rates until they are forgotten. */
  relimit(limits: AddressLimits): void {
    this.#limits = limits;
  }

  get remembered(): number {
    return this.#known.size;
  }

  get unproven(): number {
    return this.#unproven;
  }

  /** Whether there may be no more connections, of this address or of any. */
  isFull(remote: string): boolean {
    const { connections, unproven, unprovenInAll } = this.#limits;
    if (this.#unproven >= unprovenInAll) return true;
    const known = this.#known.get(remote);
    if (known === undefined || !this.isLimited(remote)) return false;
    return known.open >= connections || known.unproven >= unproven;
  }

  /** Counts a new connection, not proven yet; undefined where there may be no more. */
  connect(remote: string): Address | undefined {
    if (this.isFull(remote)) return undefined;
    const address = this.of(remote);
    address.open++;
    address.unproven++;
    this.#unproven++;
    return address;
  }

  /** The connection has proved who it is, or has said that it will not. */
  proven(address: Address): void {
    address.unproven--;
    this.#unproven--;
  }

  closed(address: Address, wasProven: boolean): void {
    address.open--;
    if (!wasProven) this.proven(address);
    if (this.#canForget(address)) this.#known.delete(address.remote);
  }

  of(remote: string): Address {
    const known = this.#known.get(remote);
    if (known !== undefined) return known;
    const limited = this.isLimited(remote);
    const { envelopes, registrations } = this.#limits;
    const now = this.#now();
    const address: Address = {
      remote,
      open: 0,
      unproven: 0,
      envelopes: new TokenBucket(limited ? envelopes : UNLIMITED, envelopes * 2, now),
      registrations: new TokenBucket(limited ? registrations / 3_600 : UNLIMITED, registrations, now),
    };
    if (this.#known.size >= MAX_REMEMBERED) this.#forgetOne();
    this.#known.set(remote, address);
    return address;
  }

  /** Whether the address has limits at all: this machine's own have none where that was not asked for. */
  isLimited(remote: string): boolean {
    return this.#limits.local || !LOCAL.test(remote);
  }

  #canForget({ open, envelopes, registrations }: Address): boolean {
    const now = this.#now();
    return open === 0 && envelopes.isFull(now) && registrations.isFull(now);
  }

  // The oldest without a connection; those with one go to the end of the line, where they are not met again soon.
  #forgetOne(): void {
    let looked = 0;
    for (const [remote, address] of this.#known) {
      this.#known.delete(remote);
      if (address.open === 0) return;
      this.#known.set(remote, address);
      if (++looked === MAX_REMEMBERED) return; // all are connected: then they are as many as there are connections
    }
  }
}
