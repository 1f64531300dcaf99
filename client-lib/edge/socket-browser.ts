/// <reference lib="dom" />
// A browser's WebSocket, as the engine wants it.
// Always true: only whole binary messages within the protocol's limit come out; every socket says `closed` once, also
// when the other side answers neither the beginning nor the end.
import { MAX_MESSAGE_BYTES } from "@lethe/protocol";
import type { OpenSocket } from "./socket.ts";

/** A relay that does not read is given up once this much waits in memory, bytes: in-flight windows, twice. */
const MAX_BUFFERED_BYTES = 4 * MAX_MESSAGE_BYTES;
/** How long the other side has to answer a close, ms. */
const CLOSE_MS = 2_000;
const HANDSHAKE_MS = 10_000;
/** RFC 6455, 7.4.1. */
const NORMAL = 1000;
const NOT_BINARY = 1003;
const ABNORMAL = 1006;

export const openBrowserSocket: OpenSocket = (url, events) => {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const leaving = new AbortController();
  const { signal } = leaving;
  /** Says so, once, and hears nothing more. */
  const ended = (status: number): void => {
    if (signal.aborted) return;
    leaving.abort();
    clearTimeout(timer);
    socket.close();
    events.closed(status);
  };
  let timer = setTimeout(() => ended(ABNORMAL), HANDSHAKE_MS);
  const opened = (): void => {
    clearTimeout(timer);
    events.opened();
  };
  socket.addEventListener("open", opened, { signal });
  socket.addEventListener(
    "message",
    ({ data }: MessageEvent<unknown>) => {
      if (!(data instanceof ArrayBuffer) || data.byteLength > MAX_MESSAGE_BYTES) ended(NOT_BINARY);
      else events.message(new Uint8Array(data));
    },
    { signal },
  );
  socket.addEventListener("close", ({ code }) => ended(code), { signal });
  return {
    send(bytes) {
      if (socket.readyState !== WebSocket.OPEN) return;
      // A message over the cap in shared memory cannot be: encoders make arrays of their own.
      socket.send(Uint8Array.from(bytes));
      if (socket.bufferedAmount > MAX_BUFFERED_BYTES) ended(ABNORMAL);
    },
    close() {
      if (socket.readyState === WebSocket.CONNECTING) return ended(ABNORMAL);
      clearTimeout(timer);
      timer = setTimeout(() => ended(ABNORMAL), CLOSE_MS);
      socket.close(NORMAL);
    },
  };
};
