// Opens the store that the settings name. Always true: while a store that nodes share is away, the relay listens, says that
// it is up and not ready, and takes nobody in; a store that would lose what it accepts is refused.
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { OPERATOR_PATHS, HTTP_STATUSES, type Time } from "@lethe/protocol";
import { type Backend, type Doubt, openBackend, type StoreEvent, StoreOpenError } from "@lethe/queue";
import { problemJson } from "./http/raw-answers.ts";
import type { Log } from "./log.ts";
import type { Settings } from "./settings.ts";
import { tlsOf } from "./terms.ts";

/** What the store tells of itself; who listens to the rest is known only once the relay is put together. */
export class StoreReports {
  readonly #log: Log;
  /** A connection to the store was lost, and is back. */
  moved: () => void = () => undefined;
  /** So many stored references could not be resolved. */
  unresolved: (count: number) => void = () => undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  readonly report = (event: StoreEvent): void => {
    const { is, ...fields } = event;
    if (is === "store-moved") this.moved();
    if (is === "payload-missing") this.unresolved(event.count);
    if (is === "recovered") this.#log.info({ ...fields }, "mail recovered");
    else if (is === "storage-room-again") this.#log.info({}, "the disk has room again");
    else if (is === "store-moved") this.#log.warn({ event: is }, "the store is back, perhaps another one");
    else this.#log.warn({ event: is, ...fields }, "the store reports trouble");
  };
}

export interface OpenedStore {
  readonly backend: Backend;
  readonly doubts: readonly Doubt[];
  /** The port that was listened on meanwhile; the settings' own where none was. */
  readonly port: number;
}

/** How long until a store that is away is asked again, ms. */
const AGAIN_MS = 1_000;

/** @throws StoreOpenError */
export async function openStore(
  settings: Settings,
  log: Log,
  { report }: StoreReports,
): Promise<OpenedStore> {
  const limits = { envelopes: settings.mailboxEnvelopes, bytes: settings.mailboxBytes };
  if (settings.store === "embedded") {
    const now = (): Time => Date.now() as Time;
    const backend = await openBackend({ kind: "embedded", folder: settings.data, now, limits, report });
    return { backend, doubts: [], port: settings.port };
  }
  await mkdir(settings.data, { recursive: true }); // the operator's token lies there
  const waiting = await listen(settings);
  const { port } = waiting.address() as AddressInfo;
  try {
    const backend = await openShared(settings, log, report);
    return { backend, doubts: await checked(backend, log), port };
  } finally {
    waiting.closeAllConnections();
    waiting.close();
    await once(waiting, "close");
  }
}

async function openShared(
  settings: Settings,
  log: Log,
  report: (event: StoreEvent) => void,
): Promise<Backend> {
  const { store: url, storeReplicas: replicas, mailboxEnvelopes: envelopes, mailboxBytes: bytes } = settings;
  for (let attempt = 1; ; attempt++) {
    try {
      return await openBackend({ kind: "redis", url, replicas, limits: { envelopes, bytes }, report });
    } catch (error) {
      if (!(error instanceof StoreOpenError) || error.code !== "unreachable") throw error;
      if (attempt === 1) log.warn({ code: error.code }, "the store is away: waiting for it");
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** @throws StoreOpenError where the store would lose what it accepts. */
async function checked(backend: Backend, log: Log): Promise<readonly Doubt[]> {
  const doubts = await backend.doubts();
  const broken = doubts.find((doubt) => doubt.is === "broken");
  if (broken !== undefined) {
    await backend.close();
    throw new StoreOpenError("promise-broken", `${broken.says}; ${broken.mend}`);
  }
  for (const { code, says } of doubts) log.warn({ code, says }, "the store is not set as it should be");
  return doubts;
}

async function listen(settings: Settings): Promise<Server> {
  const tls = await tlsOf(settings);
  const server = tls === undefined ? createServer() : createTlsServer(tls);
  server.on("request", (request, answer) => {
    const isHealth = request.url === OPERATOR_PATHS.health;
    answer.writeHead(isHealth ? 200 : HTTP_STATUSES["not-ready"], { "content-type": "application/json" });
    answer.end(JSON.stringify(isHealth ? { status: "up" } : problemJson("not-ready", Date.now())));
  });
  server.listen({ host: settings.host, port: settings.port });
  await once(server, "listening");
  return server;
}
