// HTTP requests that become WebSockets. Always true: what is refused is refused before the upgrade, with a problem of the
// table and nothing kept; what passes belongs to the gateway.
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type ConnectionKind, MAX_MESSAGE_BYTES, PATHS, type ProblemCode } from "@lethe/protocol";
import type { FastifyInstance } from "fastify";
import { WebSocketServer } from "ws";
import type { HttpOptions } from "./options.ts";
import { turnAway } from "./raw-answers.ts";
import { isFrom, remoteOf } from "./remote.ts";

/** How long a client has to answer the end of its connection, ms: longer, and a silent one would hold up a shutdown. */
const CLOSE_MS = 2_000;

/** How long a client that is refused a WebSocket should wait, ms. */
const FULL_MS = 5_000;

export function turnedAway(
  { metrics, now }: Pick<HttpOptions, "metrics" | "now">,
  stream: Duplex,
  code: ProblemCode,
  retryAfter?: number,
): void {
  metrics.refused(code);
  turnAway(stream, code, now(), retryAfter);
}

export function upgrades(app: FastifyInstance, options: HttpOptions): void {
  const { gateway, ready, terms } = options;
  const caps = {
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    maxFragments: 64,
    maxBufferedChunks: 1_024,
    closeTimeout: CLOSE_MS,
  };
  const sockets = new WebSocketServer(caps);
  sockets.on("wsClientError", (_error, stream) => turnedAway(options, stream, "bad-request"));
  app.server.on("upgrade", (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on("error", () => stream.destroy());
    const kind = kindOf(request.url?.split("?")[0]);
    if (kind === undefined) return turnedAway(options, stream, "not-found");
    if (!ready()) return turnedAway(options, stream, "not-ready");
    if (!isFrom(terms().allowedOrigins, request.headers.origin))
      return turnedAway(options, stream, "not-permitted");
    const remote = remoteOf(request, terms().trustProxy);
    if (gateway.addresses.isFull(remote)) return turnedAway(options, stream, "too-many-connections", FULL_MS);
    sockets.handleUpgrade(request, stream, head, (ws) => gateway.connect(ws, kind, remote, stream));
  });
}

function kindOf(path: string | undefined): ConnectionKind | undefined {
  if (path === PATHS.deviceSocket) return "device";
  return path === PATHS.anonymousSocket ? "anonymous" : undefined;
}
