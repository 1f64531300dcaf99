// Fetching files for the application. Always true: the relay is told that this device has a file only after all of it was
// verified and the application has it; what a sink has of it goes on from the last position that is durable.
import {
  mediaParts,
  type AccountId,
  addressOf,
  type DeviceNumber,
  decodeAll,
  encode,
  fromBytes,
  joined,
  u64,
} from "@lethe/protocol";
import {
  dataBefore,
  blake2b,
  decodeMediaPosition,
  encodeMediaPosition,
  type MediaPosition,
  releaseToken,
  sealedSize,
  Secret,
} from "@lethe/crypto";
import type { Row, Write } from "../delivery/events.ts";
import { ClientError } from "../errors.ts";
import { Download, type DownloadParts } from "./download.ts";
import { MAX_DOWNLOADS, MS_PER_POSITION, PARTS_PER_POSITION, RELEASE_MS, STOP_MS } from "./limits.ts";
import type { MediaRef } from "./media-ref.ts";
import type { Fetching, FetchOptions, ReadOptions } from "./received.ts";
import type { Releases } from "./releases.ts";
import { downloadRow, putMedia, removeMedia } from "./rows.ts";
import type { MediaSink } from "./sink.ts";

export interface FetchesParts extends DownloadParts {
  readonly releases: Releases;
  readonly account: AccountId;
  readonly device: DeviceNumber;
  readonly commit: (writes: readonly Write[]) => Promise<void>;
}

/** Nothing that was written is worth keeping: it is not the file, or the rest never comes. */
const WORTHLESS: readonly string[] = [
  "media-gone",
  "media-corrupt",
  "media-truncated",
  "media-too-long",
  "media-size-differs",
  "media-digest-differs",
];

export class Fetches implements Fetching {
  readonly #parts: FetchesParts;
  /** By blob, as a message describes it, and place: how far a sink has it. */
  readonly #positions: Map<string, { readonly at: number; readonly position: MediaPosition }>;
  /** By place. */
  readonly #active = new Map<string, Promise<void>>();
  readonly #end = new AbortController();

  constructor(parts: FetchesParts, rows: readonly Row[]) {
    this.#parts = parts;
    const found = rows.map(({ key, value }) => [key, decodeAll(downloadRow, value)] as const);
    const read = found.map(
      ([key, { at, position }]) => [key, { at, position: decodeMediaPosition(position) }] as const,
    );
    this.#positions = new Map(read.sort((a, b) => a[1].at - b[1].at));
  }

  async *read(ref: MediaRef, options: ReadOptions): AsyncGenerator<Uint8Array> {
    const { progress, keep = false } = options;
    let done = 0;
    for await (const { data } of this.#download(ref).read(undefined, this.#signal(options))) {
      if (data.length === 0) continue;
      yield data;
      done += data.length;
      progress?.(done, ref.size);
    }
    if (!keep) await this.discard(ref);
  }

  async discard(ref: MediaRef): Promise<void> {
    const places = [...this.#positions.keys()].filter((key) => key.startsWith(fromBytes(ref.id)));
    await this.#release(ref, places);
  }

  async save(ref: MediaRef, sink: MediaSink, options: FetchOptions): Promise<void> {
    if (this.#active.has(sink.place)) throw new ClientError("media-under-way", sink.place);
    const saving = this.#save(ref, sink, options);
    this.#active.set(sink.place, saving);
    try {
      await saving;
    } finally {
      this.#active.delete(sink.place);
    }
  }

  async #save(ref: MediaRef, sink: MediaSink, options: FetchOptions): Promise<void> {
    const key = keyOf(ref, sink);
    try {
      if (await this.#isThere(ref, sink, key)) return await this.#release(ref, []);
      await this.#write(ref, sink, key, options);
      await sink.finish(ref.size);
      await this.#release(ref, []);
    } catch (error) {
      if (isWorthless(error)) {
        await sink.remove();
        await this.#forget([key]);
      }
      throw error;
    } finally {
      await sink.close();
    }
  }

  /** A message may come again whose file is in its place already: that is remembered as the last position. */
  async #isThere(ref: MediaRef, sink: MediaSink, key: string): Promise<boolean> {
    if (this.#positions.get(key)?.position.part !== mediaParts(sealedSize(ref.size))) return false;
    try {
      await sink.finish(ref.size);
      return true;
    } catch (error) {
      if (!(error instanceof ClientError && error.code === "media-not-saved")) throw error;
      await this.#forget([key]);
      return false;
    }
  }

  /** All of it is written, verified and durable. */
  async #write(ref: MediaRef, sink: MediaSink, key: string, options: FetchOptions): Promise<void> {
    const { size } = ref;
    let from = this.#positions.get(key)?.position;
    if (!(await sink.begin(dataBefore(size, from?.part ?? 0)))) {
      from = undefined;
      if (!(await sink.begin(0))) throw new ClientError("media-not-saved", sink.place);
    }
    let part = from?.part ?? 0;
    const parts = mediaParts(sealedSize(size));
    options.progress?.(dataBefore(size, part), size);
    const { clock } = this.#parts;
    let keptAt = clock.now();
    /** Behind what was written since the last one. */
    let next: Promise<MediaPosition> | undefined;
    const keep = async (): Promise<void> => {
      if (next === undefined) return;
      await sink.flush();
      await this.#reach(key, await next);
      [next, keptAt] = [undefined, clock.now()];
    };
    try {
      for await (const { data, position } of this.#download(ref).read(from, this.#signal(options))) {
        await sink.write(data);
        next = position();
        part += 1;
        options.progress?.(dataBefore(size, part), size);
        const isDue = part % PARTS_PER_POSITION === 0 || clock.now() - keptAt >= MS_PER_POSITION;
        if (isDue || part === parts) await keep();
      }
    } catch (error) {
      // What has stopped it is told; the next try goes on from here if it can.
      if (!isWorthless(error)) await keep().catch(() => undefined);
      throw error;
    }
  }

  async #reach(key: string, position: MediaPosition): Promise<void> {
    const at = this.#parts.clock.now();
    const row = { format: "one", at, position: encodeMediaPosition(position) } as const;
    const old = [...this.#positions].filter(([, each]) => at - each.at > RELEASE_MS).map(([place]) => place);
    if (this.#positions.size >= MAX_DOWNLOADS) old.push(...[...this.#positions.keys()].slice(0, 1));
    const rest = old.filter((place) => place !== key);
    const writes = rest.map((place) => removeMedia("media-download", place));
    await this.#parts.commit([putMedia("media-download", key, downloadRow, row), ...writes]);
    for (const place of rest) this.#positions.delete(place);
    this.#positions.set(key, { at, position });
  }

  async #release(ref: MediaRef, places: readonly string[]): Promise<void> {
    const writes = places.map((place) => removeMedia("media-download", place));
    await this.#parts.releases.owe(ref.id, this.#token(ref), ...writes);
    for (const place of places) this.#positions.delete(place);
  }

  async #forget(places: readonly string[]): Promise<void> {
    await this.#parts.commit(places.map((place) => removeMedia("media-download", place)));
    for (const place of places) this.#positions.delete(place);
  }

  #download(ref: MediaRef): Download {
    const { id, key, size, digest } = ref;
    return new Download(this.#parts, {
      key: { id, key: new Secret(key) },
      token: this.#token(ref),
      size,
      digest,
    });
  }

  #token({ id, key }: MediaRef): Uint8Array {
    const { account, device } = this.#parts;
    return releaseToken({ id, key: new Secret(key) }, addressOf(account, device));
  }

  #signal({ signal }: FetchOptions): AbortSignal {
    return signal === undefined ? this.#end.signal : AbortSignal.any([signal, this.#end.signal]);
  }

  /** Sinks have a second to keep what they were given. */
  async stop(): Promise<void> {
    this.#end.abort(new ClientError("closed"));
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancel = this.#parts.clock.after(STOP_MS, resolve);
    await Promise.race([Promise.allSettled(this.#active.values()), late]);
    cancel();
  }
}

function isWorthless(error: unknown): boolean {
  return error instanceof ClientError && WORTHLESS.includes(error.code);
}

/** A blob, which two messages may describe differently, and a place: what a sink is called is nothing that a store's keys
 *  should tell. */
function keyOf({ id, key, size, digest }: MediaRef, { place }: MediaSink): string {
  const what = joined(key, digest, encode(u64, size), new TextEncoder().encode(place));
  return fromBytes(id) + fromBytes(blake2b(32, what).slice(0, 16));
}
