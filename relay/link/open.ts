// The links' platform: a server of their own, calls by WebSocket, TLS where the address says so. Always true: a stranger
// gets no answer but an upgrade; nothing that a client may use listens here.
import { createSecretKey, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { NodeId } from "@lethe/queue";
import { WebSocket, WebSocketServer } from "ws";
import { MAX_LINK_MESSAGE_BYTES, MAX_UNPROVEN, OPENING_MS } from "./limits.ts";
import { Links, type LinksOptions, type LinksPort } from "./links.ts";
import { call, type Self } from "./opening.ts";
import { LinkSocket, type LinkSocketPort } from "./socket.ts";

export const LINK_PATH = "/link";

const CAPS = {
  perMessageDeflate: false,
  maxPayload: MAX_LINK_MESSAGE_BYTES,
  maxFragments: 64,
  maxBufferedChunks: 4_096,
  closeTimeout: 2_000,
} as const;
const PATIENCE = {
  headersTimeout: OPENING_MS,
  requestTimeout: OPENING_MS,
  keepAliveTimeout: 1,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 4_096,
} as const;

export interface LinkListening {
  readonly host: string;
  readonly port: number;
  /** Certificate chain and key, PEM: the port speaks TLS. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
}

export interface OpenLinks extends Omit<LinksOptions, "self" | "call" | "nonce"> {
  readonly id: NodeId;
  readonly secret: string;
  readonly listen: LinkListening;
  /** Where others reach it; made from where it listens if it is empty. */
  readonly address: string;
  /** Certificates of authorities, PEM, that other nodes' are held against; undefined: the system's. */
  readonly ca: Buffer | undefined;
  readonly port: LinksPort;
}

export interface OpenedLinks {
  /** The port that it listens on. */
  readonly listening: number;
  readonly links: Links;
  readonly address: string;
  close(): Promise<void>;
}

export async function openLinks(options: OpenLinks): Promise<OpenedLinks> {
  const { listen, secret, id, ca } = options;
  const server =
    listen.tls === undefined ? createServer(PATIENCE) : createTlsServer({ ...PATIENCE, ...listen.tls });
  const silent = limitSilent(server);
  server.on("request", (_request, answer) => answer.writeHead(404).end());
  server.on("clientError", (_error, stream) => stream.destroy());
  server.listen({ host: listen.host, port: listen.port });
  await once(server, "listening");
  const address = options.address === "" ? addressOf(server, listen) : options.address;
  const links = new Links({
    ...options,
    self: { id, address, key: createSecretKey(Buffer.from(secret, "utf8")) },
    nonce: () => randomBytes(32),
    call: (self, to, port) => dial(self, to, port, ca),
  });
  const sockets = take(server, links, silent);
  return {
    links,
    address,
    listening: (server.address() as AddressInfo).port,
    async close() {
      links.close();
      server.close();
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function dial(
  self: Self,
  to: { id: NodeId; address: string },
  port: LinkSocketPort,
  ca: Buffer | undefined,
): LinkSocket {
  const ws = new WebSocket(`${to.address}${LINK_PATH}`, {
    ...CAPS,
    handshakeTimeout: OPENING_MS,
    followRedirects: false,
    ...(ca === undefined ? {} : { ca }),
  });
  return new LinkSocket(ws, call(self, to, port.nonce()), port);
}

/** Connections that have not asked for anything yet: the oldest of too many make place. */
function limitSilent(server: Server): Set<Socket> {
  const silent = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    silent.add(socket);
    socket.once("close", () => silent.delete(socket));
    if (silent.size <= MAX_UNPROVEN) return;
    for (const oldest of silent) return void oldest.destroy();
  });
  return silent;
}

function take(server: Server, links: Links, silent: Set<Socket>): WebSocketServer {
  const sockets = new WebSocketServer({ ...CAPS, noServer: true });
  server.on("upgrade", (request: IncomingMessage, stream, head) => {
    stream.on("error", () => stream.destroy());
    silent.delete(request.socket);
    if (request.url !== LINK_PATH) {
      stream.destroy();
      return;
    }
    sockets.handleUpgrade(request, stream, head, (ws) => {
      request.socket.setNoDelay(true);
      const socket = new LinkSocket(ws, { at: "called" }, links.socketPort());
      socket.countUntilProved(stream);
      links.called(socket, MAX_UNPROVEN);
    });
  });
  return sockets;
}

function addressOf(server: Server, { host, tls }: LinkListening): string {
  const { port } = server.address() as AddressInfo;
  const name = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return `${tls === undefined ? "ws" : "wss"}://${name.includes(":") ? `[${name}]` : name}:${port}`;
}
