// Blobs in an S3 bucket, one object for each part: `<prefix><32 hex>/<part>`. Always true: a part is sent in one request when all of
// it is here, so that nothing unfinished lies in the bucket; and so many are here at once at most.
import type { IncomingMessage } from "node:http";
import { gathered } from "../blobs/exactly.ts";
import { blobName, blobOf, checkLength, checkRange, partName, partOf } from "../blobs/names.ts";
import { Slots } from "../blobs/slots.ts";
import { StoreClosedError } from "../mailbox.ts";
import { BlobError, type Blobs, type MediaId } from "../media.ts";
import { Bucket } from "./bucket.ts";
import type { S3Config } from "./config.ts";
import { blobError } from "./failures.ts";

/** Parts that are gathered or sent at once: 96 MiB. As many as a relay takes at once, so that who is slow keeps nobody waiting. */
const PARTS_AT_ONCE = 48;
const MOST_WAITING = 1_024;
/** A URL is good for no longer, seconds. */
const LONGEST_PLACE = 3_600;

/** Nothing is asked of the store before it is needed: `checkS3` tells whether it will do. @throws StoreOpenError */
export function openS3Blobs(config: S3Config): Blobs {
  return new S3Blobs(new Bucket(config), config);
}

class S3Blobs implements Blobs {
  readonly #bucket: Bucket;
  readonly #prefix: string;
  readonly #direct: boolean;
  readonly #slots = new Slots(PARTS_AT_ONCE, MOST_WAITING);
  #closed = false;

  constructor(bucket: Bucket, { prefix, direct }: S3Config) {
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#direct = direct;
  }

  async put(media: MediaId, part: number, length: number, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    this.#mustBeOpen();
    const name = this.#object(media, part);
    checkLength(length);
    await this.#slots.with(async () => {
      const whole = await gathered(bytes, length);
      await this.#bucket.put(name, whole).catch(failed);
    });
  }

  async get(
    media: MediaId,
    part: number,
    from: number,
    to: number,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    this.#mustBeOpen();
    checkRange(from, to);
    const answer = await this.#bucket.get(this.#object(media, part), from, to - from).catch(failed);
    return answer === undefined ? undefined : bodyOf(answer, to - from);
  }

  async parts(media: MediaId): Promise<ReadonlyMap<number, number>> {
    this.#mustBeOpen();
    const folder = this.#folder(media);
    const lengths = new Map<number, number>();
    try {
      for await (const page of this.#bucket.list(folder, ""))
        for (const { name, bytes } of page) {
          const part = partOf(name.slice(folder.length));
          if (part !== undefined) lengths.set(part, bytes);
        }
    } catch (error) {
      throw blobError(error);
    }
    return lengths;
  }

  async remove(media: MediaId): Promise<void> {
    this.#mustBeOpen();
    const folder = this.#folder(media);
    try {
      for await (const page of this.#bucket.list(folder, ""))
        if (page.length > 0) await this.#bucket.remove(page.map(({ name }) => name));
    } catch (error) {
      throw blobError(error);
    }
  }

  async *list(): AsyncGenerator<MediaId> {
    this.#mustBeOpen();
    try {
      for await (const page of this.#bucket.list(this.#prefix, "/"))
        for (const { name } of page) {
          const media = name.endsWith("/") ? blobOf(name.slice(this.#prefix.length, -1)) : undefined;
          if (media !== undefined) yield media;
        }
    } catch (error) {
      throw blobError(error);
    }
  }

  async place(
    media: MediaId,
    part: number,
    method: "GET" | "PUT",
    seconds: number,
  ): Promise<string | undefined> {
    this.#mustBeOpen();
    if (!this.#direct) return undefined;
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > LONGEST_PLACE)
      throw new RangeError(`a URL is good for 1 to ${LONGEST_PLACE} seconds`);
    return await this.#bucket.sign(method, this.#object(media, part), seconds);
  }

  /** What is under way fails. */
  close(): Promise<void> {
    this.#closed = true;
    this.#slots.close();
    this.#bucket.close();
    return Promise.resolve();
  }

  #folder(media: MediaId): string {
    return `${this.#prefix}${blobName(media)}/`;
  }

  #object(media: MediaId, part: number): string {
    return this.#folder(media) + partName(part);
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new StoreClosedError("the blobs are closed");
  }
}

/** Lets go of the connection when whoever reads stops early; where nobody ever reads, the time-out does. */
async function* bodyOf(answer: IncomingMessage, length: number): AsyncGenerator<Uint8Array> {
  let had = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Uint8Array>) {
      had += chunk.length;
      yield chunk;
    }
  } catch (error) {
    throw blobError(error);
  }
  if (had !== length) throw new BlobError("failed", { cause: "the answer ended early" });
}

function failed(error: unknown): never {
  throw blobError(error);
}
