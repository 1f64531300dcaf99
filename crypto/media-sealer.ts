// Seals a file part by part. Always true: a position seals one plaintext, once; whoever goes on from one that was kept gives
// the bytes that were there before, and holds the digest of the part against the one that was kept with it.
import { mediaParts, u64 } from "@lethe/protocol";
import { encode } from "./layout.ts";
import { type MediaKey, type MediaPosition, mediaAd, mediaDigest, mediaStart } from "./media.ts";
import { isMediaSize, partLayout, sealedSize } from "./media-sizes.ts";
import { pushChunks } from "./secretstream.ts";

export class MediaSealer {
  readonly #key: MediaKey;
  readonly #size: number;
  readonly #parts: number;
  readonly #state: Uint8Array;
  #part: number;
  #digest: Promise<Uint8Array>;
  #ended = false;

  /**
   * `size`: of the file, bytes. `from`: the position to go on from; the beginning where none is given.
   * @throws RangeError where no file can have this size, or no such position
   */
  constructor(key: MediaKey, size: number, from: MediaPosition = mediaStart(key)) {
    if (!isMediaSize(size)) throw new RangeError("not a size of media");
    this.#parts = mediaParts(sealedSize(size));
    if (from.part > this.#parts) throw new RangeError("not a position of this file");
    this.#key = key;
    this.#size = size;
    this.#part = from.part;
    this.#state = from.state.slice();
    this.#digest = Promise.resolve(from.digest.slice());
  }

  /** Whether all parts are sealed. */
  get done(): boolean {
    return this.#part === this.#parts;
  }

  /** Bytes of the file that the next part takes. 0 where it is padding alone, and when all is done. */
  get wants(): number {
    return partLayout(this.#size, this.#part).data;
  }

  /**
   * The next part, sealed: `mediaPartBytes` of it. Its digest is made meanwhile.
   * @throws RangeError where `data` are not exactly as many bytes as it `wants`; Error where it has ended
   */
  seal(data: Uint8Array): Uint8Array {
    if (this.#ended || this.done) throw new Error("the sealer has ended");
    const { prefix, data: wants, plain: length } = partLayout(this.#size, this.#part);
    if (data.length !== wants) throw new RangeError(`${wants} bytes expected`);
    const sealed = pushChunks(this.#state, {
      ad: this.#part === 0 ? mediaAd(this.#key, this.#size) : new Uint8Array(0),
      final: this.#part === this.#parts - 1,
      plain: [encode(u64, this.#size).subarray(0, prefix), data],
      length,
    });
    this.#digest = mediaDigest(this.#digest, sealed);
    this.#part++;
    if (this.done) this.end();
    return sealed;
  }

  /**
   * Where the next part begins, once the digest of those before is there. When all is done, its digest is the blob's.
   * @throws Error after `end` before that
   */
  async position(): Promise<MediaPosition> {
    if (this.#ended && !this.done) throw new Error("the sealer has ended");
    const [part, state] = [this.#part, this.#state.slice()];
    return { part, state, digest: await this.#digest };
  }

  /** Zeroes the state: no further part can be sealed. Not the key, which its owner wipes. */
  end(): void {
    this.#ended = true;
    this.#state.fill(0);
  }
}
