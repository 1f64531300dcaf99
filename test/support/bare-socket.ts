// A WebSocket client over a bare TCP socket (RFC 6455), which can also send what no WebSocket client sends. It masks
// with the key 0, so what is written here is what stands on the wire.
import { connect, type Socket } from "node:net";
import { type ConnectionKind, PATHS } from "@lethe/protocol";

export const OPCODE = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;

const MASKED = 0x80;

/** One WebSocket frame as a client sends it. `first` is FIN, RSV and opcode: any byte. */
export function socketFrame(first: number, payload: Uint8Array, masked = true): Buffer {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + extended + (masked ? 4 : 0));
  head[0] = first;
  head[1] = (masked ? MASKED : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) head.writeUInt16BE(length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

/** A whole binary message in one frame. */
export function binaryMessage(payload: Uint8Array): Buffer {
  return socketFrame(0x80 | OPCODE.binary, payload);
}

export interface Ended {
  /** Of the close frame, undefined where the connection just ended. */
  readonly status: number | undefined;
}

export class BareSocket {
  readonly ended: Promise<Ended>;
  readonly #tcp: Socket;
  readonly #onMessage: (message: Buffer) => void;
  readonly #onPong: (payload: Buffer) => void;
  #buffer: Buffer = Buffer.alloc(0);
  #upgraded = false;
  #status: number | undefined;

  /** Connects and asks for the upgrade in the same breath; what is written later follows it. */
  constructor(
    port: number,
    kind: ConnectionKind,
    onMessage: (message: Buffer) => void,
    onPong: (payload: Buffer) => void = () => undefined,
  ) {
    this.#onMessage = onMessage;
    this.#onPong = onPong;
    this.#tcp = connect({ port, host: "127.0.0.1", noDelay: true });
    this.ended = new Promise((resolve) => this.#tcp.once("close", () => resolve({ status: this.#status })));
    this.#tcp.on("error", () => undefined); // a reset is an end, too
    this.#tcp.on("data", (chunk) => this.#read(chunk));
    this.#tcp.write(upgradeRequest(kind));
  }

  write(bytes: Uint8Array): void {
    this.#tcp.write(bytes);
  }

  /** Ends it as one does who has nothing to say: without a close frame. */
  destroy(): void {
    this.#tcp.destroy();
  }

  #read(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    if (!this.#upgraded) {
      const end = this.#buffer.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.#upgraded = true;
      this.#buffer = this.#buffer.subarray(end + 4);
    }
    while (this.#frame());
  }

  #frame(): boolean {
    const b = this.#buffer;
    if (b.length < 2) return false;
    const short = (b[1] as number) & 0x7f;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (b.length < head) return false;
    const length = short === 126 ? b.readUInt16BE(2) : short === 127 ? Number(b.readBigUInt64BE(2)) : short;
    if (b.length < head + length) return false;
    this.#buffer = b.subarray(head + length);
    this.#take((b[0] as number) & 0x0f, b.subarray(head, head + length));
    return true;
  }

  #take(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE.binary) this.#onMessage(payload);
    if (opcode === OPCODE.pong) this.#onPong(payload);
    if (opcode !== OPCODE.close) return;
    this.#status = payload.length >= 2 ? payload.readUInt16BE(0) : undefined;
    this.#tcp.end(socketFrame(0x80 | OPCODE.close, payload.subarray(0, 2)));
  }
}

export function upgradeRequest(kind: ConnectionKind): string {
  const path = kind === "device" ? PATHS.deviceSocket : PATHS.anonymousSocket;
  return `GET ${path} HTTP/1.1\r\nHost: relay.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: bGV0aGUgaXMgYSByaXZlcg==\r\nSec-WebSocket-Version: 13\r\n\r\n`;
}

/** Writes bytes to a fresh TCP connection and gives everything that came back until the other side ended it. */
export function tcpExchange(port: number, bytes: Uint8Array, endAfter: boolean): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const tcp = connect({ port, host: "127.0.0.1" });
    tcp.on("error", () => undefined);
    tcp.on("data", (chunk) => chunks.push(chunk));
    tcp.once("close", () => resolve(Buffer.concat(chunks)));
    if (endAfter) tcp.end(bytes);
    else tcp.write(bytes);
  });
}
