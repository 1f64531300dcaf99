// Where the bytes of an upload come from. Always true: what is read is never more than what was asked for next; a source can be
// read again from any place, for after a cut or a restart the upload goes on where it was.
import { ClientError } from "../errors.ts";
import { MAX_RESUME_BYTES, MAX_STAMP_BYTES } from "./limits.ts";

/** A file as it is uploaded. Implement it for whatever your application keeps files in. */
export interface MediaSource {
  /** Bytes. */
  readonly size: number;
  /** Shown to the recipients, where `sendMedia` is given no other. */
  readonly name?: string;
  /** Media type (RFC 6838), where `sendMedia` is given no other. */
  readonly type?: string;
  /** With what your application finds it again after a restart, at most 4,096 bytes: a path, a key. Kept in the client's store. */
  readonly resume?: string;
  /** Another one whenever the content is another, at most 255 bytes: a file's time of change. */
  readonly stamp?: string;
  /** Its bytes from there on, in pieces of any size, the same each time. */
  read(from: number): AsyncIterable<Uint8Array>;
}

/** Bytes in memory. They must not change before the upload has ended. */
export function bytesSource(
  bytes: Uint8Array,
  about: Pick<MediaSource, "name" | "type" | "resume"> = {},
): MediaSource {
  return {
    ...about,
    size: bytes.length,
    async *read(from) {
      yield bytes.subarray(from);
    },
  };
}

/** A `File` of a form, or any other Blob. */
export function blobSource(blob: Blob, about: Pick<MediaSource, "resume"> = {}): MediaSource {
  const { name, lastModified } = blob as Partial<File>;
  return {
    ...about,
    size: blob.size,
    ...(name === undefined ? {} : { name }),
    ...(blob.type === "" ? {} : { type: blob.type }),
    ...(lastModified === undefined ? {} : { stamp: String(lastModified) }),
    read: (from) => blobPieces(blob, from),
  };
}

/** A Blob's own stream cannot be told how far to read ahead in every browser. */
async function* blobPieces(blob: Blob, from: number): AsyncGenerator<Uint8Array> {
  for (let at = from; at < blob.size; at += BLOB_PIECE)
    yield new Uint8Array(await blob.slice(at, at + BLOB_PIECE).arrayBuffer());
}

const BLOB_PIECE = 1_048_576;

/** A source's bytes in exactly the pieces that are asked for. */
export class SourceReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(source: MediaSource, from: number) {
    this.#pieces = source.read(from)[Symbol.asyncIterator]();
  }

  /** @throws ClientError media-source-changed: there are not so many any more; and what the source throws */
  async take(count: number): Promise<Uint8Array> {
    if (this.#rest.length >= count) return this.#cut(count);
    const taken = new Uint8Array(count);
    let at = 0;
    for (;;) {
      const some = this.#cut(Math.min(count - at, this.#rest.length));
      taken.set(some, at);
      at += some.length;
      if (at === count) return taken;
      const next = await this.#pieces.next();
      if (next.done === true) throw new ClientError("media-source-changed", "it has become shorter");
      this.#rest = next.value;
    }
  }

  #cut(count: number): Uint8Array {
    const cut = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    return cut;
  }

  /** It has ended where it was said to. @throws ClientError media-source-changed */
  async end(): Promise<void> {
    while (this.#rest.length === 0) {
      const next = await this.#pieces.next();
      if (next.done === true) return;
      this.#rest = next.value;
    }
    throw new ClientError("media-source-changed", "it has become longer");
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}

/** @throws ClientError media-source-invalid */
export function checkSource({ size, resume = "", stamp = "" }: MediaSource): void {
  const utf8 = new TextEncoder();
  if (!Number.isSafeInteger(size) || size < 0)
    throw new ClientError("media-source-invalid", "its size is no number of bytes");
  if (utf8.encode(resume).length > MAX_RESUME_BYTES || utf8.encode(stamp).length > MAX_STAMP_BYTES)
    throw new ClientError("media-source-invalid", "`resume` or `stamp` is too long");
}
