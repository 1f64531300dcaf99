// What a client is made with, and the parts that follow from it.
import { type Random, systemRandom } from "@lethe/crypto";
import type { Chance } from "./delivery/events.ts";
import { type Clock, systemClock } from "./edge/clock.ts";
import { platformSocket, platformStore } from "./edge/platform.ts";
import { RelayHttp } from "./edge/relay-http.ts";
import type { OpenSocket } from "./edge/socket.ts";
import { ClientError } from "./errors.ts";
import type { ClientStore } from "./store/store.ts";

export interface ClientOptions {
  /** The relay's address, http or https; several are tried one after the other. */
  readonly relay: string | readonly string[];
  /** The name of this account: 3 to 32 of a-z, 0-9, dot, underscore and hyphen. */
  readonly user: string;
  /** A file of its own for this account (in a browser: a database of that name), or a store. It is closed with the client. */
  readonly store: string | ClientStore;
  /** For a store that is a file; without one the key is kept in a file beside it. */
  readonly passphrase?: string;
  /** What the relay asks of new accounts, if it does: an invite, or a token of its operator's login. Used once, to register. */
  readonly ticket?: string;
  /** Mail of strangers: `ask` keeps it until it is decided about (default), `accept` takes it. */
  readonly requests?: "ask" | "accept";
  /** Receipts wait at random up to this long, ms; default 5,000. */
  readonly receiptJitterMs?: number;
  /** Mail for this account's other devices waits at random up to this long, ms; default 5,000. */
  readonly ownJitterMs?: number;
  /** One-time keys that were handed out are replaced at random up to this long after it was noticed, ms; default an hour. */
  readonly refillJitterMs?: number;
  /** For tests and other platforms. */
  readonly clock?: Clock;
  readonly random?: Random;
  readonly openSocket?: OpenSocket;
}

/** For a device that becomes one of an account; `user`: the only account that it will be of, where that is known. */
export type LinkedOptions = Omit<ClientOptions, "user" | "ticket"> & { readonly user?: string };

export interface Contact {
  readonly user: string;
  /** 32 hexadecimal characters. */
  readonly account: string;
  readonly decision: "none" | "accepted" | "blocked";
  /** The safety number was compared. */
  readonly verified: boolean;
}

export interface Opened {
  readonly store: ClientStore;
  readonly urls: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly chance: Chance;
  readonly http: RelayHttp;
  readonly openSocket: OpenSocket;
}

/** @throws ClientError, StoreError */
export async function openParts(options: Omit<ClientOptions, "user">): Promise<Opened> {
  const urls = (typeof options.relay === "string" ? [options.relay] : options.relay).map(baseOf);
  if (urls.length === 0) throw new ClientError("relay-unreachable", "no address is given");
  const { clock = systemClock, random = systemRandom } = options;
  const openSocket = options.openSocket ?? (await platformSocket());
  const store =
    typeof options.store === "string"
      ? await platformStore(options.store, options.passphrase)
      : options.store;
  const http = new RelayHttp({ urls, clock, random });
  return { store, urls, clock, random, chance: chanceOf(random), http, openSocket };
}

/** The address without anything behind the host and path. @throws ClientError relay-unreachable */
export function baseOf(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw new ClientError("relay-unreachable", `${address} is no http or https address`);
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

/** 48 random bits are a fraction. */
function chanceOf(random: Random): Chance {
  return {
    bytes: (length) => random.bytes(length),
    fraction: () => random.bytes(6).reduce((value, byte) => value * 256 + byte, 0) / 2 ** 48,
  };
}
