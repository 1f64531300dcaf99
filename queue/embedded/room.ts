// Whether the disk has room for new mail. New mail leaves a reserve free: without it a full disk could not be emptied,
// since connecting (a claim is written down) and copying survivors forward need room themselves.
import type { FileLayer } from "./files.ts";

/** What new mail leaves free: the directory's log, its growth, and a segment's survivors fit in it several times. */
const RESERVE_BYTES = 64 * 1_048_576;
/** On a small disk the reserve is this part of it. */
const RESERVE_PART = 1 / 4;
/** The disk is asked again after this much was appended. */
const ASK_EVERY_BYTES = 1_048_576;

export class DiskRoom {
  readonly #files: FileLayer;
  #unasked = ASK_EVERY_BYTES;
  #isFree = true;

  constructor(files: FileLayer) {
    this.#files = files;
  }

  /** Whether so many bytes of new mail may be appended. A disk that does not tell has room. */
  async admits(bytes: number): Promise<boolean> {
    this.#unasked += bytes;
    if (this.#isFree && this.#unasked < ASK_EVERY_BYTES) return true;
    this.#unasked = 0;
    const room = await this.#files.room().catch(() => undefined);
    this.#isFree =
      room === undefined || room.free - bytes >= Math.min(RESERVE_BYTES, room.size * RESERVE_PART);
    return this.#isFree;
  }
}
