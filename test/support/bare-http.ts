// An HTTP/1.1 client over a bare TCP socket, which can also send what no HTTP client sends. Always true: what comes back
// is taken apart strictly (RFC 9112): a status line, headers, and a body as long as they say; anything else throws.
import { connect, type Socket } from "node:net";

export interface BareAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** What came back, and whether the other side ended the connection. */
export interface BareExchange {
  readonly answers: readonly BareAnswer[];
  readonly ended: boolean;
}

interface Asked {
  readonly count: number;
  readonly head: boolean;
  readonly done: (exchange: BareExchange) => void;
  readonly failed: (error: Error) => void;
}

export class BareHttp {
  readonly #tcp: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #answers: BareAnswer[] = [];
  #asked: Asked | undefined;
  #ended = false;

  /** @param localAddress one of this machine's, for tests of what one address may do. */
  constructor(port: number, localAddress = "127.0.0.1") {
    this.#tcp = connect({ port, host: "127.0.0.1", localAddress, noDelay: true });
    this.#tcp.on("error", () => undefined); // a reset is an end, too
    this.#tcp.on("data", (chunk) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
      this.#settle();
    });
    this.#tcp.once("close", () => {
      this.#ended = true;
      this.#settle();
    });
  }

  get usable(): boolean {
    return !this.#ended;
  }

  /** Sends the bytes, and waits for `count` answers or for the end. @param head the answers have no bodies. */
  exchange(bytes: Uint8Array, count = 1, { head = false, endAfter = false } = {}): Promise<BareExchange> {
    return new Promise((done, failed) => {
      this.#asked = { count, head, done, failed };
      this.#answers = [];
      if (this.#ended) return this.#settle();
      if (endAfter) this.#tcp.end(bytes);
      else this.#tcp.write(bytes);
    });
  }

  destroy(): void {
    this.#tcp.destroy();
  }

  #settle(): void {
    const asked = this.#asked;
    if (asked === undefined) return;
    try {
      for (let answer = this.#next(asked.head); answer !== undefined; answer = this.#next(asked.head))
        this.#answers.push(answer);
      if (this.#answers.length < asked.count && !this.#ended) return;
      if (this.#ended && this.#buffer.length > 0) throw new Error(`half an answer: ${this.#shown()}`);
      this.#asked = undefined;
      asked.done({ answers: this.#answers, ended: this.#ended });
    } catch (error) {
      this.#asked = undefined;
      this.#tcp.destroy();
      asked.failed(error as Error);
    }
  }

  #shown(): string {
    return this.#buffer.subarray(0, 200).toString("latin1");
  }

  #next(head: boolean): BareAnswer | undefined {
    const end = this.#buffer.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    const [first = "", ...lines] = this.#buffer.toString("latin1", 0, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 ([1-5]\d\d)(?: |$)/.exec(first)?.[1]);
    if (Number.isNaN(status)) throw new Error(`no answer of HTTP: ${this.#shown()}`);
    const headers = new Map(lines.map((line) => headerOf(line)));
    const length =
      head || status === 204 || status < 200 ? 0 : Number(headers.get("content-length") ?? Number.NaN);
    if (!Number.isInteger(length)) throw new Error(`an answer without a length: ${this.#shown()}`);
    if (this.#buffer.length < end + 4 + length) return undefined;
    const body = this.#buffer.toString("utf8", end + 4, end + 4 + length);
    this.#buffer = this.#buffer.subarray(end + 4 + length);
    return { status, headers, body };
  }
}

function headerOf(line: string): [string, string] {
  const found = /^([A-Za-z0-9-]+): ?(.*)$/.exec(line);
  if (found === null) throw new Error(`no header: ${line}`);
  return [(found[1] as string).toLowerCase(), found[2] as string];
}

/** The bytes of a request as they are given, with Host and Content-Length unless told otherwise. */
export function requestBytes(
  method: string,
  target: string,
  headers: Readonly<Record<string, string>> = {},
  body: Uint8Array = new Uint8Array(0),
): Buffer {
  const all: Record<string, string> = { host: "relay.test", ...headers };
  const framed = Object.keys(all).some((name) => /^(?:content-length|transfer-encoding)$/i.test(name));
  if (!framed && body.length > 0) all["content-length"] = String(body.length);
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([
    Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`, "latin1"),
    body,
  ]);
}
