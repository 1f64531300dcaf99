// Opens a blob part by part. Always true: nothing of a part is handed out of which one chunk did not authenticate, what was
// handed out is a true beginning of the file, and it is the file only once `done` says so; after a fault nothing comes any more.
import { mediaParts, u64 } from "@lethe/protocol";
import { encode } from "./layout.ts";
import { type MediaKey, type MediaPosition, mediaAd, mediaDigest, mediaStart } from "./media.ts";
import { isMediaSize, mediaPartBytes, type PartLayout, partLayout, sealedSize } from "./media-sizes.ts";
import { equal } from "./primitives.ts";
import { pullChunks, STREAM_TAG } from "./secretstream.ts";

/**
 * - `media-corrupt`: a chunk does not authenticate: changed, swapped, out of its order, of another blob
 * - `media-truncated`: a part is short, or its last chunk does not end the blob
 * - `media-too-long`: a part is long, or something follows the chunk that ends the blob
 * - `media-size-differs`: its sealer says another size inside, or has put something into the padding
 * - `media-digest-differs`: all of it is authentic, and it is not the blob that was named
 */
export type MediaFault =
  | "media-corrupt"
  | "media-truncated"
  | "media-too-long"
  | "media-size-differs"
  | "media-digest-differs";

/** What the message says of the file, beside its key. */
export interface MediaShape {
  /** Bytes. */
  readonly size: number;
  /** Of the blob, 32 bytes. */
  readonly digest: Uint8Array;
}

export class MediaOpener {
  readonly #key: MediaKey;
  readonly #shape: MediaShape;
  readonly #sealed: number;
  readonly #state: Uint8Array;
  #part: number;
  #digest: Promise<Uint8Array>;
  #fault: MediaFault | undefined;
  #done: boolean;
  #ended = false;

  /**
   * `from`: the position to go on from; the beginning where none is given.
   * @throws RangeError where no file can have this size, or no such position
   */
  constructor(key: MediaKey, shape: MediaShape, from: MediaPosition = mediaStart(key)) {
    if (!isMediaSize(shape.size)) throw new RangeError("not a size of media");
    this.#sealed = sealedSize(shape.size);
    if (from.part > mediaParts(this.#sealed)) throw new RangeError("not a position of this file");
    this.#key = key;
    this.#shape = shape;
    this.#part = from.part;
    this.#state = from.state.slice();
    this.#digest = Promise.resolve(from.digest.slice());
    this.#done = this.#hasAll && equal(from.digest, shape.digest);
  }

  /** Whether all of it was opened, to the chunk that ends it, and the digest is the one that was named. */
  get done(): boolean {
    return this.#done && this.#fault === undefined;
  }

  get #hasAll(): boolean {
    return this.#part === mediaParts(this.#sealed);
  }

  /**
   * The file's bytes in the next part, `mediaPartBytes` of ciphertext: none where it is padding alone. A view. The last ones
   * come only if the digest is right. A fault is for good: every further part gives it again.
   * @throws Error where it has been ended before
   */
  async open(part: Uint8Array): Promise<Uint8Array | MediaFault> {
    if (this.#ended) throw new Error("the opener has ended");
    const opened = this.#fault ?? this.#take(part);
    if (typeof opened === "string") return this.#refuse(opened);
    if (!this.#hasAll) return opened;
    this.#state.fill(0);
    if (!equal(await this.#digest, this.#shape.digest)) return this.#refuse("media-digest-differs");
    this.#done = true;
    return opened;
  }

  /**
   * Where the next part begins, once the digest of those before is there.
   * @throws Error after a fault or `end`: nothing goes on from there
   */
  async position(): Promise<MediaPosition> {
    if (this.#fault !== undefined) throw new Error(this.#fault);
    if (this.#ended) throw new Error("the opener has ended");
    const [part, state] = [this.#part, this.#state.slice()];
    return { part, state, digest: await this.#digest };
  }

  /** Zeroes the state: no further part can be opened. Not the key, which its owner wipes. */
  end(): void {
    this.#ended = true;
    this.#state.fill(0);
  }

  #refuse(fault: MediaFault): MediaFault {
    this.#fault = fault;
    this.#state.fill(0);
    return fault;
  }

  #take(part: Uint8Array): Uint8Array | MediaFault {
    const expected = mediaPartBytes(this.#sealed, this.#part);
    if (this.#hasAll || part.length > expected) return "media-too-long";
    if (part.length < expected) return "media-truncated";
    this.#digest = mediaDigest(this.#digest, part);
    const ad = this.#part === 0 ? mediaAd(this.#key, this.#shape.size) : new Uint8Array(0);
    const pulled = pullChunks(this.#state, ad, part);
    if (pulled === undefined) return "media-corrupt";
    const layout = partLayout(this.#shape.size, this.#part);
    this.#part++;
    return this.#wrongTag(pulled.tags) ?? dataIn(pulled.plain, layout, this.#shape.size);
  }

  /** Only a blob's last chunk ends it. */
  #wrongTag(tags: Uint8Array): MediaFault | undefined {
    const before = this.#hasAll ? tags.subarray(0, -1) : tags;
    if (before.includes(STREAM_TAG.final)) return "media-too-long";
    if (this.#hasAll && tags.at(-1) !== STREAM_TAG.final) return "media-truncated";
    return before.every((tag) => tag === STREAM_TAG.message) ? undefined : "media-corrupt";
  }
}

/** The file's bytes in a part. */
function dataIn(plain: Uint8Array, { prefix, data }: PartLayout, size: number): Uint8Array | MediaFault {
  const said = encode(u64, size).subarray(0, prefix);
  const end = prefix + data;
  if (!equal(said, plain.subarray(0, prefix))) return "media-size-differs";
  for (let i = end; i < plain.length; i++) if (plain[i] !== 0) return "media-size-differs";
  return plain.subarray(prefix, end);
}
