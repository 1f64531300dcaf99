// The HTTP half put together: server, headers, bodies, failures, then the routes and the upgrade to a WebSocket. Always true:
// every failure is a problem of the table, as JSON, with the relay's clock; connections are capped before a byte is read.
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTlsServer } from "node:https";
import fastifyCors from "@fastify/cors";
import fastifyHelmet from "@fastify/helmet";
import { Refusal } from "@lethe/protocol";
import fastify, { type FastifyInstance } from "fastify";
import { guard } from "../edge/callers.ts";
import { accountRoutes } from "./account-routes.ts";
import { adminRoutes } from "./admin.ts";
import { describeRoutes, documentRoute } from "./openapi.ts";
import type { HttpOptions } from "./options.ts";
import { problemAnswers } from "./problem-answers.ts";
import { publicRoutes } from "./public-routes.ts";
import { hurryBodies, PATIENCE } from "./patience.ts";
import { codeOfClientError } from "./raw-answers.ts";
import { isFrom, networkOf } from "./remote.ts";
import { turnedAway, upgrades } from "./upgrades.ts";

/** Bytes of a request's body: 200 one-time keys of each kind, encoded. */
const MAX_BODY_BYTES = 1_572_864;
/** How long a TLS handshake may take, ms. */
const HANDSHAKE_MS = 10_000;

export async function openHttp(options: HttpOptions): Promise<FastifyInstance> {
  const { tls } = options.terms();
  const answerProblem = problemAnswers(options);
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    logger: false,
    forceCloseConnections: true,
    frameworkErrors: answerProblem,
    clientErrorHandler: (error, socket) => {
      const code = codeOfClientError(error);
      if (code === undefined) socket.destroy();
      else turnedAway(options, socket, code);
    },
    serverFactory: (handler) =>
      tls === undefined
        ? createServer(PATIENCE, handler)
        : createTlsServer({ ...PATIENCE, handshakeTimeout: HANDSHAKE_MS, ...tls }, handler),
  });
  app.server.on("checkExpectation", ({ socket }: IncomingMessage) =>
    turnedAway(options, socket, "bad-request"),
  );
  doorkeeper(app, options);
  await app.register(fastifyHelmet);
  await app.register(fastifyCors, {
    origin: (origin, allow) => allow(null, isFrom(options.terms().allowedOrigins, origin)),
    methods: ["GET", "POST", "PUT", "DELETE"],
    exposedHeaders: ["Accept-Ranges", "Content-Length", "Content-Range", "Retry-After"],
    strictPreflight: false,
  });
  rawJson(app);
  hurryBodies(app, options);
  app.setErrorHandler(answerProblem);
  app.setNotFoundHandler((request, reply) => answerProblem(new Refusal("not-found"), request, reply));
  await describeRoutes(app);
  documentRoute(app);
  publicRoutes(app, options);
  accountRoutes(app, options);
  adminRoutes(app, options);
  upgrades(app, options);
  return app;
}

// Bodies are kept as bytes: the signature covers exactly what was sent. RFC 9112 section 3.2: no request without a host.
function rawJson(app: FastifyInstance): void {
  app.addHook("onRequest", async (request) => {
    if (request.headers.host === undefined) throw new Refusal("bad-request", "no host");
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) =>
    done(null, body),
  );
}

/** Behind a proxy every connection is the proxy's: whom it speaks for is known only once a request has come. */
function doorkeeper(app: FastifyInstance, { gateway, metrics, terms }: HttpOptions): void {
  guard(app.server, {
    limits: () => {
      const { connections, addresses } = terms().limits;
      return {
        each: addresses.connections + addresses.unproven,
        inAll: connections + addresses.unprovenInAll,
      };
    },
    networkOf: (socket) => networkOf(socket.remoteAddress ?? ""),
    isLimited: (remote) => !terms().trustProxy && gateway.addresses.isLimited(remote),
    turnedAway: () => metrics.refused("too-many-connections"),
  });
}
