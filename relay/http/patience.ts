// How long the bodies of requests may take to come. Always true: each has 30 s from its head on, and the connection ends with
// it, whether or not it was answered; but while a part of a blob comes, its transfer's least rate counts instead.
import type { IncomingMessage } from "node:http";
import type { FastifyInstance } from "fastify";
import type { HttpOptions } from "./options.ts";
import { turnedAway } from "./upgrades.ts";

/** How long the head of a request may take to come, its body, and a part of a blob at most, ms. */
const HEAD_MS = 10_000;
const BODY_MS = 30_000;
const PART_MS = 600_000;

/** What Node's server is told: how long a request may take, and a connection may wait for the next; how often that is looked at. */
export const PATIENCE = {
  headersTimeout: HEAD_MS,
  requestTimeout: PART_MS,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 1_000,
  requireHostHeader: false, // `rawJson` asks for it: Node's own answer is no problem of the table
} as const;

/** The timers of bodies that have not come yet. */
const late = new WeakMap<IncomingMessage, NodeJS.Timeout>();

/** Has every body come in its time. */
export function hurryBodies(app: FastifyInstance, options: HttpOptions): void {
  app.addHook("onRequest", async ({ raw }, reply) => {
    if (!hasBody(raw)) return;
    const end = (): void => {
      if (raw.complete || raw.socket.destroyed) return;
      if (reply.raw.headersSent) raw.socket.destroy();
      else turnedAway(options, raw.socket, "bad-request");
    };
    late.set(raw, setTimeout(end, BODY_MS).unref());
  });
  app.addHook("onResponse", async ({ raw }) => {
    if (raw.complete) takeTime(raw);
  });
}

/** From now on the body comes as fast as its transfer asks for. */
export function takeTime(request: IncomingMessage): void {
  clearTimeout(late.get(request));
}

/** What is left of a body that nobody wants any more has its 30 s again. */
export function dropRest(request: IncomingMessage): void {
  request.resume();
  late.get(request)?.refresh();
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
