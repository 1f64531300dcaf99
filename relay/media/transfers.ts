// Parts that are on their way in or out of this process. Always true: they are capped in all and for each address; one that
// falls below the least rate is cut, so that nobody holds a place by being slow; closing ends all within its time.
import { Refusal } from "@lethe/protocol";

export interface TransferLimits {
  readonly inAll: number;
  /** Of one network address. */
  readonly each: number;
}

/** Each way. A transfer holds some 100 KiB of a part, a socket and a file: all of them together about 25 MiB. */
export const TRANSFER_LIMITS: TransferLimits = { inAll: 256, each: 32 };
/** Parts on their way to an object store, each of which is held as a whole: 96 MiB in all, of four addresses at least. */
export const GATHERED_LIMITS: TransferLimits = { inAll: 48, each: 12 };
/** The least that has to move in each such time, or a transfer is cut: a part of 2 MiB has 8 minutes. */
export const LEAST_BYTES = 131_072;
export const LEAST_EVERY_MS = 30_000;
/** How long whoever finds no place should wait, ms. */
const FULL_MS = 1_000;

export interface Transfer {
  /** Counts what has moved. */
  readonly moved: (bytes: number) => void;
  /** Idempotent. */
  readonly end: () => void;
}

interface UnderWay {
  readonly cut: () => void;
  since: number;
  bytes: number;
}

export class Transfers {
  readonly #limits: TransferLimits;
  readonly #instant: () => number;
  readonly #each = new Map<string, number>();
  readonly #underWay = new Set<UnderWay>();
  #isClosed = false;
  #ended: () => void = () => undefined;

  /** @param instant a monotonic clock, ms. */
  constructor(instant: () => number, limits: TransferLimits = TRANSFER_LIMITS) {
    this.#instant = instant;
    this.#limits = limits;
  }

  get count(): number {
    return this.#underWay.size;
  }

  /**
   * @param remote the address that limits count; undefined where it has none.
   * @param cut ends the transfer where it does not get on, or the relay closes.
   * @throws Refusal rate-limited, shutting-down
   */
  begin(remote: string | undefined, cut: () => void): Transfer {
    if (this.#isClosed) throw new Refusal("shutting-down");
    const each = remote === undefined ? 0 : (this.#each.get(remote) ?? 0);
    if (each >= this.#limits.each || this.#underWay.size >= this.#limits.inAll)
      throw new Refusal("rate-limited", "as many parts are under way as may be", FULL_MS);
    if (remote !== undefined) this.#each.set(remote, each + 1);
    const underWay: UnderWay = { cut, since: this.#instant(), bytes: 0 };
    this.#underWay.add(underWay);
    return {
      moved: (bytes) => {
        underWay.bytes += bytes;
      },
      end: () => this.#end(underWay, remote),
    };
  }

  /** Cuts what has fallen below the least rate. To be called about once a second. */
  tick(): void {
    const now = this.#instant();
    for (const transfer of this.#underWay) {
      if (now - transfer.since < LEAST_EVERY_MS) continue;
      if (transfer.bytes < LEAST_BYTES) transfer.cut();
      transfer.since = now;
      transfer.bytes = 0;
    }
  }

  /** No more are begun; those under way have so long, ms, and are cut then. Resolves when the last has ended. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    if (this.#underWay.size === 0) return;
    const ended = new Promise<void>((resolve) => {
      this.#ended = resolve;
    });
    const late = setTimeout(() => {
      for (const { cut } of this.#underWay) cut();
    }, graceMs);
    await ended;
    clearTimeout(late);
  }

  #end(underWay: UnderWay, remote: string | undefined): void {
    if (!this.#underWay.delete(underWay)) return;
    if (remote !== undefined) {
      const left = (this.#each.get(remote) ?? 0) - 1;
      if (left > 0) this.#each.set(remote, left);
      else this.#each.delete(remote);
    }
    if (this.#underWay.size === 0) this.#ended();
  }
}

/**
 * The same chunks, counted as they are taken; each is the taker's until it asks for the next one. Ending early ends the source.
 *
 * Memory of a chunk that was taken is given back at once: to V8 it would be garbage outside of its heap, for which it goes
 * through all of the heap each 64 MB; that is a third of what an upload costs.
 */
export function counted(chunks: AsyncIterable<Uint8Array>, { moved }: Transfer): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = chunks[Symbol.asyncIterator]();
      let taken: Uint8Array | undefined;
      return {
        async next() {
          giveBack(taken);
          const next = await iterator.next();
          if (next.done === true) return next;
          taken = next.value;
          moved(taken.length);
          return next;
        },
        async return() {
          await iterator.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}

/** Frees the memory of a chunk that has one of its own. */
function giveBack(chunk: Uint8Array | undefined): void {
  if (chunk?.buffer instanceof ArrayBuffer && chunk.buffer.byteLength === chunk.length)
    chunk.buffer.transfer(0);
}
