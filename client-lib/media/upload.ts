// One upload, from its row to a message in the outbox. Always true: each step is durable before the next; before a part is sent,
// the position before it and its digest are, so that a part is never sent in two versions: whose source has changed is refused.
import { mediaParts, type MediaUploadJson, base64url } from "@lethe/protocol";
import {
  dataBefore,
  capabilityMark,
  decodeMediaPosition,
  encodeMediaPosition,
  equal,
  type MediaKey,
  type MediaPosition,
  MediaSealer,
  Secret,
  sealedSize,
} from "@lethe/crypto";
import type { Write } from "../delivery/events.ts";
import { ClientError } from "../errors.ts";
import { Lanes } from "./lanes.ts";
import { MAX_POSITIONS, MAX_REPAIRS, PARTS_IN_FLIGHT } from "./limits.ts";
import type { MediaHttp } from "./media-http.ts";
import type { Patience } from "./patience.ts";
import { progressRow, putMedia, removeMedia, type UploadRow, uploadRow } from "./rows.ts";
import type { MediaSource } from "./source.ts";
import { SourceReader } from "./source-reader.ts";

export interface UploadParts {
  readonly http: MediaHttp;
  readonly patience: Patience;
  readonly commit: (writes: readonly Write[]) => Promise<void>;
}

/** What is told of how far an upload has come, bytes of the file. */
export type Progress = (done: number, of: number) => void;

/** The relay has lost something of the blob that cannot be made again under the same key: it is begun anew. */
export class Lost extends Error {}

/** Parts are missing, and there is nothing to make them of. */
export class SourceNeeded extends Error {}

export class Upload {
  readonly #parts: UploadParts;
  /** The message's id. */
  readonly #message: string;
  readonly #signal: AbortSignal;
  readonly #positions: MediaPosition[];
  #row: UploadRow;
  #sent = 0;

  constructor(
    parts: UploadParts,
    { message, row, positions }: { message: string; row: UploadRow; positions: readonly Uint8Array[] },
    signal: AbortSignal,
  ) {
    this.#parts = parts;
    this.#message = message;
    this.#row = row;
    this.#positions = positions.map(decodeMediaPosition);
    this.#signal = signal;
  }

  get row(): UploadRow {
    return this.#row;
  }

  /** Whether every part was sealed: what is not at the relay is to be sealed again, and what is needs no source. */
  get isSealed(): boolean {
    return this.#positions.at(-1)?.part === mediaParts(sealedSize(this.#row.size));
  }

  get #key(): MediaKey {
    return { id: this.#row.id, key: new Secret(this.#row.key) };
  }

  /** All parts are at the relay, and it says so. @throws Lost, SourceNeeded, ClientError, what the source throws */
  async bringUp(source: MediaSource | undefined, progress: Progress): Promise<void> {
    const { patience, http } = this.#parts;
    if (this.#row.state === "new") await this.#begin();
    for (let tries = 0; tries <= MAX_REPAIRS; tries++) {
      const state = await this.#state();
      if (state.state === "open") await this.#sendMissing(state, source, progress);
      try {
        // Also where it is ready: that it stays so is what this answers alone.
        await patience.retrying(
          () => http.finish(this.#row.id, this.#row.uploadKey, this.#signal),
          this.#signal,
        );
      } catch (error) {
        if (error instanceof ClientError && error.code === "media-unfinished") continue;
        throw lostIf(error);
      }
      return this.#ready();
    }
    throw new Lost("parts, time and again");
  }

  /** Takes one step forward, durably, with further rows. */
  async goOn(change: Partial<UploadRow>, ...further: Write[]): Promise<void> {
    const row = { ...this.#row, ...change };
    await this.#parts.commit([putMedia("media-upload", this.#message, uploadRow, row), ...further]);
    this.#row = row;
  }

  async #begin(): Promise<void> {
    const { http, patience } = this.#parts;
    const { id, uploadKey, size } = this.#row;
    const request = { bytes: sealedSize(size), uploadKey: base64url(capabilityMark(uploadKey)) };
    await patience.retrying(() => http.begin(id, request), this.#signal);
    await this.goOn({ state: "begun" });
  }

  async #state(): Promise<MediaUploadJson> {
    const { http, patience } = this.#parts;
    const { id, uploadKey } = this.#row;
    try {
      return await patience.retrying(() => http.state(id, uploadKey, this.#signal), this.#signal);
    } catch (error) {
      throw lostIf(error);
    }
  }

  /** Seals from the first part on that is missing, and sends those that are. */
  async #sendMissing(
    state: MediaUploadJson,
    source: MediaSource | undefined,
    progress: Progress,
  ): Promise<void> {
    const { size } = this.#row;
    const have = new Set(state.parts);
    const parts = mediaParts(sealedSize(size));
    let first = 0;
    while (have.has(first)) first += 1;
    if (first >= parts) return;
    if (source === undefined) throw new SourceNeeded();
    if (this.#positions.length === 0) this.#positions.push(await new MediaSealer(this.#key, size).position());
    const from = this.#positions.find(({ part }) => part === first);
    if (from === undefined) throw new Lost("a part that the relay had");
    this.#sent = dataBefore(size, first);
    progress(this.#sent, size);
    const sealer = new MediaSealer(this.#key, size, from);
    const reader = new SourceReader(source, this.#sent, this.#signal);
    const lanes = new Lanes(PARTS_IN_FLIGHT, this.#signal);
    try {
      for (let part = first; part < parts; part++) {
        await this.#roomAfter(part, have, lanes);
        const bytes = await this.#seal(sealer, reader);
        const data = dataBefore(size, part + 1) - dataBefore(size, part);
        if (have.has(part)) this.#sent += data;
        else
          await lanes.add(async (signal) => {
            await this.#put(part, bytes, signal);
            have.add(part);
            this.#sent += data;
            progress(this.#sent, size);
          });
      }
      await lanes.all();
    } finally {
      await lanes.end();
      sealer.end();
      await reader.close();
    }
  }

  /** The next part; where it ends is durable. @throws ClientError media-source-changed */
  async #seal(sealer: MediaSealer, reader: SourceReader): Promise<Uint8Array> {
    const bytes = sealer.seal(await reader.take(sealer.wants));
    if (sealer.done) await reader.end();
    const at = await sealer.position();
    const before = this.#positions.find(({ part }) => part === at.part);
    if (before === undefined) {
      this.#positions.push(at);
      await this.#parts.commit([this.#progress()]);
    } else if (!equal(before.digest, at.digest)) throw new ClientError("media-source-changed");
    return bytes;
  }

  #progress(): Write {
    const positions = this.#positions.map(encodeMediaPosition);
    return putMedia("media-progress", this.#message, progressRow, { format: "one", positions });
  }

  /** Waits until the position after this part can be kept: those are many while the oldest part takes long. */
  async #roomAfter(part: number, have: ReadonlySet<number>, lanes: Lanes): Promise<void> {
    for (;;) {
      this.#forgetBefore(have);
      const isKept = this.#positions.at(-1)?.part !== part;
      if (isKept || this.#positions.length < MAX_POSITIONS) return;
      await lanes.one();
    }
  }

  /** Positions before parts that the relay has are not needed any more, but for the first that it has not. */
  #forgetBefore(have: ReadonlySet<number>): void {
    while (this.#positions.length > 1 && have.has(this.#positions[0]?.part ?? -1)) this.#positions.shift();
  }

  async #put(part: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const { http, patience } = this.#parts;
    const { id, uploadKey } = this.#row;
    let isFirst = true;
    const put = async (): Promise<void> => {
      // A relay that does not want a part may close the line before it can be heard.
      const state = isFirst ? undefined : await http.state(id, uploadKey, signal);
      isFirst = false;
      if (state?.parts.includes(part) === true) return;
      await http.put(id, uploadKey, { part, bytes }, signal);
    };
    try {
      await patience.retrying(put, signal);
    } catch (error) {
      throw lostIf(error);
    }
  }

  async #ready(): Promise<void> {
    const last = this.#positions.at(-1);
    if (last === undefined || !this.isSealed) throw new Lost("the blob's digest");
    await this.goOn({ state: "ready", digest: last.digest }, removeMedia("media-progress", this.#message));
  }
}

function lostIf(error: unknown): unknown {
  const codes = ["media-gone", "media-not-permitted", "media-part-wrong"];
  if (error instanceof ClientError && codes.includes(error.code)) return new Lost(error.code);
  return error;
}
