// A file at a relay, as the wire sees it: random bytes in parts, an upload key, release tokens. Nothing here is encrypted: to
// the relay the bytes are bytes, and whoever shows a capability has it.
import { randomBytes } from "node:crypto";
import { blake2b } from "@noble/hashes/blake2.js";
import { MEDIA_PART_BYTES, MEDIA_SCHEME, PATHS } from "@lethe/protocol";
import { type Answer, ask, type At, type Person } from "./person.ts";

/** 32 random bytes that somebody holds, and the mark by which the relay knows them. */
export class Capability {
  readonly bytes = randomBytes(32);

  get header(): string {
    return `${MEDIA_SCHEME} ${this.bytes.toString("base64url")}`;
  }

  get mark(): string {
    return Buffer.from(blake2b(this.bytes, { dkLen: 32 }).subarray(0, 16)).toString("base64url");
  }
}

export interface Had {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  /** The code of a refusal, "" of a success. */
  readonly code: string;
}

export class Upload {
  readonly id = randomBytes(16).toString("hex");
  readonly key = new Capability();
  readonly bytes: Buffer;
  readonly #by: Person;

  /** @param bytes what is uploaded, or how much. */
  constructor(by: Person, bytes: Buffer | number) {
    this.#by = by;
    this.bytes = typeof bytes === "number" ? randomBytes(bytes) : bytes;
  }

  /** Begun, and all parts put. */
  static async put(at: At, by: Person, bytes: Buffer | number): Promise<Upload> {
    const upload = new Upload(by, bytes);
    await succeeds(upload.begin(at));
    for (let part = 0; part < upload.parts; part++) await succeeds(upload.putPart(at, part));
    return upload;
  }

  /** And finished, with a release token for each of so many devices. */
  static async ready(
    at: At,
    by: Person,
    bytes: Buffer | number,
    tokens: readonly Capability[],
  ): Promise<Upload> {
    const upload = await Upload.put(at, by, bytes);
    await succeeds(upload.finish(at));
    await succeeds(upload.tokens(at, { add: tokens.map(({ mark }) => mark) }));
    return upload;
  }

  get path(): string {
    return `${PATHS.media}/${this.id}`;
  }

  get parts(): number {
    return Math.ceil(this.bytes.length / MEDIA_PART_BYTES);
  }

  part(n: number): Buffer {
    return this.bytes.subarray(n * MEDIA_PART_BYTES, (n + 1) * MEDIA_PART_BYTES);
  }

  partPath(n: number | string): string {
    return `${this.path}/parts/${n}`;
  }

  begin(at: At, bytes = this.bytes.length, key = this.key): Promise<Answer> {
    return this.#by.request(at, "PUT", this.path, { bytes, uploadKey: key.mark });
  }

  async putPart(at: At, n: number, bytes: Uint8Array = this.part(n), key = this.key): Promise<Had> {
    const headers = { authorization: key.header, "content-type": "application/octet-stream" };
    return had(
      await fetch(`${at.url}${this.partPath(n)}`, { method: "PUT", headers, body: new Uint8Array(bytes) }),
    );
  }

  state(at: At, key = this.key): Promise<Answer> {
    return this.ask(at, "GET", "", key);
  }

  finish(at: At, key = this.key): Promise<Answer> {
    return this.ask(at, "POST", "/finish", key);
  }

  tokens(
    at: At,
    change: { add?: readonly string[]; strike?: readonly string[]; close?: boolean },
    key = this.key,
  ): Promise<Answer> {
    return this.ask(at, "PUT", "/tokens", key, { add: [], strike: [], close: false, ...change });
  }

  withdraw(at: At, key = this.key): Promise<Answer> {
    return this.ask(at, "DELETE", "", key);
  }

  async getPart(at: At, n: number, token: Capability, headers: Record<string, string> = {}): Promise<Had> {
    return had(
      await fetch(`${at.url}${this.partPath(n)}`, { headers: { authorization: token.header, ...headers } }),
    );
  }

  release(at: At, token: Capability): Promise<Answer> {
    return this.ask(at, "POST", "/release", token);
  }

  ask(at: At, method: string, under: string, shown: Capability, body?: unknown): Promise<Answer> {
    const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body));
    return ask(at, method, `${this.path}${under}`, bytes, shown.header);
  }
}

async function had(response: Response): Promise<Had> {
  const bytes = Buffer.from(await response.arrayBuffer());
  const { status, headers } = response;
  const isProblem = status >= 400;
  const code = isProblem ? String((JSON.parse(bytes.toString()) as { code: unknown }).code) : "";
  return { status, headers, bytes, code };
}

async function succeeds(answer: Promise<{ readonly status: number; readonly code: string }>): Promise<void> {
  const { status, code } = await answer;
  if (status >= 300) throw new Error(`it was refused: ${status} ${code}`);
}
