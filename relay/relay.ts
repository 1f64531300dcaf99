// One relay process put together: backend, delivery node, gateway, other nodes, HTTP, timers. Whoever opens, closes: in
// reverse order, once. Closing spills and releases every session before anything else goes away.
import { Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { AccountRecord, Backend, Doubt } from "@lethe/queue";
import { RelayChores, type Work } from "./chores.ts";
import { Member } from "./cluster/member.ts";
import { DeliveryNode } from "./delivery/node.ts";
import { DELIVERY_LIMITS } from "./delivery/types.ts";
import { Gateway } from "./edge/gateway.ts";
import { figuresOf } from "./figures.ts";
import { adminToken } from "./http/admin.ts";
import { openHttp } from "./http/server.ts";
import type { Log } from "./log.ts";
import { openMedia } from "./media/open.ts";
import type { RelayMedia } from "./media/media.ts";
import { Metrics } from "./metrics.ts";
import { pinName } from "./pinned-name.ts";
import { removeAccount, removeIdle, retire } from "./removing.ts";
import type { Settings } from "./settings.ts";
import { openStore, StoreReports } from "./store.ts";
import { changes, termsOf } from "./terms.ts";

export interface Relay {
  /** `http://host:port` as it listens. */
  readonly url: string;
  readonly metrics: Metrics;
  /**
   * Takes over what of the settings may change while it runs, and says which those are. @throws Error with nothing changed.
   */
  reload(settings: Settings): Promise<Omit<ReturnType<typeof changes>, "effective">>;
  /** Tells clients, spills, releases, closes. Nothing accepted is lost, whether or not it gets to its end. */
  close(): Promise<void>;
}

const TICK_MS = 50;
const MEDIA_TICK_MS = 1_000;
/** How often the embedded store is swept, and one that nodes share: going over that one is more work. */
const SWEEP_MS = 60_000;
const SHARED_SWEEP_MS = 600_000;
const IDLE_EVERY_MS = 3_600_000;
/** How long closing waits for stores to answer, ms. */
const CLOSE_MS = 10_000;

export async function startRelay(settings: Settings, log: Log): Promise<Relay> {
  const reports = new StoreReports(log);
  const { backend, doubts, port } = await openStore(settings, log, reports);
  try {
    await pinName(settings.data, settings.name);
    return await startRelayOn(backend, { ...settings, port }, log, { reports, doubts });
  } catch (error) {
    await backend.close();
    throw error;
  }
}

/** What is known of a store beside what it does. */
export interface StoreKnown {
  readonly reports: StoreReports;
  readonly doubts: readonly Doubt[];
}

/** A relay on a backend that is open already; closing the relay closes it. */
export async function startRelayOn(
  backend: Backend,
  settings: Settings,
  log: Log,
  { reports, doubts }: StoreKnown = { reports: new StoreReports(log), doubts: [] },
): Promise<Relay> {
  let terms = await termsOf(settings, () => Date.now());
  let running = settings;
  const member = new Member({ backend, settings, log });
  const node = new DeliveryNode({
    node: member.id,
    limits: { ...DELIVERY_LIMITS, liveStart: settings.liveWindow },
    cluster: settings.clusterSecret !== "",
  });
  const metrics = new Metrics(
    () => ({
      connections: gateway.connections,
      ...node.sizes(),
      mailbox: backend.mailbox.stats(),
      nodes: member.standing().alive,
      links: member.standing().links.length,
      now: Date.now(),
      transfers: media?.transfers ?? 0,
    }),
    async () => (media === undefined ? { blobs: 0, bytes: 0 } : media.totals()),
  );
  const media = await openMedia({ settings, backend, metrics, log });
  const gateway = new Gateway({
    relay: settings.name,
    backend,
    node,
    metrics,
    log,
    peers: member.peers,
    limits: terms.limits,
    now: () => Date.now(),
    instant: () => performance.now(),
  });
  const started = Date.now();
  const remove = async (record: AccountRecord): Promise<void> => {
    await removeAccount(backend, gateway, record);
    media?.collecting.soon();
  };
  const state = { at: "open" as "open" | "closing" };
  const idle = (): Promise<number> => {
    gateway.noteUsage(); // who is here is not idle, whatever the clock says
    return removeIdle(backend, () => terms.idleMs, remove);
  };
  const chores = new RelayChores({
    ...{ backend, log, metrics, now: () => Date.now() },
    work: workOf(backend, settings, idle, media),
  });
  reports.unresolved = (count) => metrics.count("unresolved", count);
  reports.moved = () => {
    gateway.step({ is: "store-moved" });
    chores.again();
  };
  await member.join({ gateway, metrics, sessions: () => node.sizes().sessions });
  const http = await openHttp({
    relay: settings.name,
    backend,
    gateway,
    media,
    metrics,
    log,
    now: () => Date.now(),
    ready: () => state.at === "open" && member.holds,
    doubts: () => doubts.map(({ code }) => code),
    terms: () => terms,
    token: await adminToken(settings.data),
    figures: () => {
      const { forgetMs } = terms.policy.retention;
      return figuresOf({ metrics, gateway, node, backend, member, doubts, forgetMs, started });
    },
    remove,
    nodeOf: (owner) => member.nodeOf(owner),
    retire: (account, devices) => retire(backend, gateway, account, devices),
  });
  await http.listen({ host: settings.host, port: settings.port }).catch(async (error: unknown) => {
    await member.end();
    await media?.close();
    throw error;
  });
  const timers = startTimers(member, gateway, media);
  chores.start();
  const { address, port, family } = http.server.address() as AddressInfo;
  const url = `${settings.tlsCert === "" ? "http" : "https"}://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  log.info({ port }, "listening");

  return {
    url,
    metrics,
    async reload(next) {
      const { changed, needRestart, effective } = changes(running, next);
      const before = terms.tls?.cert;
      terms = await termsOf(effective, () => Date.now());
      gateway.relimit(terms.limits);
      if (terms.tls !== undefined && http.server instanceof TlsServer)
        http.server.setSecureContext(terms.tls);
      running = effective;
      const isNewCertificate =
        before !== undefined && terms.tls !== undefined && !before.equals(terms.tls.cert);
      const all =
        isNewCertificate && !changed.includes("tlsCert") ? [...changed, "tlsCert" as const] : changed;
      log.info({ changed: all.join(" "), needRestart: needRestart.join(" ") }, "settings read again");
      return { changed: all, needRestart };
    },
    async close() {
      if (state.at !== "open") return;
      state.at = "closing";
      gateway.leave(1_000);
      await settled(node, gateway);
      for (const timer of timers) clearInterval(timer);
      chores.stop();
      gateway.endAll();
      await media?.leave();
      await http.close();
      gateway.terminateAll();
      await member.end();
      await media?.close();
      await backend.close();
      log.info({}, "closed");
    },
  };
}

function workOf(
  backend: Backend,
  settings: Settings,
  idle: () => Promise<number>,
  media: RelayMedia | undefined,
): Work {
  const { rewriteFiles } = backend;
  return {
    sweep: {
      everyMs: rewriteFiles === undefined ? SWEEP_MS : SHARED_SWEEP_MS,
      run: () => backend.mailbox.sweep(),
    },
    idle: { everyMs: IDLE_EVERY_MS, run: idle },
    ...(media === undefined
      ? {}
      : { media: { everyMs: settings.mediaCollect * 1_000, run: () => media.collecting.run() } }),
    ...(rewriteFiles === undefined
      ? {}
      : { forget: { everyMs: settings.storeRewrite * 1_000, run: rewriteFiles } }),
  };
}

function startTimers(member: Member, gateway: Gateway, media: RelayMedia | undefined): NodeJS.Timeout[] {
  return [
    setInterval(() => {
      gateway.tick();
      member.tick();
    }, TICK_MS),
    setInterval(() => gateway.noteUsage(), IDLE_EVERY_MS),
    setInterval(() => media?.tick(), MEDIA_TICK_MS),
  ];
}

/** Until no store call is under way, but no longer than the deadline. */
async function settled(node: DeliveryNode, gateway: Gateway): Promise<void> {
  const deadline = performance.now() + CLOSE_MS;
  while (!node.idle && performance.now() < deadline) {
    gateway.tick();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
