// The one bucket that blobs lie in: the few things that are asked of it. Always true: it keeps no names but a page of a listing.
import type { IncomingMessage } from "node:http";
import { Client, type ClientOptions } from "minio";
import { StoreOpenError } from "../mailbox.ts";
import { checkS3Config, endpointOf, type S3Config } from "./config.ts";
import { s3CodeOf } from "./failures.ts";
import { timedTransport, type Transport } from "./transport.ts";

type ClientTransport = NonNullable<ClientOptions["transport"]>;

const DEFAULT_REQUEST_MS = 30_000;
/** As many names as S3 lists, and removes, at once. */
const PAGE = 1_000;
/** A connection that the store had closed already, or closes on us. */
const BROKEN = new Set(["ECONNRESET", "EPIPE"]);
const TYPE = "application/octet-stream";
/** What a browser is told to do with bytes that came without the relay. */
const AS_FILE = {
  "response-content-type": TYPE,
  "response-content-disposition": "attachment",
  "response-cache-control": "no-store",
};

/** An object, or, where names are cut off at a delimiter, what several begin with. */
export interface Listed {
  readonly name: string;
  readonly bytes: number;
}

export class Bucket {
  readonly #name: string;
  readonly #transport: Transport;
  readonly client: Client;
  /** Speaks to nobody: signs URLs for the host that clients know. */
  readonly #signer: Client;
  #closed = false;

  /** @throws StoreOpenError */
  constructor(config: S3Config, seen?: (answer: IncomingMessage) => void) {
    checkS3Config(config);
    const { url, publicUrl = url, region, accessKey, secretKey, requestMs = DEFAULT_REQUEST_MS } = config;
    const endpoint = endpointOf(url);
    this.#name = config.bucket;
    this.#transport = timedTransport(endpoint.useSSL, requestMs, seen);
    const common = { region, accessKey, secretKey, pathStyle: true, retryOptions: { disableRetry: true } };
    // The client's type asks for all ways in which Node's `request` can be called; it calls it in this one.
    const transport = { request: this.#transport.request } as ClientTransport;
    this.client = clientOf({ ...common, ...endpoint, transport, transportAgent: this.#transport.agent });
    this.#signer = clientOf({ ...common, ...endpointOf(publicUrl) });
  }

  async put(name: string, bytes: Buffer): Promise<{ readonly versioned: boolean }> {
    const headers = { "Content-Type": TYPE };
    const put = () => this.client.putObject(this.#name, name, bytes, bytes.length, headers);
    const { versionId } = await this.#ask(put);
    return { versioned: versionId !== null && versionId !== "null" }; // "null": versions are suspended
  }

  /** So many bytes from `from` on; undefined where there is no such object, or a shorter one. */
  async get(name: string, from: number, length: number): Promise<IncomingMessage | undefined> {
    try {
      const get = () => this.client.getPartialObject(this.#name, name, from, length);
      const answer = (await this.#ask(get)) as IncomingMessage;
      const has = Number(answer.headers["content-length"]);
      if (has === length) return answer;
      answer.destroy();
      if (has < length) return undefined;
      throw new Error("the store has given what it was not asked for");
    } catch (error) {
      if (["NoSuchKey", "InvalidRange"].includes(s3CodeOf(error))) return undefined;
      throw error;
    }
  }

  /** Everything whose name begins so, a page at a time; with a delimiter each beginning of names up to it once. */
  async *list(prefix: string, delimiter: "" | "/"): AsyncGenerator<readonly Listed[]> {
    for (let token = ""; ; ) {
      const ask = () => this.client.listObjectsV2Query(this.#name, prefix, token, delimiter, PAGE, "");
      const page = await this.#ask(ask);
      yield page.objects.map(({ name, prefix, size }) => ({ name: name ?? prefix ?? "", bytes: size }));
      if (!page.isTruncated || page.nextContinuationToken === "") return;
      token = String(page.nextContinuationToken); // the client takes one of digits alone for a number
    }
  }

  /** At most a page of names. @throws where one is still there */
  async remove(names: readonly string[]): Promise<void> {
    const refused: unknown[] = await this.#ask(() => this.client.removeObjects(this.#name, [...names]));
    for (const one of refused as readonly { readonly Code?: unknown }[])
      if (one.Code !== "NoSuchKey") throw Object.assign(new Error("is still there"), { code: one.Code });
  }

  /** A URL that lets anybody do this one thing with this one object, for so many seconds. */
  sign(method: "GET" | "PUT", name: string, seconds: number): Promise<string> {
    return this.#signer.presignedUrl(method, this.#name, name, seconds, method === "GET" ? AS_FILE : {});
  }

  /** Asks once more over another connection where one broke: a store may close those that wait at any moment. */
  async #ask<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new Error("the bucket is closed");
    try {
      return await work();
    } catch (error) {
      if (this.#closed || !BROKEN.has(s3CodeOf(error))) throw error;
      return await work();
    }
  }

  /** What is under way fails. */
  close(): void {
    this.#closed = true;
    this.#transport.agent.destroy();
  }
}

/** @throws StoreOpenError */
function clientOf(options: ClientOptions): Client {
  try {
    return new Client(options);
  } catch {
    throw new StoreOpenError("url-malformed", "the S3 store's URL names no host that can be spoken to");
  }
}
