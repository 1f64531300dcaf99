// The HTTP half put together: server, headers, bodies, failures, then the routes and the upgrade to a WebSocket. Always true:
// every failure is a problem of the table, as JSON, with the relay's clock.
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import fastifyCors from "@fastify/cors";
import fastifyHelmet from "@fastify/helmet";
import { PROBLEMS, type ProblemCode, type ProblemJson, Refusal } from "@lethe/protocol";
import { StoreFailedError } from "@lethe/queue";
import fastify, { type FastifyInstance } from "fastify";
import { retryAfter } from "../edge/client-socket.ts";
import { accountRoutes } from "./account-routes.ts";
import { adminRoutes } from "./admin.ts";
import { describeRoutes, documentRoute } from "./openapi.ts";
import type { HttpOptions } from "./options.ts";
import { publicRoutes } from "./public-routes.ts";
import { isFrom } from "./remote.ts";
import { upgrades } from "./upgrades.ts";

/** Bytes of a request's body: 200 one-time keys of each kind, encoded. */
const MAX_BODY_BYTES = 1_572_864;
/** How long a request may take to come, and a connection may wait for the next, ms. */
const PATIENCE = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 65_000 } as const;

export async function openHttp(options: HttpOptions): Promise<FastifyInstance> {
  const { tls } = options.terms();
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    logger: false,
    forceCloseConnections: true,
    serverFactory: (handler) =>
      tls === undefined ? createServer(PATIENCE, handler) : createTlsServer({ ...PATIENCE, ...tls }, handler),
  });
  await app.register(fastifyHelmet);
  await app.register(fastifyCors, {
    origin: (origin, allow) => allow(null, isFrom(options.terms().allowedOrigins, origin)),
    methods: ["GET", "POST", "PUT", "DELETE"],
  });
  rawJson(app);
  problems(app, options);
  await describeRoutes(app);
  documentRoute(app);
  publicRoutes(app, options);
  accountRoutes(app, options);
  adminRoutes(app, options);
  upgrades(app, options);
  return app;
}

// Bodies are kept as bytes: the signature covers exactly what was sent.
function rawJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) =>
    done(null, body),
  );
}

function problems(app: FastifyInstance, { now, log, metrics }: HttpOptions): void {
  const body = (code: ProblemCode, says: string, retryAfter?: number): ProblemJson => ({
    code,
    says,
    now: now(),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const refusal = refusalOf(error);
    if (refusal.code === "internal")
      log.error({ code: "internal", reason: String(error) }, "a request failed");
    metrics.refused(refusal.code);
    if (refusal.retryAfter !== undefined) reply.header("retry-after", Math.ceil(refusal.retryAfter / 1_000));
    return reply
      .status(PROBLEMS[refusal.code].http)
      .send(body(refusal.code, refusal.message, refusal.retryAfter));
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.status(404).send(body("not-found", PROBLEMS["not-found"].says)),
  );
}

/** What an error is to the one who asked: a refusal, a disk that is full or fails, or a fault of ours. */
function refusalOf(error: Error & { statusCode?: number }): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof StoreFailedError) return new Refusal(error.code, undefined, retryAfter(error.code));
  if (error.statusCode === 413) return new Refusal("frame-too-large");
  if (error.statusCode !== undefined && error.statusCode < 500) return new Refusal("bad-request");
  return new Refusal("internal");
}
