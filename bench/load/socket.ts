// The load's own WebSocket client (RFC 6455), as lean as it can be, so that the load's share of the machine is small.
// Always true: what it sends is masked with chance, as every real client's is; any end it did not ask for is a fault.
import { createHash, randomBytes, randomFillSync } from "node:crypto";
import { connect, type Socket } from "node:net";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 section 1.3
const BINARY = 0x2;
const CLOSE = 0x8;
const PING = 0x9;

export interface SocketEvents {
  message(payload: Uint8Array): void;
  /** The other side ended the connection, or broke the protocol. */
  failed(error: Error): void;
}

export class LoadSocket {
  readonly #tcp: Socket;
  readonly #events: SocketEvents;
  #rest: Buffer = Buffer.alloc(0);
  #closing = false;

  private constructor(tcp: Socket, events: SocketEvents) {
    this.#tcp = tcp;
    this.#events = events;
    tcp.on("data", (chunk: Buffer) => this.#data(chunk));
    tcp.on("error", (error) => this.#failed(error));
    tcp.on("close", () => this.#failed(new Error("the connection was closed")));
  }

  /** Connects and upgrades. @throws Error unless the server switches protocols. */
  static open(url: URL, path: string, events: SocketEvents): Promise<LoadSocket> {
    const key = randomBytes(16).toString("base64");
    const wanted = createHash("sha1").update(`${key}${GUID}`).digest("base64");
    const tcp = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    tcp.write(
      `GET ${path} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
    return new Promise((resolve, reject) => {
      let head = Buffer.alloc(0);
      tcp.once("error", reject);
      tcp.once("close", () => reject(new Error("closed before the upgrade")));
      tcp.on("data", function upgrade(chunk: Buffer) {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        const answer = head.toString("latin1", 0, end);
        if (!answer.startsWith("HTTP/1.1 101 ") || !answer.includes(wanted)) {
          reject(new Error(`no upgrade: ${answer.split("\r\n")[0] ?? ""}`));
          tcp.destroy();
          return;
        }
        tcp.removeAllListeners();
        const socket = new LoadSocket(tcp, events);
        resolve(socket);
        if (head.length > end + 4) queueMicrotask(() => socket.#data(head.subarray(end + 4)));
      });
    });
  }

  /** Sends one binary message. */
  send(payload: Uint8Array): void {
    this.#frame(BINARY, payload);
  }

  /** Reads no more from now on; the other side is not told. */
  freeze(): void {
    this.#tcp.pause();
  }

  close(): void {
    this.#closing = true;
    if (this.#tcp.isPaused()) this.#tcp.destroy();
    else this.#tcp.end();
  }

  // RFC 6455 section 5.2; the mask is four random bytes, section 5.3.
  #frame(opcode: number, payload: Uint8Array): void {
    const length = payload.length;
    const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
    const out = Buffer.allocUnsafe(2 + extended + 4 + length);
    out[0] = 0x80 | opcode;
    out[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
    if (extended === 2) out.writeUInt16BE(length, 2);
    else if (extended === 8) out.writeBigUInt64BE(BigInt(length), 2);
    const mask = nextMask();
    out.writeUInt32BE(mask, 2 + extended);
    const start = 6 + extended;
    const [a, b, c, d] = [mask >>> 24, (mask >>> 16) & 255, (mask >>> 8) & 255, mask & 255];
    let i = 0;
    for (; i + 4 <= length; i += 4) {
      out[start + i] = (payload[i] as number) ^ a;
      out[start + i + 1] = (payload[i + 1] as number) ^ b;
      out[start + i + 2] = (payload[i + 2] as number) ^ c;
      out[start + i + 3] = (payload[i + 3] as number) ^ d;
    }
    for (; i < length; i++) out[start + i] = (payload[i] as number) ^ (mask >>> (24 - 8 * (i & 3)));
    this.#tcp.write(out);
  }

  #data(chunk: Buffer): void {
    let input = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const used = this.#message(input);
      if (used === 0) break;
      input = input.subarray(used);
    }
    this.#rest = input;
  }

  /** Takes one frame off the front; returns its length, 0 where it is not all there yet. */
  #message(input: Buffer): number {
    if (input.length < 2) return 0;
    const short = (input[1] as number) & 0x7f;
    const start = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (input.length < start) return 0;
    const length =
      short < 126 ? short : short === 126 ? input.readUInt16BE(2) : Number(input.readBigUInt64BE(2));
    if (input.length < start + length) return 0;
    const payload = input.subarray(start, start + length);
    const first = input[0] as number;
    if (first === (0x80 | BINARY)) this.#events.message(payload);
    else if (first === (0x80 | PING)) this.#frame(0xa, payload);
    else if (first === (0x80 | CLOSE)) this.#failed(new Error(`closed with ${closeStatus(payload)}`));
    else this.#failed(new Error("a WebSocket frame of a kind that no server here sends"));
    return start + length;
  }

  #failed(error: Error): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#tcp.destroy();
    this.#events.failed(error);
  }
}

function closeStatus(payload: Buffer): number {
  return payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
}

const masks = new Uint32Array(4_096);
let nextIndex = masks.length;

function nextMask(): number {
  if (nextIndex === masks.length) {
    randomFillSync(masks);
    nextIndex = 0;
  }
  return masks[nextIndex++] as number;
}
