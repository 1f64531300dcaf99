// The login service's keys, from a file or an address, as they are now. Always true: a new key counts without a signal, a
// withdrawn one ends within the times below, and keys that cannot be had vouch for nobody; looking is bounded.
import { readFile } from "node:fs/promises";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from "jose";

/** How often a file is looked at while tokens come, and how often keys that nobody knows can make us look anew, ms. */
export const LOOK_EVERY_MS = 2_000;
/** How long the keys of an address are used without asking again, ms. */
const FRESH_MS = 300_000;
/** How long an address has to answer, ms. */
const TIMEOUT_MS = 5_000;
/** A set of a hundred RSA keys is 50 KB. */
const MAX_SET_CHARACTERS = 1_048_576;

/** @param instant monotonic clock, ms. @throws Error where a file cannot be read or holds no key set. */
export async function openKeySet(
  from: string,
  instant: () => number = () => performance.now(),
): Promise<JWTVerifyGetKey> {
  if (/^https?:\/\//.test(from))
    return createRemoteJWKSet(new URL(from), {
      timeoutDuration: TIMEOUT_MS,
      cooldownDuration: LOOK_EVERY_MS,
      cacheMaxAge: FRESH_MS,
    });
  const file = new KeyFile(from, instant);
  await file.open();
  return (header, token) => file.key(header, token);
}

class KeyFile {
  readonly #path: string;
  readonly #instant: () => number;
  #text = "";
  #keys: JWTVerifyGetKey = () => Promise.reject(new Error("no keys yet"));
  #looked = Number.NEGATIVE_INFINITY;
  #missed = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  constructor(path: string, instant: () => number) {
    this.#path = path;
    this.#instant = instant;
  }

  async open(): Promise<void> {
    this.#looked = this.#instant();
    await this.#read();
  }

  async key(...token: Parameters<JWTVerifyGetKey>): Promise<Awaited<ReturnType<JWTVerifyGetKey>>> {
    if (this.#instant() - this.#looked >= LOOK_EVERY_MS) await this.#look();
    try {
      return await this.#keys(...token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !this.#mayLookForMissing()) throw error;
      await this.#look();
      return this.#keys(...token);
    }
  }

  // Whoever comes while the file is being read waits for that, and has its answer from what was found.
  #mayLookForMissing(): boolean {
    if (this.#looking !== undefined) return true;
    const now = this.#instant();
    if (now - this.#missed < LOOK_EVERY_MS) return false;
    this.#missed = now;
    return true;
  }

  #look(): Promise<void> {
    this.#looked = this.#instant();
    this.#looking ??= this.#read()
      .catch((error: unknown) => {
        this.#text = ""; // nobody is vouched for by keys that may have been withdrawn
        this.#keys = () => Promise.reject(error as Error);
      })
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async #read(): Promise<void> {
    const text = await readFile(this.#path, "utf8");
    if (text === this.#text) return;
    if (text.length > MAX_SET_CHARACTERS) throw new Error(`${this.#path} is too large for a key set`);
    this.#keys = createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
    this.#text = text;
  }
}
