// libsodium's secretstream (XChaCha20-Poly1305 in chunks, each bound to those before it), a run of chunks in one call. The
// state lives with the caller and is in the scratch area for one call only. Always true: a state moves on only when the whole
// run was done, and nothing of a run is given out of which one chunk did not authenticate.
import { clear, get, lib, NULL, put, putRange, room } from "./sodium.ts";

/** k 32, counter 4, inonce 8, padding 8. */
export const STREAM_STATE_BYTES = 52;
export const STREAM_HEADER_BYTES = 24;
/** Plaintext of a chunk; only the last one of a stream is shorter. */
export const CHUNK_BYTES = 65_536;
/** What a chunk grows by: its encrypted tag, and the MAC of 16 bytes. */
export const CHUNK_OVERHEAD_BYTES = 17;
export const SEALED_CHUNK_BYTES = CHUNK_BYTES + CHUNK_OVERHEAD_BYTES;

/** TAG_MESSAGE and TAG_FINAL of libsodium. */
export const STREAM_TAG = { message: 0, final: 3 } as const;

function succeeded(result: number): void {
  if (result !== 0) throw new Error(); // libsodium refused a call that cannot fail
}

/** The state at a stream's beginning, for both sides: 52 secret bytes. `key` has 32 bytes, `header` 24. */
export function streamState(key: Uint8Array, header: Uint8Array): Uint8Array {
  if (key.length !== 32 || header.length !== STREAM_HEADER_BYTES) throw new RangeError();
  try {
    const state = room(STREAM_STATE_BYTES);
    succeeded(lib()._crypto_secretstream_xchacha20poly1305_init_pull(state, put(header), put(key)));
    return get(state, STREAM_STATE_BYTES);
  } finally {
    clear();
  }
}

/** What a run of chunks is sealed with. */
export interface Pushing {
  /** Of the first chunk; the others have none. */
  readonly ad: Uint8Array;
  /** Whether the last chunk ends the stream. */
  readonly final: boolean;
  /** Plaintext in parts; zeros follow up to `length`. */
  readonly plain: readonly Uint8Array[];
  readonly length: number;
}

/** The sealed chunks one after another. `state` is moved on. */
export function pushChunks(state: Uint8Array, { ad, final, plain, length }: Pushing): Uint8Array {
  try {
    const raw = lib();
    const chunks = Math.ceil(length / CHUNK_BYTES);
    const out = new Uint8Array(length + chunks * CHUNK_OVERHEAD_BYTES);
    const [at, a, c] = [put(state), put(ad), room(SEALED_CHUNK_BYTES)];
    for (let i = 0; i < chunks; i++) {
      const size = Math.min(CHUNK_BYTES, length - i * CHUNK_BYTES);
      putRange(c + 1, plain, i * CHUNK_BYTES, size); // in place: where its ciphertext will be
      const tag = final && i === chunks - 1 ? STREAM_TAG.final : STREAM_TAG.message;
      const adLength = i === 0 ? ad.length : 0;
      succeeded(
        raw._crypto_secretstream_xchacha20poly1305_push(at, c, NULL, c + 1, size, 0, a, adLength, 0, tag),
      );
      out.set(raw.HEAPU8.subarray(c, c + size + CHUNK_OVERHEAD_BYTES), i * SEALED_CHUNK_BYTES);
    }
    state.set(get(at, STREAM_STATE_BYTES));
    return out;
  } finally {
    clear();
  }
}

/** What a run of chunks has given. */
export interface Pulled {
  readonly plain: Uint8Array;
  /** The tag of each chunk. */
  readonly tags: Uint8Array;
}

/**
 * Opens chunks that stand one after another, the first with `ad`; undefined where one of them does not authenticate, and
 * then `state` is as it was. Else it is moved on.
 */
export function pullChunks(state: Uint8Array, ad: Uint8Array, sealed: Uint8Array): Pulled | undefined {
  const tags = new Uint8Array(Math.ceil(sealed.length / SEALED_CHUNK_BYTES));
  const plain = new Uint8Array(Math.max(0, sealed.length - tags.length * CHUNK_OVERHEAD_BYTES));
  try {
    const raw = lib();
    const [at, a, tag, c] = [put(state), put(ad), room(1), room(SEALED_CHUNK_BYTES)];
    for (let i = 0; i < tags.length; i++) {
      const chunk = sealed.subarray(i * SEALED_CHUNK_BYTES, (i + 1) * SEALED_CHUNK_BYTES);
      raw.HEAPU8.set(chunk, c);
      const [size, adLength] = [chunk.length, i === 0 ? ad.length : 0];
      const failed = raw._crypto_secretstream_xchacha20poly1305_pull(
        ...([at, c + 1, NULL, tag, c, size, 0, a, adLength, 0] as const),
      );
      if (failed !== 0) {
        plain.fill(0);
        return undefined;
      }
      plain.set(raw.HEAPU8.subarray(c + 1, c + 1 + size - CHUNK_OVERHEAD_BYTES), i * CHUNK_BYTES);
      tags[i] = raw.HEAPU8[tag] as number;
    }
    state.set(get(at, STREAM_STATE_BYTES));
    return { plain, tags };
  } finally {
    clear();
  }
}
