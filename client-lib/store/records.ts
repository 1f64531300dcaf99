// How a row stands in the file: under a keyed hash of its key, encrypted, bound to its place. (crypto.md 1.10)
// Always true: table and key are not readable from the file; a record that was moved, exchanged or altered does not
// open; the digest of all records tells when one of them was put back to what it was.
// Runs in every platform: no `Buffer`, no `node:`.
import { blake2b, systemRandom, xchachaOpen, xchachaSeal } from "@lethe/crypto";
import { fromBytes, toBytes, joined } from "@lethe/protocol";
import { StoreError } from "./store.ts";

export const SCHEMA_VERSION = 1;
/** Random, drawn for each record. */
export const NONCE_BYTES = 24;
const PLACE_BYTES = 32;
const LABEL = "Lethe/store/v1";
const KEY_LENGTH_BYTES = 2;
const TAG_BYTES = 16;
const utf8 = new TextEncoder();
const LABEL_BYTES = utf8.encode(LABEL);
const VERSION_BYTES = Uint8Array.of(SCHEMA_VERSION);

/** The place of a record: 32 bytes, BLAKE2b-256 of a secret, table and key (it has no length extension). */
export type Place = Uint8Array;

export class Records {
  readonly #recordKey: Uint8Array;
  readonly #placeKey: Uint8Array;
  readonly #digestKey: Uint8Array;
  readonly #storeId: Uint8Array;
  readonly #names = new Map<string, Uint8Array>();

  /** `dataKey`: 32 bytes. `storeId`: 16 bytes. */
  constructor(dataKey: Uint8Array, storeId: Uint8Array) {
    const derive = (what: string) => blake2b(32, dataKey, utf8.encode(`${LABEL}/${what}`));
    this.#recordKey = derive("record");
    this.#placeKey = derive("place");
    this.#digestKey = derive("digest");
    this.#storeId = storeId;
  }

  /** A table's name, length first. Tables are few: constants of this library. */
  #name(table: string): Uint8Array {
    const known = this.#names.get(table);
    if (known !== undefined) return known;
    const name = lengthPrefixed(utf8.encode(table));
    this.#names.set(table, name);
    return name;
  }

  placeOf(table: string, key: string): Place {
    return blake2b(PLACE_BYTES, this.#placeKey, this.#name(table), toBytes(key));
  }

  seal(table: string, key: string, value: Uint8Array): Uint8Array {
    const nonce = systemRandom.bytes(NONCE_BYTES);
    const plain = joined(lengthPrefixed(toBytes(key)), value);
    const ad = this.#bound(table, this.placeOf(table, key));
    const sealed = xchachaSeal({ key: this.#recordKey, nonce, ad }, plain);
    plain.fill(0);
    return joined(nonce, sealed);
  }

  /** @throws StoreError store-damaged */
  open(table: string, place: Place, record: Uint8Array): { key: string; value: Uint8Array } {
    const nonce = record.subarray(0, NONCE_BYTES);
    const ad = this.#bound(table, place);
    const plain = xchachaOpen({ key: this.#recordKey, nonce, ad }, record.subarray(NONCE_BYTES));
    if (plain === undefined || plain.length < KEY_LENGTH_BYTES) throw new StoreError("store-damaged", table);
    const end = KEY_LENGTH_BYTES + (plain[0] ?? 0) * 256 + (plain[1] ?? 0);
    return { key: fromBytes(plain.subarray(KEY_LENGTH_BYTES, end)), value: plain.slice(end) };
  }

  /** The associated data: store, table, place, schema version. */
  #bound(table: string, place: Place): Uint8Array[] {
    return [LABEL_BYTES, this.#storeId, this.#name(table), place, VERSION_BYTES];
  }

  /**
   * A record's share of the digest: 32 bytes. Shares are combined by XOR; nonces are random, so no two records of one
   * store have ever the same share, and a record put back changes the digest.
   */
  share(table: string, place: Place, record: Uint8Array): Uint8Array {
    const bound = [this.#name(table), place];
    const [nonce, tag] = [record.subarray(0, NONCE_BYTES), record.subarray(-TAG_BYTES)];
    return blake2b(PLACE_BYTES, this.#digestKey, ...bound, nonce, tag);
  }
}

/** Combines a share with a digest, in place. The same share twice is none. */
export function combine(digest: Uint8Array, share: Uint8Array): void {
  for (let i = 0; i < PLACE_BYTES; i++) digest[i] = (digest[i] ?? 0) ^ (share[i] ?? 0);
}

function lengthPrefixed(bytes: Uint8Array): Uint8Array {
  return joined(Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes);
}
