// A source as an upload reads it. Always true: no more of it is in memory than a piece and what was asked for; it has exactly as
// many bytes as it was said to have, or it has changed.
import { ClientError } from "../errors.ts";
import { MAX_RESUME_BYTES, MAX_STAMP_BYTES } from "./limits.ts";
import type { MediaSource } from "./source.ts";

/** A source's bytes in exactly the pieces that are asked for. */
export class SourceReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal;
  #rest: Uint8Array = new Uint8Array();

  constructor(source: MediaSource, from: number, signal: AbortSignal) {
    this.#pieces = source.read(from)[Symbol.asyncIterator]();
    this.#signal = signal;
  }

  /** A source that never answers holds up no end. */
  async #next(): Promise<IteratorResult<Uint8Array>> {
    this.#signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(this.#signal.reason);
    this.#signal.addEventListener("abort", abort);
    try {
      return await Promise.race([this.#pieces.next(), aborted.promise]);
    } finally {
      this.#signal.removeEventListener("abort", abort);
    }
  }

  /** @throws ClientError media-source-changed: there are not so many any more; the signal's reason; and what the source throws */
  async take(count: number): Promise<Uint8Array> {
    if (this.#rest.length >= count) return this.#cut(count);
    const taken = new Uint8Array(count);
    let at = 0;
    for (;;) {
      const some = this.#cut(Math.min(count - at, this.#rest.length));
      taken.set(some, at);
      at += some.length;
      if (at === count) return taken;
      const next = await this.#next();
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
      const next = await this.#next();
      if (next.done === true) return;
      this.#rest = next.value;
    }
    throw new ClientError("media-source-changed", "it has become longer");
  }

  async close(): Promise<void> {
    const closing = Promise.resolve(this.#pieces.return?.());
    if (this.#signal.aborted) closing.catch(() => undefined);
    else await closing;
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
