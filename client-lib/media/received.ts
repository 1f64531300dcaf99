// A file that somebody has sent, as its message describes it, and the ways to it. Always true: nothing of it is fetched before it
// is asked for; the code that fetches is loaded then.
import { ClientError } from "../errors.ts";
import { type MediaFields, unless } from "../said.ts";
import { encodeRef, type MediaRef } from "./media-ref.ts";
import type { MediaSink } from "./sink.ts";
import type { Progress } from "./upload.ts";

export interface FetchOptions {
  /** Told as the file comes: bytes of it that are here, and its size. */
  readonly progress?: Progress;
  /** Ends it; its reason is thrown. */
  readonly signal?: AbortSignal;
}

export interface ReadOptions extends FetchOptions {
  /** True: the relay keeps the file for this device until `discard`, so that it can be read again. */
  readonly keep?: boolean;
}

export interface ReceivedMedia {
  /** The sender's claim: for a file's name take `safeName` of it. */
  readonly name: string;
  /** The sender's claim of the media type. */
  readonly type: string;
  /** Bytes. */
  readonly size: number;
  readonly caption: string | undefined;
  /** A small picture of it, at most 16 KiB; undefined after `client.media.open`. */
  readonly thumbnail: Uint8Array | undefined;
  /** Pixels, where the sender has said so. */
  readonly width: number | undefined;
  readonly height: number | undefined;
  /** All that it takes to fetch it later, with `client.media.open`: keep it as you keep messages, it holds the key. */
  readonly ref: Uint8Array;
  /**
   * Its bytes, as they authenticate. It is whole and genuine only when the iterator has ended without throwing: the relay is
   * told then that this device has it. @throws ClientError
   */
  read(options?: ReadOptions): AsyncIterable<Uint8Array>;
  /** All of it, if it is no more than `cap` bytes. @throws ClientError media-over-cap, and as `read` */
  bytes(cap: number, options?: ReadOptions): Promise<Uint8Array>;
  /** Writes it to where the application keeps files, goes on after cuts and restarts; in Node see `saveMedia`. @throws ClientError */
  save(sink: MediaSink, options?: FetchOptions): Promise<void>;
  /** This device does not want it, or has it: the relay need not keep it for this device. Resolves when that is in the store. */
  discard(): Promise<void>;
}

/** What fetches. */
export interface Fetching {
  read(ref: MediaRef, options: ReadOptions): AsyncIterable<Uint8Array>;
  save(ref: MediaRef, sink: MediaSink, options: FetchOptions): Promise<void>;
  discard(ref: MediaRef): Promise<void>;
}

export function receivedMedia(
  fields: MediaRef & Partial<Pick<MediaFields, "thumbnail">>,
  fetching: () => Promise<Fetching>,
): ReceivedMedia {
  const { name, type, size, caption, thumbnail, width, height } = fields;
  const read = async function* (options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    yield* (await fetching()).read(fields, options);
  };
  return {
    name,
    type,
    size,
    caption: unless("", caption),
    thumbnail: thumbnail?.length === 0 ? undefined : thumbnail,
    width: unless(0, width),
    height: unless(0, height),
    ref: encodeRef(fields),
    read,
    bytes: (cap, options) => all(read(options), size, cap),
    save: async (sink, options = {}) => (await fetching()).save(fields, sink, options),
    discard: async () => (await fetching()).discard(fields),
  };
}

async function all(read: AsyncIterable<Uint8Array>, size: number, cap: number): Promise<Uint8Array> {
  if (size > cap) throw new ClientError("media-over-cap", `${size} bytes`);
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const piece of read) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
