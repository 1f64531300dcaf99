// What stands for sealed envelopes in a load: ids from the system's chance, and bytes that nobody can compress or open.
import { randomBytes } from "node:crypto";
import type { EnvelopeId } from "@lethe/protocol";

/** Bytes of one ciphertext. */
export const CIPHERTEXT_BYTES = 256;
const ID_BYTES = 16;
const PLACES = 65_536;

const pool = randomBytes(PLACES + CIPHERTEXT_BYTES);

export class SealedBytes {
  readonly #bytes: number;
  /** Ciphertexts are cut from these at places that the id chooses. */
  readonly #pool: Buffer;
  #ids = "";
  #at = 0;

  /** @param bytes of one ciphertext. */
  constructor(bytes = CIPHERTEXT_BYTES) {
    this.#bytes = bytes;
    this.#pool = bytes === CIPHERTEXT_BYTES ? pool : randomBytes(PLACES + bytes);
  }

  next(): { id: EnvelopeId; ciphertext: Uint8Array } {
    if (this.#at === this.#ids.length) {
      this.#ids = randomBytes(ID_BYTES * 256).toString("latin1");
      this.#at = 0;
    }
    const id = this.#ids.slice(this.#at, this.#at + ID_BYTES) as EnvelopeId;
    this.#at += ID_BYTES;
    const start = (id.charCodeAt(0) << 8) | id.charCodeAt(1);
    return { id, ciphertext: this.#pool.subarray(start, start + this.#bytes) };
  }
}
