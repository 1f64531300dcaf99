// All uploads of a client: those that are under way, those that wait for their turn or their source, and those whose messages are
// not settled. Always true: an upload has rows until nothing of it is owed to the relay any more.
import { CAPABILITY_BYTES, fromBytes, toHex } from "@lethe/protocol";
import { makeMediaKey, type Random } from "@lethe/crypto";
import type { MessageId, Write } from "../delivery/events.ts";
import type { Clock } from "../edge/clock.ts";
import { ClientError } from "../errors.ts";
import type { SentMessage } from "../outgoing.ts";
import { MAX_ACTIVE_UPLOADS, MAX_REPAIRS, MAX_UPLOADS, SETTLE_MS } from "./limits.ts";
import { removeMedia, type TokensRow, type UploadRow } from "./rows.ts";
import type { MediaSource } from "./source.ts";
import { Tokens, type TokensParts } from "./tokens.ts";
import { Turns } from "./turns.ts";
import { Lost, type Progress, SourceNeeded, Upload } from "./upload.ts";

/** An upload that has not come to its end: it waits for its source (`resume`), or is under way. */
export interface UnfinishedUpload {
  /** 32 hexadecimal characters: the id that its message has, or will have. */
  readonly id: string;
  /** To whom: a user's name, or a group's id. */
  readonly to: string;
  readonly name: string;
  readonly type: string;
  /** Bytes. */
  readonly size: number;
  /** What the source was said to be found again by; "" where nothing was said. */
  readonly resume: string;
  readonly state: "under-way" | "waits";
}

export interface UploadsParts extends TokensParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Takes the message into the outbox. @throws ClientError */
  readonly say: (message: MessageId, row: UploadRow) => Promise<SentMessage>;
  /** Something failed that nobody waits for. */
  readonly failed: (error: unknown) => void;
}

export interface StoredUpload {
  readonly row: UploadRow;
  readonly positions: readonly Uint8Array[];
  readonly tokens: TokensRow | undefined;
}

interface Entry {
  readonly message: MessageId;
  upload: Upload;
  tokens: Tokens;
  end: AbortController;
  running: Promise<SentMessage> | undefined;
  /** What is under way has what it takes to end. */
  hasSource: boolean;
}

export class Uploads {
  readonly #parts: UploadsParts;
  readonly #entries = new Map<MessageId, Entry>();
  readonly #turns = new Turns(MAX_ACTIVE_UPLOADS);
  /** Blobs that are being withdrawn. */
  readonly #loose = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #stopped = false;
  #dirty = false;
  #looking: Promise<void> | undefined;

  constructor(parts: UploadsParts, stored: ReadonlyMap<MessageId, StoredUpload>) {
    this.#parts = parts;
    for (const [message, each] of stored) this.#keep(message, each);
  }

  /** Goes on with what needs no source. */
  start(): void {
    for (const entry of this.#entries.values()) {
      const { state } = entry.upload.row;
      if (state === "ended") this.#takeBack(entry);
      else if (state === "ready" || (state === "begun" && entry.upload.isSealed))
        this.#inBackground(entry, () => this.#bring(entry, undefined, () => undefined));
    }
    this.stepped();
  }

  #keep(message: MessageId, { row, positions, tokens }: StoredUpload): Entry {
    const end = new AbortController();
    const entry = {
      message,
      upload: new Upload(this.#parts, { message, row, positions }, end.signal),
      tokens: new Tokens(this.#parts, message, row, tokens),
      end,
      running: undefined,
      hasSource: false,
    };
    this.#entries.set(message, entry);
    return entry;
  }

  /** From the source to a message that the relay holds. @throws ClientError, what the source throws */
  async send(row: UploadRow, source: MediaSource, progress: Progress): Promise<SentMessage> {
    if (this.#entries.size >= MAX_UPLOADS) throw new ClientError("media-too-many-uploads");
    const message = fromBytes<MessageId>(this.#parts.random.bytes(16));
    const entry = this.#keep(message, { row, positions: [], tokens: undefined });
    entry.hasSource = true;
    return this.#run(entry, () => this.#bring(entry, source, progress));
  }

  unfinished(): UnfinishedUpload[] {
    const open = [...this.#entries.values()].filter(({ upload: { row } }) => isOpen(row));
    return open.map(({ message, hasSource, upload: { row } }) => ({
      id: toHex(message),
      to: row.shown,
      name: row.name,
      type: row.type,
      size: row.size,
      resume: row.resume,
      state: hasSource ? "under-way" : "waits",
    }));
  }

  /** @throws ClientError media-unknown-upload, media-under-way, media-source-changed, ... */
  async resume(message: MessageId, source: MediaSource, progress: Progress): Promise<SentMessage> {
    const entry = this.#open(message);
    if (entry.hasSource) throw new ClientError("media-under-way", toHex(message));
    entry.hasSource = true;
    // It may be found to need no source.
    const done = await entry.running?.catch(() => undefined);
    if (done === undefined) return this.#run(entry, () => this.#bring(entry, source, progress));
    await done.sent;
    return done;
  }

  /** @throws ClientError media-unknown-upload */
  async cancel(message: MessageId): Promise<void> {
    await this.#stopFor(this.#open(message), "media-cancelled");
  }

  /** Whether the blob of a message could be taken back: nobody can fetch it any more. */
  async withdraw(message: MessageId): Promise<boolean> {
    const entry = this.#entries.get(message);
    if (entry === undefined) return false;
    await this.#stopFor(entry, "media-cancelled");
    return true;
  }

  #open(message: MessageId): Entry {
    const entry = this.#entries.get(message);
    if (entry === undefined || !isOpen(entry.upload.row))
      throw new ClientError("media-unknown-upload", toHex(message));
    return entry;
  }

  /** Ends what is under way of it, and then the upload. */
  async #stopFor(entry: Entry, code: "media-cancelled"): Promise<void> {
    entry.end.abort(new ClientError(code));
    await entry.running?.catch(() => undefined);
    if (this.#entries.get(entry.message) === entry) await this.#ended(entry);
  }

  #run(entry: Entry, work: () => Promise<SentMessage>): Promise<SentMessage> {
    const running = work().finally(() => {
      entry.running = undefined;
    });
    entry.running = running;
    running.catch(() => undefined);
    return running;
  }

  #inBackground(entry: Entry, work: () => Promise<SentMessage>): void {
    if (entry.running !== undefined) return;
    this.#run(entry, work).catch((error: unknown) => {
      if (!this.#stopped && !(error instanceof SourceNeeded)) this.#parts.failed(error);
    });
  }

  async #bring(entry: Entry, source: MediaSource | undefined, progress: Progress): Promise<SentMessage> {
    try {
      const { row } = entry.upload;
      if (source !== undefined && (source.size !== row.size || (source.stamp ?? "") !== row.stamp))
        throw new ClientError("media-source-changed");
      if (row.state === "new") await entry.upload.goOn({});
      await this.#bringUp(entry, source, progress);
      const handle = await this.#parts.say(entry.message, entry.upload.row);
      await entry.upload.goOn({ state: "said" });
      this.stepped();
      if (source !== undefined) await handle.sent;
      return handle;
    } catch (error) {
      const goesOn = this.#stopped || error instanceof SourceNeeded || entry.upload.row.state === "said";
      if (!goesOn && !entry.end.signal.aborted) await this.#ended(entry);
      throw error;
    }
  }

  /** The blob is there, and ready for everybody who is known. What the relay has lost is brought anew, under another key. */
  async #bringUp(entry: Entry, source: MediaSource | undefined, progress: Progress): Promise<void> {
    for (;;)
      try {
        if (entry.upload.row.state !== "ready")
          await this.#turns.take(entry.end.signal, () => entry.upload.bringUp(source, progress));
        await entry.tokens.sync(false, entry.end.signal);
        return;
      } catch (error) {
        const isLost = error instanceof Lost || (error instanceof ClientError && error.code === "media-gone");
        if (!isLost) throw error;
        if (source === undefined) throw new SourceNeeded();
        await this.#beginAnew(entry);
      }
  }

  async #beginAnew(entry: Entry): Promise<void> {
    const { message, upload } = entry;
    const repairs = upload.row.repairs + 1;
    if (repairs > MAX_REPAIRS) throw new ClientError("media-gone");
    const row = { ...upload.row, ...newKeys(this.#parts.random), state: "new" as const, repairs };
    const rest = [removeMedia("media-progress", message), removeMedia("media-tokens", message)];
    entry.upload = new Upload(this.#parts, { message, row, positions: [] }, entry.end.signal);
    entry.tokens = new Tokens(this.#parts, message, row, undefined);
    await entry.upload.goOn({ digest: undefined }, ...rest);
  }

  /** Something has happened in the outbox: it is looked whether messages are settled, or go to others than before. */
  stepped(): void {
    this.#dirty = true;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
  }

  async #look(): Promise<void> {
    while (this.#dirty && !this.#stopped) {
      this.#dirty = false;
      const said = [...this.#entries.values()].filter(({ upload }) => upload.row.state === "said");
      if (said.length === 0) return;
      for (const entry of said)
        await this.#settle(entry).catch((error: unknown) => {
          if (!entry.end.signal.aborted) this.#parts.failed(error);
        });
      await this.#pause();
    }
  }

  /** A burst of events is looked at once. */
  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#parts.clock.after(SETTLE_MS, resolve);
    this.#stop.signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    cancel();
  }

  async #settle(entry: Entry): Promise<void> {
    const { view } = this.#parts;
    const { message, end, upload } = entry;
    const isPending = view.isPending(message);
    if (!isPending) {
      const sent = upload.row.group === undefined ? view.sent(message) : view.groupSent(message);
      if (sent?.state === "refused" || sent?.state === "expired") return this.#ended(entry);
    }
    try {
      await entry.tokens.sync(!isPending, end.signal);
    } catch (error) {
      // The blob is gone, or takes no more tokens: nothing is owed to it.
      if (end.signal.aborted || !(error instanceof ClientError)) throw error;
    }
    if (!isPending) await this.#forget(entry);
  }

  /** It is to be taken back at the relay: durably, for that may take its time. */
  async #ended(entry: Entry): Promise<void> {
    await entry.upload.goOn({ state: "ended" }, removeMedia("media-progress", entry.message));
    entry.end = new AbortController();
    this.#takeBack(entry);
  }

  #takeBack(entry: Entry): void {
    const taking = this.#withdraw(entry)
      .catch((error: unknown) => {
        if (!this.#stopped) this.#parts.failed(error);
      })
      .finally(() => this.#loose.delete(taking));
    this.#loose.add(taking);
  }

  async #withdraw(entry: Entry): Promise<void> {
    const { http, patience } = this.#parts;
    const { signal } = entry.end;
    const { id, uploadKey } = entry.upload.row;
    try {
      await patience.retrying(() => http.withdraw(id, uploadKey, signal), signal);
    } catch (error) {
      // It is not there.
      if (signal.aborted || !(error instanceof ClientError)) throw error;
    }
    await this.#forget(entry);
  }

  async #forget({ message }: Entry): Promise<void> {
    const tables = ["media-upload", "media-progress", "media-tokens"] as const;
    await this.#parts.commit(tables.map((table): Write => removeMedia(table, message)));
    this.#entries.delete(message);
  }

  /** Ends what is under way; rows stay as they are. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const closed = new ClientError("closed");
    this.#stop.abort(closed);
    const entries = [...this.#entries.values()];
    for (const { end } of entries) end.abort(closed);
    await Promise.allSettled([...entries.flatMap(({ running }) => running ?? []), ...this.#loose]);
    await this.#looking;
  }
}

/** Its message is not in the outbox yet. */
function isOpen({ state }: UploadRow): boolean {
  return state === "new" || state === "begun" || state === "ready";
}

/** Every upload has its own: nothing of one blob is found again in another. */
export function newKeys(random: Random): Pick<UploadRow, "id" | "key" | "uploadKey"> {
  const { id, key } = makeMediaKey(random);
  return { id, key: key.reveal(), uploadKey: random.bytes(CAPABILITY_BYTES) };
}
