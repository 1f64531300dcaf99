// A line to a relay that keeps everything that was asked for over it by HTTP, and what was answered, as the relay sees it; WebSockets
// go through it as they are. Always true: what it carries, it carries unchanged.
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

export interface Request {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
  readonly status: number;
  readonly answer: Buffer;
  /** Of the requests on one connection all have the same. */
  readonly connection: number;
}

export class RecordingLine implements AsyncDisposable {
  readonly requests: Request[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #connections = new Map<Duplex, number>();
  readonly #relay: () => number;

  private constructor(relay: () => number) {
    this.#relay = relay;
    this.#server = createServer((request, response) => {
      this.#carry(request, response).catch(() => request.socket.destroy());
    });
    this.#server.on("connection", (socket) => this.#connections.set(socket, this.#connections.size));
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** @param port of the relay, asked for at each request. */
  static async before(port: () => number): Promise<RecordingLine> {
    const line = new RecordingLine(port);
    line.#server.listen(0, "127.0.0.1");
    await once(line.#server, "listening");
    return line;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #carry(from: IncomingMessage, to: ServerResponse): Promise<void> {
    const { method = "", url: path = "", rawHeaders } = from;
    const body = Buffer.concat(await from.toArray());
    const far = ask({ host: "127.0.0.1", port: this.#relay(), path, method, headers: from.headers });
    far.end(body);
    const [answered] = (await once(far, "response")) as [IncomingMessage];
    const answer = Buffer.concat(await answered.toArray());
    const status = answered.statusCode ?? 0;
    const connection = this.#connections.get(from.socket) ?? -1;
    this.requests.push({ method, path, headers: pairs(rawHeaders), body, status, answer, connection });
    to.writeHead(status, answered.headers).end(answer);
  }

  #upgrade(request: IncomingMessage, near: Duplex, head: Buffer): void {
    const far = connect(this.#relay(), "127.0.0.1");
    const lines = pairs(request.rawHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
    far.write(`${request.method} ${request.url} HTTP/1.1\r\n${lines.join("")}\r\n`);
    far.write(head);
    far.pipe(near).pipe(far);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => undefined).on("close", () => other.destroy());
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }
}

function pairs(raw: readonly string[]): [string, string][] {
  const count = raw.length / 2;
  return Array.from({ length: count }, (_, i) => [(raw[2 * i] ?? "").toLowerCase(), raw[2 * i + 1] ?? ""]);
}
