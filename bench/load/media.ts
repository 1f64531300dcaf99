// Files for the load: bytes as if sealed, put and had in parts by one who has a connection for each part that is under way.
import { randomBytes } from "node:crypto";
import { Agent, type IncomingMessage, request } from "node:http";
import { blake2b } from "@lethe/crypto";
import {
  CAPABILITY_MARK_BYTES,
  MEDIA_PART_BYTES,
  MEDIA_SCHEME,
  type MediaBeginRequest,
  type MediaTokensRequest,
  PATHS,
} from "@lethe/protocol";
import { type Account, authorization } from "./account.ts";

/** Parts under way at once, as a client has them. */
const IN_FLIGHT = 3;

interface Request {
  readonly method: string;
  readonly under?: string;
  readonly authorization: string;
  readonly body?: Uint8Array;
  readonly type?: string;
}

export class LoadFile {
  readonly #url: URL;
  readonly #agent: Agent;
  readonly #path = `${PATHS.media}/${randomBytes(16).toString("hex")}`;
  readonly #key = randomBytes(32);
  readonly #token = randomBytes(32);
  readonly #bytes: Uint8Array;

  constructor(url: URL, bytes: Uint8Array) {
    this.#url = url;
    this.#bytes = bytes;
    this.#agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT });
  }

  async begin(account: Account): Promise<void> {
    const body = json({ bytes: this.#bytes.length, uploadKey: mark(this.#key) } satisfies MediaBeginRequest);
    await this.#ask({ method: "PUT", authorization: authorization(account, "PUT", this.#path, body), body });
  }

  /** All parts, until the relay holds them, and may be asked for them. */
  async up(): Promise<void> {
    await this.#eachPart((part, from, to) =>
      this.#ask({
        method: "PUT",
        under: `/parts/${part}`,
        authorization: shown(this.#key),
        body: this.#bytes.subarray(from, to),
        type: "application/octet-stream",
      }),
    );
    await this.#ask({ method: "POST", under: "/finish", authorization: shown(this.#key) });
    const body = json({ add: [mark(this.#token)], strike: [], close: false } satisfies MediaTokensRequest);
    await this.#ask({ method: "PUT", under: "/tokens", authorization: shown(this.#key), body });
  }

  /** @throws Error where a byte is missing */
  async down(): Promise<void> {
    let had = 0;
    await this.#eachPart(async (part) => {
      const asked = { method: "GET", under: `/parts/${part}`, authorization: shown(this.#token) };
      const bytes = await this.#ask(asked); // `+=` would read the sum before the wait
      had += bytes;
    });
    if (had !== this.#bytes.length) throw new Error(`${had} bytes of ${this.#bytes.length} came`);
  }

  async withdraw(): Promise<void> {
    await this.#ask({ method: "DELETE", authorization: shown(this.#key) });
    this.#agent.destroy();
  }

  async #eachPart(work: (part: number, from: number, to: number) => Promise<unknown>): Promise<void> {
    const count = Math.ceil(this.#bytes.length / MEDIA_PART_BYTES);
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < count) {
        const part = next++;
        await work(part, part * MEDIA_PART_BYTES, (part + 1) * MEDIA_PART_BYTES);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  }

  /** Resolves with the number of bytes in the answer. @throws Error unless it is a success */
  #ask({ method, under = "", authorization, body, type = "application/json" }: Request): Promise<number> {
    const headers = {
      authorization,
      ...(body === undefined ? {} : { "content-type": type, "content-length": body.length }),
    };
    return new Promise((resolve, reject) => {
      const path = `${this.#path}${under}`;
      const asked = request(new URL(path, this.#url), { method, headers, agent: this.#agent }, (answer) => {
        lengthOf(answer, `${method} ${under}`).then(resolve, reject);
      });
      asked.once("error", reject);
      asked.end(body);
    });
  }
}

async function lengthOf(answer: IncomingMessage, what: string): Promise<number> {
  let bytes = 0;
  for await (const chunk of answer) bytes += (chunk as Buffer).length;
  if ((answer.statusCode ?? 0) >= 300) throw new Error(`${what} answered ${answer.statusCode}`);
  return bytes;
}

function mark(capability: Uint8Array): string {
  return Buffer.from(blake2b(32, capability).subarray(0, CAPABILITY_MARK_BYTES)).toString("base64url");
}

function shown(capability: Buffer): string {
  return `${MEDIA_SCHEME} ${capability.toString("base64url")}`;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
