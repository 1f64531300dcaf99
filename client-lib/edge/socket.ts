// A WebSocket as the engine wants it, and the one for Node. A browser's fits the same shape.
// Always true: only whole binary messages within the protocol's limit come out; every socket says `closed` once.
import { MAX_MESSAGE_BYTES } from "@lethe/protocol";
import { WebSocket } from "ws";

export interface SocketEvents {
  opened(): void;
  message(bytes: Uint8Array): void;
  /** With the close status, 1006 where there was none. */
  closed(status: number): void;
}

export interface Socket {
  send(bytes: Uint8Array): void;
  close(): void;
}

export type OpenSocket = (url: string, events: SocketEvents) => Socket;

/** A relay that does not read is given up once this much waits in memory, bytes: in-flight windows, twice. */
const MAX_BUFFERED_BYTES = 4 * MAX_MESSAGE_BYTES;
/** How long the other side has to answer a close, ms. */
const CLOSE_MS = 2_000;
const HANDSHAKE_MS = 10_000;
/** RFC 6455, 7.4.1: data of a type that cannot be accepted. */
const NOT_BINARY = 1003;

export const openNodeSocket: OpenSocket = (url, events) => {
  const options = {
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handshakeTimeout: HANDSHAKE_MS,
    closeTimeout: CLOSE_MS,
    followRedirects: false,
  };
  const socket = new WebSocket(url, options);
  socket.binaryType = "nodebuffer";
  socket.on("open", () => events.opened());
  socket.on("message", (data, isBinary) => {
    if (isBinary && Buffer.isBuffer(data)) events.message(data);
    else socket.close(NOT_BINARY);
  });
  // What went wrong is in the close that follows.
  socket.on("error", () => undefined);
  socket.on("close", (status) => events.closed(status));
  return {
    send(bytes) {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.send(bytes);
      if (socket.bufferedAmount > MAX_BUFFERED_BYTES) socket.terminate();
    },
    close() {
      if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
      else socket.close(1000);
    },
  };
};
