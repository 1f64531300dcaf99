// Where the bytes of an upload come from. Always true: a source can be read again from any place, for after a cut or a restart the
// upload goes on where it was.

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
