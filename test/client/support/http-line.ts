// A line to a relay that a test can hold at the edges of each HTTP request, cut within a body, or end for good; WebSockets go
// through it as they are. Always true: what it carries, it carries unchanged, unless a test gives another body.
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as ask,
  type Server,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";

export interface Carrying {
  readonly method: string;
  readonly path: string;
}

export interface Holding {
  /** A request has come, and has not been carried. `cut`: its line is. */
  readonly arrived?: (what: Carrying) => "carry" | "cut";
  /** It was answered, and the answer has not been carried. */
  readonly answered?: (what: Carrying) => "carry" | "cut";
  /** After how many bytes of the body its line is cut; undefined: never. */
  readonly cutUp?: (what: Carrying) => number | undefined;
  readonly cutDown?: (what: Carrying) => number | undefined;
  /** Another body in the place of a successful answer's. */
  readonly instead?: (what: Carrying, body: Buffer) => Buffer;
}

export class HttpLine implements AsyncDisposable {
  holding: Holding = {};
  /** What was asked for over it. */
  readonly carried: Carrying[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #relay: () => URL;
  #ended = false;

  private constructor(relay: () => URL) {
    this.#relay = relay;
    this.#server = createServer((request, response) => {
      const { socket } = request; // it is let go of when a body is not read to its end
      this.#carry(request, response, () => socket.destroy()).catch(() => socket.destroy());
    });
    this.#server.on("connection", (socket) => this.#keep(socket));
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
  }

  static async before(relay: { readonly url: string }): Promise<HttpLine> {
    const line = new HttpLine(() => new URL(relay.url));
    line.#server.listen(0, "127.0.0.1");
    await once(line.#server, "listening");
    return line;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #keep(socket: Duplex): void {
    if (this.#ended) socket.destroy();
    this.#sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => this.#sockets.delete(socket));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { hostname, port } = this.#relay();
    const far = connect(Number(port), hostname);
    this.#keep(far);
    const headers = request.rawHeaders.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`));
    far.write(`${request.method} ${request.url} HTTP/1.1\r\n${headers.join("")}\r\n`);
    far.write(head);
    far.pipe(socket).pipe(far);
    socket.on("close", () => far.destroy());
    far.on("close", () => socket.destroy());
  }

  async #carry(request: IncomingMessage, response: ServerResponse, cut: () => void): Promise<void> {
    const what = { method: request.method ?? "", path: request.url ?? "" };
    const { arrived, answered, cutUp, cutDown, instead } = this.holding;
    this.carried.push(what);
    if (this.#ended || arrived?.(what) === "cut") return cut();
    const far = ask(new URL(what.path, this.#relay()), { method: what.method, headers: request.headers });
    const answer = once(far, "response");
    answer.catch(() => undefined);
    if (!(await pass(request, far, cutUp?.(what)))) {
      far.destroy();
      return cut();
    }
    far.end();
    const [from] = (await answer) as [IncomingMessage];
    if (this.#ended || answered?.(what) === "cut") return cut();
    const isGood = (from.statusCode ?? 0) < 300;
    if (isGood && instead !== undefined) {
      const body = instead(what, Buffer.concat(await from.toArray()));
      const { "content-length": _, ...headers } = from.headers;
      response.writeHead(from.statusCode ?? 0, { ...headers, "content-length": body.length });
      response.end(body);
      return;
    }
    response.writeHead(from.statusCode ?? 0, from.headers);
    if (await pass(from, response, isGood ? cutDown?.(what) : undefined)) response.end();
    else cut();
  }

  /** Nothing gets through any more: the process at the near end has died. */
  end(): void {
    this.#ended = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
    this.#server.close();
    await once(this.#server, "close");
  }
}

type Writable = { write(bytes: Buffer): boolean; once(event: "drain", call: () => void): unknown };

/** False: it was cut. */
async function pass(from: IncomingMessage, to: Writable, cutAfter: number | undefined): Promise<boolean> {
  let left = cutAfter ?? Number.POSITIVE_INFINITY;
  for await (const chunk of from as AsyncIterable<Buffer>) {
    if (!to.write(chunk.subarray(0, left))) await new Promise<void>((drained) => to.once("drain", drained));
    left -= chunk.length;
    if (left < 0) return false;
  }
  return cutAfter === undefined || left > 0;
}
