// Everything that moves files, behind one door that is loaded late. Always true: rows are read once, when it opens.
import { decodeAll, fromBytes, MAX_MEDIA_BYTES, toBytes } from "@lethe/protocol";
import { isMediaSize, sealedSize } from "@lethe/crypto";
import { bodyOf, type Beside } from "../content/content.ts";
import type { MessageId, Row } from "../delivery/events.ts";
import { MAX_BODY_BYTES } from "../delivery/limits.ts";
import { ClientError } from "../errors.ts";
import type { SentMessage } from "../outgoing.ts";
import { bytesOf } from "../said.ts";
import { Fetches } from "./fetches.ts";
import type { MediaConfig, MediaTarget, SendMediaOptions } from "./media-api.ts";
import { MediaHttp } from "./media-http.ts";
import { Patience } from "./patience.ts";
import type { Fetching, FetchOptions, ReadOptions } from "./received.ts";
import type { MediaRef } from "./media-ref.ts";
import { Releases } from "./releases.ts";
import { progressRow, releaseRow, tokensRow, type UploadRow, uploadRow } from "./rows.ts";
import type { MediaSink } from "./sink.ts";
import type { MediaSource } from "./source.ts";
import { checkSource } from "./source-reader.ts";
import { newKeys, type StoredUpload, Uploads } from "./uploads.ts";

/** Loads what there is, and goes on with what is owed. */
export async function openMedia(config: MediaConfig): Promise<Media> {
  const { store } = config;
  const [uploads, progress, tokens, downloads, releases] = await Promise.all([
    store.list("media-upload"),
    store.list("media-progress"),
    store.list("media-tokens"),
    store.list("media-download"),
    store.list("media-release"),
  ]);
  return new Media(config, { uploads: storedUploads(uploads, progress, tokens), downloads, releases });
}

interface Stored {
  readonly uploads: ReadonlyMap<MessageId, StoredUpload>;
  readonly downloads: readonly Row[];
  readonly releases: readonly Row[];
}

export class Media implements Fetching {
  readonly uploads: Uploads;
  readonly #config: MediaConfig;
  readonly #patience: Patience;
  readonly #releases: Releases;
  readonly #fetches: Fetches;

  constructor(config: MediaConfig, { uploads, downloads, releases }: Stored) {
    this.#config = config;
    const { clock, account, store, failed } = config;
    const commit: (typeof store)["commit"] = (writes) => store.commit(writes);
    this.#patience = new Patience(config);
    const http = new MediaHttp(config);
    const shared = { ...config, commit, http, patience: this.#patience };
    const owed = releases.map(({ key, value }) => [key, decodeAll(releaseRow, value)] as const);
    this.#releases = new Releases({ ...shared, failed }, new Map(owed));
    this.#fetches = new Fetches({ ...shared, releases: this.#releases }, downloads);
    this.uploads = new Uploads(
      {
        ...{ ...shared, self: account, now: () => clock.now() },
        say: (message, row) => config.say({ message, ...targetOf(row), body: bodyFor(row) }),
      },
      uploads,
    );
    this.uploads.start();
    this.#releases.start();
  }

  /** @throws ClientError, what the source throws */
  send(target: MediaTarget, source: MediaSource, options: SendMediaOptions): Promise<SentMessage> {
    checkSource(source);
    checkSize(source.size, this.#config.maxBlobBytes() ?? MAX_MEDIA_BYTES);
    const row = rowFor(target, source, options, newKeys(this.#config.random));
    if (bodyFor(row).length > MAX_BODY_BYTES) throw new ClientError("body-too-large");
    return this.uploads.send(row, source, options.progress ?? (() => undefined));
  }

  read(ref: MediaRef, options: ReadOptions): AsyncIterable<Uint8Array> {
    return this.#fetches.read(ref, options);
  }

  save(ref: MediaRef, sink: MediaSink, options: FetchOptions): Promise<void> {
    return this.#fetches.save(ref, sink, options);
  }

  discard(ref: MediaRef): Promise<void> {
    return this.#fetches.discard(ref);
  }

  online(): void {
    this.#patience.wake();
  }

  /** What is under way ends; rows stay. */
  async stop(): Promise<void> {
    await Promise.all([this.#fetches.stop(), this.uploads.stop(), this.#releases.stop()]);
  }
}

function storedUploads(
  uploads: readonly Row[],
  progress: readonly Row[],
  tokens: readonly Row[],
): Map<MessageId, StoredUpload> {
  const positions = new Map(progress.map(({ key, value }) => [key, decodeAll(progressRow, value).positions]));
  const known = new Map(tokens.map(({ key, value }) => [key, decodeAll(tokensRow, value)]));
  const all = uploads.map(
    ({ key, value }) =>
      [
        key as MessageId,
        { row: decodeAll(uploadRow, value), positions: positions.get(key) ?? [], tokens: known.get(key) },
      ] as const,
  );
  return new Map(all);
}

/** @throws ClientError media-too-large */
function checkSize(size: number, limit: number): void {
  if (isMediaSize(size) && sealedSize(size) <= limit) return;
  const sealed = isMediaSize(size) ? `, ${sealedSize(size)} sealed` : "";
  throw new ClientError("media-too-large", `${size} bytes${sealed}; the limit is ${limit}`);
}

type Keys = Pick<UploadRow, "id" | "key" | "uploadKey">;

function rowFor(
  { to, group, shown }: MediaTarget,
  source: MediaSource,
  options: SendMediaOptions,
  keys: Keys,
): UploadRow {
  const { replyTo, thumbnail = new Uint8Array(), caption = "", width = 0, height = 0, ttl } = options;
  const { size, stamp = "", resume = "" } = source;
  return {
    ...keys,
    ...{ format: "one", state: "new", repairs: 0, digest: undefined },
    ...{ to, group, shown, ttl, size, stamp, resume, thumbnail, caption, width, height },
    type: options.type ?? source.type ?? "",
    name: options.name ?? source.name ?? "",
    replyTo:
      replyTo === undefined
        ? undefined
        : { author: fromBytes(bytesOf(replyTo.account)), message: fromBytes(bytesOf(replyTo.id)) },
  };
}

function targetOf({ to, group, shown, ttl }: UploadRow): MediaTarget & { readonly ttl?: number } {
  return { to, group, shown, ...(ttl === undefined ? {} : { ttl }) };
}

/** The message's body; before the digest is known, one of the same length. @throws ClientError content-invalid */
function bodyFor(row: UploadRow): Uint8Array {
  const { id, key, size, digest = new Uint8Array(32), type, name, caption, thumbnail, width, height } = row;
  const beside: Partial<Beside> =
    row.replyTo === undefined
      ? {}
      : { replyTo: { author: toBytes(row.replyTo.author), messageId: toBytes(row.replyTo.message) } };
  return bodyOf(
    { is: "media", id, key, size, digest, type, name, caption, thumbnail, width, height },
    beside,
  );
}
