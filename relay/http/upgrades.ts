// HTTP requests that become WebSockets. Always true: what is refused is refused before the upgrade, with a status and nothing
// kept; what passes belongs to the gateway.
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { MAX_MESSAGE_BYTES, PATHS } from "@lethe/protocol";
import type { FastifyInstance } from "fastify";
import { WebSocketServer } from "ws";
import type { HttpOptions } from "./options.ts";
import { isFrom, remoteOf } from "./remote.ts";

/** How long a client has to answer the end of its connection, ms: longer, and a silent one would hold up a shutdown. */
const CLOSE_MS = 2_000;

export function upgrades(app: FastifyInstance, { gateway, ready, terms }: HttpOptions): void {
  const options = {
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    maxFragments: 64,
    maxBufferedChunks: 1_024,
    closeTimeout: CLOSE_MS,
  };
  const sockets = new WebSocketServer(options);
  app.server.on("upgrade", (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on("error", () => stream.destroy());
    const path = request.url?.split("?")[0];
    const kind =
      path === PATHS.deviceSocket ? "device" : path === PATHS.anonymousSocket ? "anonymous" : undefined;
    if (kind === undefined || !ready()) {
      stream.end(
        `HTTP/1.1 ${kind === undefined ? "404 Not Found" : "503 Service Unavailable"}\r\nConnection: close\r\n\r\n`,
      );
      return;
    }
    const remote = remoteOf(request, terms().trustProxy);
    if (!isFrom(terms().allowedOrigins, request.headers.origin)) {
      stream.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
      return;
    }
    if (gateway.addresses.isFull(remote)) {
      stream.end("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\n\r\n");
      return;
    }
    sockets.handleUpgrade(request, stream, head, (ws) => gateway.connect(ws, kind, remote));
  });
}
