// The HTTP half: registration, prekeys, device list, access key, deletion, health, readiness, metrics, and the upgrade
// of a request to a WebSocket. Always true: every failure is a problem of the table, as JSON, with the relay's clock.
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Duplex } from "node:stream";
import fastifyCors from "@fastify/cors";
import fastifyHelmet from "@fastify/helmet";
import {
  type AccountId,
  addressOf,
  type ConnectionKind,
  isUserName,
  MAX_MESSAGE_BYTES,
  MAX_VERSION,
  MIN_VERSION,
  PATHS,
  PROBLEMS,
  type ProblemCode,
  Refusal,
} from "@lethe/protocol";
import { type AccountRecord, type Backend, type PublicPrekey, StoreFailedError } from "@lethe/queue";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { WebSocketServer } from "ws";
import type { z } from "zod";
import { guard } from "../edge/callers.ts";
import { retryAfter } from "../edge/client-socket.ts";
import type { Gateway } from "../edge/gateway.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Terms } from "../terms.ts";
import { adminRoutes } from "./admin.ts";
import { codeOfClientError, problemJson, turnAway } from "./raw-answers.ts";
import { accessKeyBody, deviceListBody, prekeysBody, presenceBody, registerBody } from "./shapes.ts";
import { parseAuthorization, SignatureCheck } from "./signed.ts";

export interface HttpOptions {
  readonly relay: string;
  readonly backend: Backend;
  readonly gateway: Gateway;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly now: () => number;
  readonly ready: () => boolean;
  /** What may change while the relay runs. */
  readonly terms: () => Terms;
  readonly token: string;
  /** What the operator sees of the process, as it is now. */
  readonly figures: () => Record<string, number | string>;
  /** Removes an account with everything of it. */
  readonly remove: (record: AccountRecord) => Promise<void>;
  /** Retires a device's mailbox and closes its session. */
  readonly retire: (account: AccountId, devices: readonly number[]) => Promise<void>;
}

/** Bytes of a request's body: 200 one-time keys of each kind, encoded. */
const MAX_BODY_BYTES = 1_572_864;
/** How long a request may take to come, and a connection may wait for the next, ms; how often that is looked at. */
const PATIENCE = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 1_000,
  requireHostHeader: false, // `rawJson` asks for it: Node's own answer is no problem of the table
} as const;
/** How long a TLS handshake may take, ms. */
const HANDSHAKE_MS = 10_000;
/** How long a client that is refused a WebSocket should wait, ms. */
const FULL_MS = 5_000;
/** How long a client has to answer the end of its connection, ms: longer, and a silent one would hold up a shutdown. */
const CLOSE_MS = 2_000;

export async function openHttp(options: HttpOptions): Promise<FastifyInstance> {
  const { tls } = options.terms();
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    logger: false,
    forceCloseConnections: true,
    frameworkErrors: (error, _request, reply) => void refuse(options, refusalOf(error), reply),
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
    strictPreflight: false,
  });
  rawJson(app);
  problems(app, options);
  publicRoutes(app, options);
  accountRoutes(app, options, new SignatureCheck(options.relay, options.now));
  adminRoutes(app, { ...options, parse });
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

function problems(app: FastifyInstance, options: HttpOptions): void {
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const refusal = refusalOf(error);
    if (refusal.code === "internal")
      options.log.error({ code: "internal", reason: String(error) }, "a request failed");
    return refuse(options, refusal, reply);
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.status(404).send(problemJson("not-found", options.now())),
  );
}

function refuse({ metrics, now }: HttpOptions, refusal: Refusal, reply: FastifyReply): FastifyReply {
  const { code, message, retryAfter } = refusal;
  metrics.refused(code);
  if (retryAfter !== undefined) reply.header("retry-after", Math.ceil(retryAfter / 1_000));
  return reply.status(PROBLEMS[code].http).send(problemJson(code, now(), message, retryAfter));
}

function turnedAway(
  { metrics, now }: HttpOptions,
  stream: Duplex,
  code: ProblemCode,
  retryAfter?: number,
): void {
  metrics.refused(code);
  turnAway(stream, code, now(), retryAfter);
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

/** What an error is to the one who asked: a refusal, a disk that is full or fails, or a fault of ours. */
function refusalOf(error: Error & { statusCode?: number }): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof StoreFailedError) return new Refusal(error.code, undefined, retryAfter(error.code));
  if (error.statusCode === 413) return new Refusal("frame-too-large");
  if (error.statusCode !== undefined && error.statusCode < 500) return new Refusal("bad-request");
  return new Refusal("internal");
}

function publicRoutes(app: FastifyInstance, { relay, metrics, now, ready, terms }: HttpOptions): void {
  app.get("/", () => ({
    lethe: "relay",
    relay,
    versions: { min: MIN_VERSION, max: MAX_VERSION },
    now: now(),
  }));
  app.get(PATHS.policy, (_request, reply) => {
    reply.header("cache-control", "public, max-age=300");
    return { ...terms().policy, now: now() };
  });
  app.get(PATHS.health, () => ({ status: "up" }));
  app.get(PATHS.ready, () => {
    if (!ready()) throw new Refusal("not-ready");
    return { status: "ready" };
  });
  app.get(PATHS.metrics, async (_request, reply) => {
    reply.type(metrics.registry.contentType);
    return metrics.text();
  });
}

/** @throws Refusal bad-request, naming the first field that does not fit. */
function parse<T extends z.ZodType>(shape: T, request: FastifyRequest): z.output<T> {
  let json: unknown;
  try {
    json = JSON.parse(bytesOf(request).toString("utf8"));
  } catch {
    throw new Refusal("bad-request", "not JSON");
  }
  const parsed = shape.safeParse(json);
  if (!parsed.success)
    throw new Refusal("bad-request", `field ${parsed.error.issues[0]?.path.join(".") ?? ""}`);
  return parsed.data;
}

function bytesOf(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}

function accountRoutes(app: FastifyInstance, options: HttpOptions, signatures: SignatureCheck): void {
  const { backend, gateway, terms } = options;
  const { directory } = backend;

  const signedBy = (request: FastifyRequest, key: Uint8Array | undefined) => {
    const signed = parseAuthorization(request.headers.authorization);
    signatures.check(signed, key, request.method, request.url, bytesOf(request));
    return signed;
  };
  const device = async (
    request: FastifyRequest,
  ): Promise<{ record: AccountRecord; address: ReturnType<typeof addressOf> }> => {
    const claimed = parseAuthorization(request.headers.authorization);
    const record = await directory.account(claimed.account);
    const key = record?.devices.find((d) => d.device === claimed.device)?.signingKey;
    signedBy(request, key);
    if (record === undefined) throw new Refusal("unauthorized");
    return { record, address: addressOf(claimed.account, claimed.device) };
  };

  /** Asking again, because the answer was lost, takes no ticket: it may be used up, by this very registration. */
  const isKnown = async (record: AccountRecord): Promise<boolean> =>
    (await directory.account(record.account)) !== undefined && (await directory.register(record)) === "same";
  const registered = async (record: AccountRecord, ticket: string | undefined) => {
    const { invite } = await terms().registrar.leave(record.name, ticket);
    const outcome = await directory.register(record, invite);
    if (outcome === "invite-invalid") throw new Refusal("ticket-invalid");
    if (outcome === "name-taken" || outcome === "account-exists") throw new Refusal(outcome);
    return outcome;
  };

  app.post(PATHS.accounts, async (request, reply) => {
    const body = parse(registerBody, request);
    const wait = gateway.addresses
      .of(networkOf(remoteOf(request.raw, terms().trustProxy)))
      .registrations.take(1, performance.now());
    if (wait > 0) throw new Refusal("rate-limited", undefined, wait);
    const signed = signedBy(request, body.signingKey);
    if (signed.account !== body.account || signed.device !== body.device) throw new Refusal("unauthorized");
    if (!isUserName(body.name)) throw new Refusal("name-invalid");
    const { account, name, accountKey, accessKeyHash, listVersion, deviceList, certificate, signingKey } =
      body;
    const devices = [{ device: body.device, signingKey, certificate }];
    const record = { account, name, accountKey, accessKeyHash, listVersion, deviceList, devices };
    const outcome = (await isKnown(record)) ? "same" : await registered(record, body.ticket);
    gateway.accounts.changed(account);
    return reply.status(outcome === "registered" ? 201 : 200).send({ name, now: options.now() });
  });

  app.put(PATHS.prekeys, async (request) => {
    const { address } = await device(request);
    const { signed, lastResort, oneTime, oneTimeKem, replace } = parse(prekeysBody, request);
    const keys = (list: PublicPrekey[] | undefined): PublicPrekey[] => list ?? [];
    const upload = {
      signed,
      lastResort,
      oneTime: keys(oneTime),
      oneTimeKem: keys(oneTimeKem),
      replace: replace ?? false,
    };
    const outcome = await directory.putPrekeys(address, upload);
    if (outcome === "too-many") throw new Refusal("too-many-prekeys");
    if (outcome === "no-device") throw new Refusal("unauthorized");
    return { now: options.now() };
  });

  app.get(PATHS.prekeys, async (request) => {
    const { address } = await device(request);
    const held = await directory.heldPrekeys(address);
    if (held === undefined) throw new Refusal("unauthorized");
    const text = (id: Uint8Array): string => Buffer.from(id).toString("base64url");
    return {
      signed: held.signed === undefined ? null : text(held.signed),
      lastResort: held.lastResort === undefined ? null : text(held.lastResort),
      oneTime: held.oneTime.map(text),
      oneTimeKem: held.oneTimeKem.map(text),
    };
  });

  app.put(PATHS.deviceList, async (request) => {
    const { record } = await device(request);
    const body = parse(deviceListBody, request);
    const put = await directory.putDeviceList(record.account, body);
    if (put.is === "conflict") throw new Refusal("list-conflict");
    if (put.is === "no-account") throw new Refusal("unauthorized");
    gateway.accounts.changed(record.account);
    await options.retire(record.account, put.removed);
    return { now: options.now() };
  });

  app.put(PATHS.accessKey, async (request) => {
    const { record } = await device(request);
    await directory.putAccessKeyHash(record.account, parse(accessKeyBody, request).accessKeyHash);
    gateway.keyReplaced(record.account);
    return { now: options.now() };
  });

  app.put(PATHS.presence, async (request) => {
    const { record } = await device(request);
    const { lastSeen } = parse(presenceBody, request);
    await directory.putHidesLastSeen(record.account, !lastSeen);
    gateway.accounts.changed(record.account);
    gateway.presence.wishesChanged(record.account, !lastSeen);
    return { now: options.now() };
  });

  app.delete(PATHS.account, async (request, reply) => {
    const { record } = await device(request);
    await options.remove(record);
    return reply.status(204).send();
  });
}

function upgrades(app: FastifyInstance, options: HttpOptions): void {
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
    const remote = networkOf(remoteOf(request, terms().trustProxy));
    if (gateway.addresses.isFull(remote)) return turnedAway(options, stream, "too-many-connections", FULL_MS);
    sockets.handleUpgrade(request, stream, head, (ws) => gateway.connect(ws, kind, remote, stream));
  });
}

function kindOf(path: string | undefined): ConnectionKind | undefined {
  if (path === PATHS.deviceSocket) return "device";
  return path === PATHS.anonymousSocket ? "anonymous" : undefined;
}

/** Whoever is no browser sends no origin, and is not kept out by it. */
function isFrom(allowed: ReadonlySet<string> | undefined, origin: string | undefined): boolean {
  return allowed === undefined || origin === undefined || allowed.has(origin);
}

function remoteOf({ headers, socket }: IncomingMessage, trustProxy: boolean): string {
  const named = trustProxy
    ? String(headers["x-forwarded-for"] ?? "")
        .split(",")
        .at(-1)
        ?.trim()
    : undefined;
  return named === undefined || named === "" ? (socket.remoteAddress ?? "") : named;
}

/** What limits count as one: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer has (RFC 6177). */
function networkOf(address: string): string {
  const v4 = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  if (v4 !== undefined) return v4;
  const [front = "", back] = address.split("%")[0]?.split("::") ?? [];
  const groups = front === "" ? [] : front.split(":");
  if (back !== undefined) while (groups.length < 4) groups.push("0");
  return groups.slice(0, 4).join(":");
}
