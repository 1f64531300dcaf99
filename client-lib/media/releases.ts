// Telling the relay that this device has a file, or does not want it. Always true: what is owed has a row until the relay has
// answered, or keeps the file no longer in any case.
import { fromBytes, type Time, toBytes } from "@lethe/protocol";
import type { Write } from "../delivery/events.ts";
import type { Clock } from "../edge/clock.ts";
import { ClientError } from "../errors.ts";
import { RELEASE_MS, STOP_MS } from "./limits.ts";
import type { MediaHttp } from "./media-http.ts";
import { type Patience, passes } from "./patience.ts";
import { putMedia, type ReleaseRow, releaseRow, removeMedia } from "./rows.ts";

export interface ReleasesParts {
  readonly http: MediaHttp;
  readonly patience: Patience;
  readonly clock: Clock;
  readonly commit: (writes: readonly Write[]) => Promise<void>;
  readonly failed: (error: unknown) => void;
}

export class Releases {
  readonly #parts: ReleasesParts;
  /** By the blob's id, one character a byte. */
  readonly #owed: Map<string, ReleaseRow>;
  readonly #end = new AbortController();
  /** Nothing is tried another time. */
  readonly #lastTry = new AbortController();
  #running: Promise<void> | undefined;

  constructor(parts: ReleasesParts, owed: ReadonlyMap<string, ReleaseRow>) {
    this.#parts = parts;
    this.#owed = new Map(owed);
  }

  /** Owes a release from now on, together with what else follows from it. */
  async owe(id: Uint8Array, token: Uint8Array, ...further: Write[]): Promise<void> {
    const until = (this.#parts.clock.now() + RELEASE_MS) as Time;
    const row: ReleaseRow = { format: "one", token, until };
    const key = fromBytes<string>(id);
    await this.#parts.commit([putMedia("media-release", key, releaseRow, row), ...further]);
    this.#owed.set(key, row);
    this.start();
  }

  start(): void {
    this.#running ??= this.#work().then(
      () => {
        this.#running = undefined;
        // What came to be owed while it ended.
        if (this.#owed.size > 0) this.start();
      },
      (error: unknown) => {
        this.#running = undefined;
        if (!this.#lastTry.signal.aborted) this.#parts.failed(error);
      },
    );
  }

  async #work(): Promise<void> {
    const { patience } = this.#parts;
    for (let tries = 0; this.#owed.size > 0; tries++) {
      let wait = 0;
      for (const [key, row] of [...this.#owed]) {
        const left = await this.#release(key, row);
        if (left === undefined) tries = 0;
        else wait = Math.max(wait, left);
      }
      if (this.#owed.size > 0) await patience.pause(tries, wait, this.#lastTry.signal);
    }
  }

  /** Undefined: it is done; else how long the relay asks to wait, ms. */
  async #release(key: string, row: ReleaseRow): Promise<number | undefined> {
    const { http, clock, commit } = this.#parts;
    const { token, until } = row;
    try {
      await http.release(toBytes(key), token, this.#end.signal);
    } catch (error) {
      this.#end.signal.throwIfAborted();
      // A token may be registered late; what is gone is released.
      const early = error instanceof ClientError && error.code === "media-not-permitted";
      if ((passes(error) || early) && clock.now() < until) return (error as ClientError).retryAfter ?? 0;
      if (!(error instanceof ClientError)) throw error;
    }
    await commit([removeMedia("media-release", key)]);
    // It may be owed again, by a row that was written after this one was removed.
    if (this.#owed.get(key) === row) this.#owed.delete(key);
    return undefined;
  }

  /** What is under way has a second to come to its end; what is tried again later is left to the next start. */
  async stop(): Promise<void> {
    const closed = new ClientError("closed");
    this.#lastTry.abort(closed);
    const cancel = this.#parts.clock.after(STOP_MS, () => this.#end.abort(closed));
    while (this.#running !== undefined) await this.#running;
    cancel();
    this.#end.abort(closed);
  }
}
