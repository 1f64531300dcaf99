// One blob from the relay, part by part. Always true: what comes out has authenticated; more than a few parts are never in
// memory; what a cut has left is asked for from where it broke off.
import {
  type MediaFault,
  MediaOpener,
  type MediaKey,
  mediaPartBytes,
  type MediaPosition,
  type MediaShape,
  sealedSize,
} from "@lethe/crypto";
import { mediaParts, MEDIA_PART_BYTES } from "@lethe/protocol";
import type { Clock } from "../edge/clock.ts";
import { ClientError } from "../errors.ts";
import { MAX_REPAIRS, NOT_PERMITTED_MS, PARTS_AHEAD, SILENCE_MS } from "./limits.ts";
import type { MediaHttp } from "./media-http.ts";
import { type Patience, passes } from "./patience.ts";

export interface DownloadParts {
  readonly http: MediaHttp;
  readonly patience: Patience;
  readonly clock: Clock;
}

/** A file at the relay, and the right to it. */
export interface Wanted extends MediaShape {
  readonly key: MediaKey;
  /** This device's release token. */
  readonly token: Uint8Array;
}

/** The file's bytes in one part, and where the next one begins. */
export interface OpenedPart {
  readonly data: Uint8Array;
  readonly position: () => Promise<MediaPosition>;
}

export class Download {
  readonly #parts: DownloadParts;
  readonly #wanted: Wanted;
  readonly #since: number;
  /** Of parts that were opened: memory is taken once, not for each. */
  readonly #spare: Uint8Array[] = [];

  constructor(parts: DownloadParts, wanted: Wanted) {
    this.#parts = parts;
    this.#wanted = wanted;
    this.#since = parts.clock.now();
  }

  /** @throws ClientError the code of a fault of the blob, media-gone, media-not-permitted; the signal's reason */
  async *read(from: MediaPosition | undefined, signal: AbortSignal): AsyncGenerator<OpenedPart> {
    const { key, size, digest } = this.#wanted;
    const parts = mediaParts(sealedSize(size));
    const opener = new MediaOpener(key, { size, digest }, from);
    const end = new AbortController();
    const either = AbortSignal.any([signal, end.signal]);
    const ahead: Promise<Uint8Array>[] = [];
    let next = from?.part ?? 0;
    try {
      for (let part = next; part < parts; part++) {
        for (; next < parts && ahead.length <= PARTS_AHEAD; next++) ahead.push(this.#fetch(next, either));
        const sealed = (await ahead.shift()) ?? new Uint8Array();
        const opened = await opener.open(sealed);
        if (typeof opened === "string") throw faulty(opened);
        if (sealed.length === MEDIA_PART_BYTES) this.#spare.push(sealed);
        yield { data: opened, position: () => opener.position() };
      }
      if (!opener.done) throw faulty("media-truncated");
    } finally {
      end.abort();
      opener.end();
    }
  }

  #fetch(part: number, signal: AbortSignal): Promise<Uint8Array> {
    const fetching = this.#part(part, signal);
    fetching.catch(() => undefined); // whoever wants it is told
    return fetching;
  }

  async #part(part: number, signal: AbortSignal): Promise<Uint8Array> {
    const length = mediaPartBytes(sealedSize(this.#wanted.size), part);
    const bytes = this.#spare.pop()?.subarray(0, length) ?? new Uint8Array(length);
    let have = 0;
    let empty = 0;
    for (let tries = 0; ; tries++)
      try {
        const before = have;
        for await (const piece of this.#pieces(part, have, signal)) {
          if (piece.length > bytes.length - have) throw faulty("media-too-long");
          bytes.set(piece, have);
          have += piece.length;
          if (piece.length > 0) tries = 0;
        }
        if (have === bytes.length) return bytes;
        // What ends well, and short, time and again has no more.
        if (have === before && ++empty >= MAX_REPAIRS) throw faulty("media-truncated");
        throw new ClientError("relay-unreachable", "its answer broke off");
      } catch (error) {
        signal.throwIfAborted();
        if (!this.#mayPass(error)) throw error;
        await this.#parts.patience.pause(tries, error.retryAfter ?? 0, signal);
      }
  }

  /** The sender may be registering this device at this moment. */
  #mayPass(error: unknown): error is ClientError {
    if (passes(error)) return true;
    const early = error instanceof ClientError && EARLY.includes(error.code);
    return early && this.#parts.clock.now() - this.#since < NOT_PERMITTED_MS;
  }

  /** What a response brings, of the part's bytes from `have` on. */
  async *#pieces(part: number, have: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { http, clock } = this.#parts;
    const { key, token, size } = this.#wanted;
    const silence = new Silence(clock, signal);
    try {
      const response = await http.get(key.id, token, { part, from: have }, silence.signal);
      let skip = response.status === 206 ? 0 : have;
      checkLength(response, mediaPartBytes(sealedSize(size), part) - have + skip);
      const reader = response.body?.getReader();
      for (;;) {
        silence.heard();
        const { value } = (await reader?.read()) ?? {};
        if (value === undefined) return;
        yield value.subarray(skip);
        skip = Math.max(0, skip - value.length);
      }
    } catch (error) {
      if (error instanceof ClientError) throw error;
      throw new ClientError("relay-unreachable", "its answer broke off");
    } finally {
      silence.end();
    }
  }
}

const EARLY: readonly string[] = ["media-not-permitted", "media-unfinished"];

/** A relay that has another blob, or a part of one, says so before it is fetched. */
function checkLength({ headers }: Response, expected: number): void {
  const length = headers.get("content-length");
  if (length === null || headers.get("content-encoding") !== null) return;
  if (Number(length) > expected) throw faulty("media-too-long");
  if (Number(length) < expected) throw faulty("media-truncated");
}

function faulty(fault: MediaFault): ClientError {
  return new ClientError(fault);
}

/** Cuts what has brought nothing for a while. */
class Silence {
  readonly #clock: Clock;
  readonly #end = new AbortController();
  readonly signal: AbortSignal;
  #cancel: () => void = () => undefined;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.signal = AbortSignal.any([signal, this.#end.signal]);
    this.heard();
  }

  heard(): void {
    this.#cancel();
    this.#cancel = this.#clock.after(SILENCE_MS, () => this.#end.abort());
  }

  /** The response goes, read or not. */
  end(): void {
    this.#cancel();
    this.#end.abort();
  }
}
