/// <reference lib="dom" />
// The data key of a store in a browser: wrapped by a WebCrypto key that no script can read, kept beside it in IndexedDB;
// and the mark in localStorage by which it is noticed that the browser has removed the store. (crypto.md 1.10)
// Always true: the data key is in no storage in clear.
import { systemRandom } from "@lethe/crypto";
import { joined } from "@lethe/protocol";
import { StoreError } from "./store.ts";

const KEY_BYTES = 32;
/** AES-GCM's own length of a nonce (NIST SP 800-38D, 5.2.1.1). */
const IV_BYTES = 12;
const LABEL = new TextEncoder().encode("Lethe/store/v1/data-key");

export interface WrappedKey {
  /** AES-GCM-256, not extractable: structured clone keeps it so. */
  readonly wrappingKey: CryptoKey;
  readonly wrapped: Uint8Array<ArrayBuffer>;
}

/** A new data key of 32 bytes, and what to keep of it. */
export async function makeDataKey(storeId: Uint8Array): Promise<WrappedKey & { dataKey: Uint8Array }> {
  const algorithm = { name: "AES-GCM", length: 256 };
  const wrappingKey = await crypto.subtle.generateKey(algorithm, false, ["encrypt", "decrypt"]);
  const dataKey = systemRandom.bytes(KEY_BYTES);
  const iv = systemRandom.bytes(IV_BYTES);
  const sealed = await crypto.subtle.encrypt(parameters(iv, storeId), wrappingKey, Uint8Array.from(dataKey));
  const wrapped = new Uint8Array(IV_BYTES + sealed.byteLength);
  wrapped.set(iv);
  wrapped.set(new Uint8Array(sealed), IV_BYTES);
  return { dataKey, wrappingKey, wrapped };
}

/** @throws StoreError store-damaged */
export async function openDataKey(kept: WrappedKey, storeId: Uint8Array): Promise<Uint8Array> {
  const { wrappingKey, wrapped } = kept;
  try {
    const how = parameters(wrapped.subarray(0, IV_BYTES), storeId);
    return new Uint8Array(await crypto.subtle.decrypt(how, wrappingKey, wrapped.subarray(IV_BYTES)));
  } catch {
    throw new StoreError("store-damaged", "data key");
  }
}

function parameters(iv: Uint8Array, storeId: Uint8Array): AesGcmParams {
  return { name: "AES-GCM", iv: Uint8Array.from(iv), additionalData: joined(LABEL, storeId) };
}

/** Outlives an IndexedDB that the browser has emptied. Where there is no localStorage (a worker), nothing is noticed. */
export class Mark {
  readonly #key: string;
  readonly #storage: Storage | undefined;

  constructor(name: string) {
    this.#key = `lethe/store/${name}`;
    this.#storage = storage();
  }

  isThere(): boolean {
    return (this.#storage?.getItem(this.#key) ?? null) !== null;
  }

  put(): void {
    try {
      this.#storage?.setItem(this.#key, "made");
    } catch {
      // Full, or switched off: an eviction then looks like a new store.
    }
  }

  remove(): void {
    this.#storage?.removeItem(this.#key);
  }
}

function storage(): Storage | undefined {
  try {
    return typeof document === "undefined" ? undefined : globalThis.localStorage;
  } catch {
    return undefined;
  }
}
