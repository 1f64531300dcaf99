// Where chance comes from: one injectable source, so that tests are deterministic. The system's own source draws from
// globalThis.crypto into a pool of 4 KiB whose bytes are wiped as they are handed out.

/** A source of uniformly random bytes. */
export interface Random {
  /** A fresh array that the caller owns. */
  bytes(length: number): Uint8Array;
}

const POOL_BYTES = 4_096;
const pool = new Uint8Array(POOL_BYTES);
let used = POOL_BYTES;

/** The system's cryptographic random source (Web Cryptography API, `getRandomValues`). */
export const systemRandom: Random = {
  bytes(length) {
    if (length > POOL_BYTES) throw new RangeError(); // more than the pool holds
    if (used + length > POOL_BYTES) {
      globalThis.crypto.getRandomValues(pool);
      used = 0;
    }
    const out = pool.slice(used, used + length);
    pool.fill(0, used, used + length);
    used += length;
    return out;
  },
};
