// Files as applications use them: `client.media`. Always true: the code that moves files is loaded when the first one is to be
// moved, or when the store says that one is under way; an application that sends text loads none of it.
import { type AccountId, type DeviceNumber, fromHex } from "@lethe/protocol";
import type { GroupId, Random } from "@lethe/crypto";
import type { CoreView } from "../delivery/core.ts";
import type { Chance, MessageId } from "../delivery/events.ts";
import type { Clock } from "../edge/clock.ts";
import type { RelayHttp } from "../edge/relay-http.ts";
import { ClientError } from "../errors.ts";
import type { SentMessage } from "../outgoing.ts";
import type { MediaFields, Target } from "../said.ts";
import type { ClientStore } from "../store/store.ts";
import type { Media } from "./media.ts";
import { decodeRef } from "./media-ref.ts";
import { type ReceivedMedia, receivedMedia } from "./received.ts";
import type { MediaSource } from "./source.ts";
import type { Progress } from "./upload.ts";
import type { UnfinishedUpload } from "./uploads.ts";

export interface SendMediaOptions {
  /** Media type (RFC 6838); the source's where none is given. */
  readonly type?: string;
  /** The file's name; the source's where none is given. */
  readonly name?: string;
  /** At most 16 KiB of UTF-8. */
  readonly caption?: string;
  /** A small picture, at most 16 KiB, that recipients have with the message. */
  readonly thumbnail?: Uint8Array;
  /** Pixels, at most 65,535. */
  readonly width?: number;
  readonly height?: number;
  /** The message that this one answers. */
  readonly replyTo?: Target;
  /** Life of the message until the relay has delivered it, ms; at most 30 days. */
  readonly ttl?: number;
  /** Told as the file goes: bytes of it that the relay has, and its size. */
  readonly progress?: Progress;
}

/** Whom a file goes to. `shown`: as the application has named them. */
export interface MediaTarget {
  readonly to: AccountId | undefined;
  readonly group: GroupId | undefined;
  readonly shown: string;
}

/** A message that brings a file, for the outbox. */
export interface MediaMessage extends MediaTarget {
  readonly message: MessageId;
  readonly body: Uint8Array;
  readonly ttl?: number;
}

export interface MediaConfig {
  readonly store: ClientStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly chance: Chance;
  readonly http: RelayHttp;
  readonly view: CoreView;
  readonly account: AccountId;
  readonly device: DeviceNumber;
  /** A request signed by the device. */
  readonly signed: (method: "PUT", path: string, json: unknown) => Promise<unknown>;
  /** Whether the relay says that parts go to its object store directly. */
  readonly direct: () => boolean;
  /** The relay's largest blob, bytes, once it is known. */
  readonly maxBlobBytes: () => number | undefined;
  /** Takes a message into the outbox. @throws ClientError */
  readonly say: (message: MediaMessage) => Promise<SentMessage>;
  /** Something failed that nobody waits for. */
  readonly failed: (error: unknown) => void;
}

/** Tables whose rows mean that something is owed. */
const OWING = ["media-upload", "media-release"] as const;

export class MediaApi {
  readonly #config: MediaConfig;
  #media: Promise<Media> | undefined;
  #loaded: Media | undefined;
  #closed = false;

  constructor(config: MediaConfig) {
    this.#config = config;
  }

  /** A file whose message came before: `ref` is what the application has kept of it. @throws ClientError media-ref-malformed */
  open(ref: Uint8Array): ReceivedMedia {
    return receivedMedia(decodeRef(ref), () => this.#load());
  }

  /** Uploads whose messages are not in the outbox yet, of earlier runs too: `waits` is for `resume` or `cancel`. */
  async unfinished(): Promise<UnfinishedUpload[]> {
    const { store } = this.#config;
    if (this.#media === undefined && (await store.list("media-upload")).length === 0) return [];
    return (await this.#load()).uploads.unfinished();
  }

  /**
   * Goes on with an upload of an earlier run, from the same source. Resolves as `sendMedia` does. @throws ClientError
   * media-unknown-upload, media-under-way, media-source-changed
   */
  async resume(id: string, source: MediaSource, progress: Progress = () => undefined): Promise<SentMessage> {
    return (await this.#load()).uploads.resume(messageOf(id), source, progress);
  }

  /** Ends an upload whose message is not in the outbox yet; `sendMedia` rejects. @throws ClientError media-unknown-upload */
  async cancel(id: string): Promise<void> {
    await (await this.#load()).uploads.cancel(messageOf(id));
  }

  /**
   * Takes the file of a message of ours back from the relay: whoever has not fetched it never will. False: the relay has the
   * message for everybody, and this device has no right to the file any more.
   */
  async withdraw(id: string): Promise<boolean> {
    return (await this.#load()).uploads.withdraw(messageOf(id));
  }

  // --- inside --------------------------------------------------------------------------------------------------------

  received(fields: MediaFields): ReceivedMedia {
    return receivedMedia(fields, () => this.#load());
  }

  async send(target: MediaTarget, source: MediaSource, options: SendMediaOptions): Promise<SentMessage> {
    return (await this.#load()).send(target, source, options);
  }

  /** After the start of the client: what earlier runs owe goes on. */
  async goOn(): Promise<void> {
    for (const table of OWING)
      if ((await this.#config.store.list(table)).length > 0) {
        await this.#load();
        return;
      }
  }

  online(): void {
    this.#loaded?.online();
  }

  stepped(): void {
    this.#loaded?.uploads.stepped();
  }

  #load(): Promise<Media> {
    if (this.#closed) return Promise.reject(new ClientError("closed"));
    this.#media ??= import("./media.ts").then(
      async ({ openMedia }) => {
        this.#loaded = await openMedia(this.#config);
        return this.#loaded;
      },
      // A page may be offline: it is loaded another time.
      (error: unknown) => {
        this.#media = undefined;
        throw new ClientError("relay-unreachable", String(error));
      },
    );
    return this.#media;
  }

  async stop(): Promise<void> {
    this.#closed = true;
    const media = await this.#media?.catch(() => undefined);
    await media?.stop();
  }
}

function messageOf(id: string): MessageId {
  return fromHex<MessageId>(id, 16);
}
