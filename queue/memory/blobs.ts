// Blobs in memory: nothing is kept, everything else is promised. For tests and simulations.
import { gathered } from "../blobs/exactly.ts";
import { blobName, checkLength, checkRange, partName } from "../blobs/names.ts";
import { StoreClosedError } from "../mailbox.ts";
import type { Blobs, MediaId } from "../media.ts";

export interface MemoryBlobsConfig {
  readonly kind: "memory";
}

const CHUNK_BYTES = 65_536;

export class MemoryBlobs implements Blobs {
  readonly #blobs = new Map<MediaId, Map<number, Uint8Array>>();
  #closed = false;

  async put(media: MediaId, part: number, length: number, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    this.#check(media, part);
    checkLength(length);
    const whole = await gathered(bytes, length);
    const parts = this.#blobs.get(media) ?? new Map<number, Uint8Array>();
    this.#blobs.set(media, parts.set(part, whole));
  }

  async get(
    media: MediaId,
    part: number,
    from: number,
    to: number,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    this.#check(media, part);
    checkRange(from, to);
    const whole = this.#blobs.get(media)?.get(part);
    return whole === undefined || whole.length < to ? undefined : chunksOf(whole.subarray(from, to));
  }

  async parts(media: MediaId): Promise<ReadonlyMap<number, number>> {
    this.#check(media);
    return new Map([...(this.#blobs.get(media) ?? [])].map(([part, bytes]) => [part, bytes.length]));
  }

  async remove(media: MediaId): Promise<void> {
    this.#check(media);
    this.#blobs.delete(media);
  }

  async *list(): AsyncGenerator<MediaId> {
    this.#check();
    yield* this.#blobs.keys();
  }

  place(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#blobs.clear();
    return Promise.resolve();
  }

  #check(media?: MediaId, part = 0): void {
    if (this.#closed) throw new StoreClosedError("the blobs are closed");
    if (media !== undefined) blobName(media);
    partName(part);
  }
}

/** Copies, which are the caller's: `slice` of a buffer would be none. */
async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
    yield Uint8Array.from(bytes.subarray(at, at + CHUNK_BYTES));
}
