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

/** What gives the rest of a body 30 s from now on, and what takes that back. */
interface Hurry {
  readonly start: () => void;
  readonly stop: () => void;
}

const hurries = new WeakMap<IncomingMessage, Hurry>();

/** Has every body come in its time. */
export function hurryBodies(app: FastifyInstance, options: HttpOptions): void {
  app.addHook("onRequest", async ({ raw }, reply) => {
    if (!hasBody(raw)) return;
    const hurry = hurryOf(raw, () => {
      if (reply.raw.headersSent) raw.socket.destroy();
      else turnedAway(options, raw.socket, "bad-request");
    });
    hurries.set(raw, hurry);
    hurry.start();
  });
  app.addHook("onResponse", async ({ raw }) => {
    if (raw.complete) hurries.get(raw)?.stop();
  });
}

function hurryOf(body: IncomingMessage, end: () => void): Hurry {
  let timer: NodeJS.Timeout | undefined;
  const late = (): void => {
    if (!body.complete && !body.socket.destroyed) end();
  };
  return {
    start() {
      clearTimeout(timer);
      timer = setTimeout(late, BODY_MS).unref();
    },
    stop: () => clearTimeout(timer),
  };
}

/** From now on the body comes as fast as its transfer asks for. */
export function takeTime(request: IncomingMessage): void {
  hurries.get(request)?.stop();
}

/** What is left of a body that nobody wants any more has its 30 s again. */
export function dropRest(request: IncomingMessage): void {
  request.resume();
  hurries.get(request)?.start();
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
