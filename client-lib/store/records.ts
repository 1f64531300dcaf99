// How a row stands in the file: under a keyed hash of its key, encrypted, bound to its place. (crypto.md 1.10)
// Always true: table and key are not readable from the file; a record that was moved, exchanged or altered does not
// open; the digest of all records tells when one of them was put back to what it was.
import { randomBytes } from "node:crypto";
import { blake2b, xchachaOpen, xchachaSeal } from "@lethe/crypto";
import { StoreError } from "./store.ts";

export const SCHEMA_VERSION = 1;
/** Random, drawn for each record. */
export const NONCE_BYTES = 24;
const PLACE_BYTES = 32;
const LABEL = "Lethe/store/v1";
const KEY_LENGTH_BYTES = 2;
const TAG_BYTES = 16;

/** The place of a record: 32 bytes, BLAKE2b-256 of a secret, table and key (it has no length extension). */
export type Place = Uint8Array;

export class Records {
  readonly #recordKey: Uint8Array;
  readonly #placeKey: Uint8Array;
  readonly #digestKey: Uint8Array;
  readonly #storeId: Uint8Array;

  /** `dataKey`: 32 bytes. `storeId`: 16 bytes. */
  constructor(dataKey: Uint8Array, storeId: Uint8Array) {
    const derive = (what: string) => blake2b(32, dataKey, Buffer.from(`${LABEL}/${what}`));
    this.#recordKey = derive("record");
    this.#placeKey = derive("place");
    this.#digestKey = derive("digest");
    this.#storeId = storeId;
  }

  placeOf(table: string, key: string): Place {
    const bound = [lengthPrefixed(Buffer.from(table)), Buffer.from(key, "latin1")];
    return blake2b(PLACE_BYTES, this.#placeKey, ...bound);
  }

  seal(table: string, key: string, value: Uint8Array): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const plain = Buffer.alloc(KEY_LENGTH_BYTES + key.length + value.length);
    plain.writeUInt16BE(key.length);
    plain.write(key, KEY_LENGTH_BYTES, "latin1");
    plain.set(value, KEY_LENGTH_BYTES + key.length);
    const ad = this.#bound(table, this.placeOf(table, key));
    const sealed = xchachaSeal({ key: this.#recordKey, nonce, ad: [ad] }, plain);
    plain.fill(0);
    return Buffer.concat([nonce, sealed]);
  }

  /** @throws StoreError store-damaged */
  open(table: string, place: Place, record: Uint8Array): { key: string; value: Uint8Array } {
    const nonce = record.subarray(0, NONCE_BYTES);
    const ad = this.#bound(table, place);
    const plain = xchachaOpen({ key: this.#recordKey, nonce, ad: [ad] }, record.subarray(NONCE_BYTES));
    if (plain === undefined || plain.length < KEY_LENGTH_BYTES) throw new StoreError("store-damaged", table);
    const view = Buffer.from(plain.buffer, plain.byteOffset, plain.length);
    const end = KEY_LENGTH_BYTES + view.readUInt16BE();
    return { key: view.toString("latin1", KEY_LENGTH_BYTES, end), value: new Uint8Array(view.subarray(end)) };
  }

  /** The associated data: store, table, place, schema version. */
  #bound(table: string, place: Place): Buffer {
    return Buffer.concat([
      Buffer.from(LABEL),
      this.#storeId,
      lengthPrefixed(Buffer.from(table)),
      place,
      Buffer.from([SCHEMA_VERSION]),
    ]);
  }

  /**
   * A record's share of the digest: 32 bytes. Shares are combined by XOR; nonces are random, so no two records of one
   * store have ever the same share, and a record put back changes the digest.
   */
  share(table: string, place: Place, record: Uint8Array): Uint8Array {
    const bound = [lengthPrefixed(Buffer.from(table)), place];
    const [nonce, tag] = [record.subarray(0, NONCE_BYTES), record.subarray(-TAG_BYTES)];
    return blake2b(PLACE_BYTES, this.#digestKey, ...bound, nonce, tag);
  }
}

/** Combines a share with a digest, in place. The same share twice is none. */
export function combine(digest: Uint8Array, share: Uint8Array): void {
  for (let i = 0; i < PLACE_BYTES; i++) digest[i] = (digest[i] ?? 0) ^ (share[i] ?? 0);
}

function lengthPrefixed(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}
