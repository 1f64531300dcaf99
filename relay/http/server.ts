// The HTTP half put together: server, headers, bodies, failures, then the routes and the upgrade to a WebSocket. Always true:
// every failure is a problem of the table, as JSON, with the relay's clock.
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import fastifyCors from "@fastify/cors";
import fastifyHelmet from "@fastify/helmet";
import { Refusal } from "@lethe/protocol";
import fastify, { type FastifyInstance } from "fastify";
import { accountRoutes } from "./account-routes.ts";
import { adminRoutes } from "./admin.ts";
import { describeRoutes, documentRoute } from "./openapi.ts";
import type { HttpOptions } from "./options.ts";
import { problemAnswers } from "./problem-answers.ts";
import { publicRoutes } from "./public-routes.ts";
import { isFrom } from "./remote.ts";
import { upgrades } from "./upgrades.ts";

/** Bytes of a request's body: 200 one-time keys of each kind, encoded. */
const MAX_BODY_BYTES = 1_572_864;
/** How long a request may take to come, and a connection may wait for the next, ms. */
const PATIENCE = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 65_000 } as const;

export async function openHttp(options: HttpOptions): Promise<FastifyInstance> {
  const { tls } = options.terms();
  const answerProblem = problemAnswers(options);
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    logger: false,
    forceCloseConnections: true,
    frameworkErrors: answerProblem,
    serverFactory: (handler) =>
      tls === undefined ? createServer(PATIENCE, handler) : createTlsServer({ ...PATIENCE, ...tls }, handler),
  });
  await app.register(fastifyHelmet);
  await app.register(fastifyCors, {
    origin: (origin, allow) => allow(null, isFrom(options.terms().allowedOrigins, origin)),
    methods: ["GET", "POST", "PUT", "DELETE"],
  });
  rawJson(app);
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

// Bodies are kept as bytes: the signature covers exactly what was sent.
function rawJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) =>
    done(null, body),
  );
}
