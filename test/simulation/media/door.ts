// The relay's routes for media as they are, behind the thinnest door that they can stand in: requests and answers are plain
// objects, nothing is a socket. Always true: what a route refuses is answered by the relay's own table of problems.
import type { AccountId } from "@lethe/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { mediaRoutes } from "../../../relay/http/media-routes.ts";
import type { HttpOptions } from "../../../relay/http/options.ts";
import { problemAnswers } from "../../../relay/http/problem-answers.ts";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  /** A body that breaks off in its middle. */
  readonly isCut: boolean;
}

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
}

/** Which account a request to begin an upload comes from. */
export const ACCOUNT_HEADER = "x-account";

interface Row {
  readonly method: string;
  readonly path: RegExp;
  readonly handler: (request: FastifyRequest, reply: FastifyReply) => unknown;
}

export class Door {
  readonly #rows: Row[] = [];
  readonly #problem: ReturnType<typeof problemAnswers>;

  constructor(options: HttpOptions) {
    this.#problem = problemAnswers(options);
    mediaRoutes(this.#app(), options, async ({ headers }) => headers[ACCOUNT_HEADER] as AccountId);
  }

  async ask(asked: Asked): Promise<Answered> {
    const reply = new Reply();
    const as = reply as unknown as FastifyReply;
    try {
      const row = this.#rows.find(({ method, path }) => method === asked.method && path.test(asked.path));
      if (row === undefined) throw new Error(`no route for ${asked.method} ${asked.path}`);
      const params = row.path.exec(asked.path)?.groups;
      const answer = await row.handler(requestOf(asked, params), as);
      if (answer !== reply) reply.send(answer);
    } catch (error) {
      this.#problem(error as Error, undefined, as);
    }
    return reply.end();
  }

  #app(): FastifyInstance {
    const app = {
      register: (inside: (app: unknown) => Promise<void>) => void inside(app),
      addHook: () => undefined,
      removeAllContentTypeParsers: () => undefined,
      addContentTypeParser: () => undefined,
      route: ({ method, url, handler }: { method: string; url: string; handler: Row["handler"] }) =>
        this.#rows.push({ method, path: patternOf(url), handler }),
    };
    return app as unknown as FastifyInstance;
  }
}

function patternOf(url: string): RegExp {
  return new RegExp(`^${url.replaceAll(/:(\w+)/g, "(?<$1>[^/]+)")}$`);
}

function requestOf({ headers, body, isCut }: Asked, params: unknown): FastifyRequest {
  const raw = {
    headers: { ...headers, ...(body === undefined ? {} : { "content-length": String(body.length) }) },
    socket: {},
    destroyed: false,
    complete: false,
    destroy(): void {
      raw.destroyed = true;
    },
    resume: () => undefined,
    async *iterator(): AsyncGenerator<Uint8Array> {
      if (body === undefined) return;
      if (isCut) {
        yield Uint8Array.from(body.subarray(0, body.length >> 1)); // a chunk is the relay's, who gives its memory back
        raw.destroyed = true;
        throw new Error("the line was cut");
      }
      yield Uint8Array.from(body);
      raw.complete = true;
    },
  };
  const bytes = body === undefined ? undefined : Buffer.from(body.buffer, body.byteOffset, body.length);
  return { headers: raw.headers, params, body: bytes, raw } as unknown as FastifyRequest;
}

/** What an answer goes out by, as much of it as the routes use. */
class Line {
  closed = false;
  readonly destroyed = false;
  statusCode = 200;
  readonly writableFinished = true;
  readonly chunks: Uint8Array[] = [];
  readonly #closing = new Set<() => void>();

  once(_event: string, then: () => void): void {
    this.#closing.add(then);
  }

  off(_event: string, then: () => void): void {
    this.#closing.delete(then);
  }

  writeHead(status: number): void {
    this.statusCode = status;
  }

  write(chunk: Uint8Array, gone: () => void): void {
    this.chunks.push(Uint8Array.from(chunk)); // its memory is given back
    gone();
  }

  end(): void {}

  destroy(): void {}

  close(): void {
    this.closed = true;
    for (const then of this.#closing) then();
  }
}

/** As much of an answer as the routes use. */
class Reply {
  readonly #headers: Record<string, string> = {};
  #json: unknown;
  readonly raw = new Line();

  get statusCode(): number {
    return this.raw.statusCode;
  }

  status(code: number): this {
    this.raw.statusCode = code;
    return this;
  }

  header(name: string, value: unknown): this {
    this.#headers[name] = String(value);
    return this;
  }

  getHeaders(): Readonly<Record<string, string>> {
    return this.#headers;
  }

  type(value: string): this {
    return this.header("content-type", value);
  }

  hijack(): void {}

  send(json?: unknown): this {
    this.#json = json;
    return this;
  }

  end(): Answered {
    const json = this.#json === undefined ? [] : [Buffer.from(JSON.stringify(this.#json))];
    const bytes = Buffer.concat([...this.raw.chunks, ...json]);
    this.raw.close();
    return { status: this.raw.statusCode, headers: this.#headers, bytes };
  }
}
