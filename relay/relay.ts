// One relay process put together: backend, delivery node, gateway, HTTP, timers. Whoever opens, closes: in reverse
// order, once. Closing spills and releases every session before anything else goes away.
import { randomBytes } from "node:crypto";
import { Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type AccountId, addressOf, type DeviceNumber, type Time } from "@lethe/protocol";
import { type AccountRecord, type Backend, type NodeId, openBackend, type StoreEvent } from "@lethe/queue";
import { DeliveryNode } from "./delivery/node.ts";
import { DELIVERY_LIMITS } from "./delivery/types.ts";
import { Gateway } from "./edge/gateway.ts";
import { adminToken } from "./http/admin.ts";
import { openHttp } from "./http/server.ts";
import type { Log } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { pinName } from "./pinned-name.ts";
import type { Settings } from "./settings.ts";
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
const LEASE_MS = 10_000;
const RENEW_MS = 3_000;
const SWEEP_MS = 60_000;
const IDLE_EVERY_MS = 3_600_000;
/** Idle accounts asked for at once. */
const IDLE_AT_ONCE = 100;
/** How long closing waits for stores to answer, ms. */
const CLOSE_MS = 10_000;

export async function startRelay(settings: Settings, log: Log): Promise<Relay> {
  const backend = await openBackend({
    kind: "embedded",
    folder: settings.data,
    now: () => Date.now() as Time,
    limits: { envelopes: settings.mailboxEnvelopes, bytes: settings.mailboxBytes },
    report: (event) => reportStore(event, log),
  });
  try {
    await pinName(settings.data, settings.name);
    return await startRelayOn(backend, settings, log);
  } catch (error) {
    await backend.close();
    throw error;
  }
}

/** A relay on a backend that is open already; closing the relay closes it. */
export async function startRelayOn(backend: Backend, settings: Settings, log: Log): Promise<Relay> {
  let terms = await termsOf(settings, () => Date.now());
  let running = settings;
  const node = new DeliveryNode({
    node: randomBytes(16).toString("hex") as NodeId,
    limits: { ...DELIVERY_LIMITS, liveStart: settings.liveWindow },
    cluster: false,
  });
  const metrics = new Metrics(() => ({
    connections: gateway.connections,
    ...node.sizes(),
    mailbox: backend.mailbox.stats(),
    now: Date.now(),
  }));
  const gateway = new Gateway({
    relay: settings.name,
    backend,
    node,
    metrics,
    log,
    limits: terms.limits,
    now: () => Date.now(),
    instant: () => performance.now(),
  });
  const started = Date.now();
  const remove = (record: AccountRecord): Promise<void> => removeAccount(backend, gateway, record);
  const state = { at: "open" as "open" | "closing" };
  await backend.leases.renew(node.id, "", LEASE_MS);
  const http = await openHttp({
    relay: settings.name,
    backend,
    gateway,
    metrics,
    log,
    now: () => Date.now(),
    ready: () => state.at === "open",
    terms: () => terms,
    token: await adminToken(settings.data),
    figures: () => figures(metrics, gateway, node, backend, started),
    remove,
    retire: (account, devices) => retire(backend, gateway, account, devices),
  });
  await http.listen({ host: settings.host, port: settings.port });
  const sweepIdle = (): Promise<number> => removeIdle(backend, gateway, () => terms.idleMs, remove);
  const timers = startTimers(backend, node, gateway, log, sweepIdle);
  void followWakes(backend, node, gateway, log);
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
      gateway.endAll();
      await http.close();
      gateway.terminateAll();
      await backend.leases.release(node.id);
      await backend.close();
      log.info({}, "closed");
    },
  };
}

function figures(
  metrics: Metrics,
  gateway: Gateway,
  node: DeliveryNode,
  backend: Backend,
  started: number,
): Record<string, number | string> {
  const { mailboxes, envelopes, bytes, oldest, expired, forgetLag } = backend.mailbox.stats();
  const now = Date.now();
  return {
    now,
    uptimeMs: now - started,
    residentBytes: process.memoryUsage.rss(),
    connections: gateway.connections,
    ...node.sizes(),
    mailboxes,
    envelopes,
    mailboxBytes: bytes,
    oldestMs: oldest === undefined ? 0 : Math.max(0, now - oldest),
    expired,
    forgetLagMs: forgetLag,
    ...metrics.totals(),
  };
}

/** Mail first: whoever is told nothing, because the relay ended in between, can still ask again. */
async function removeAccount(
  backend: Backend,
  gateway: Gateway,
  { account, devices }: AccountRecord,
): Promise<void> {
  await retire(
    backend,
    gateway,
    account,
    devices.map((d) => d.device),
  );
  await backend.directory.deleteAccount(account);
  gateway.keyReplaced(account);
}

/** Resolves with the number of accounts removed. */
async function removeIdle(
  backend: Backend,
  gateway: Gateway,
  idleMs: () => number | undefined,
  remove: (record: AccountRecord) => Promise<void>,
): Promise<number> {
  await backend.directory.dayPasses();
  gateway.noteUsage();
  let removed = 0;
  for (;;) {
    const period = idleMs();
    if (period === undefined) return removed;
    const idle = await backend.directory.idle((Date.now() - period) as Time, IDLE_AT_ONCE);
    for (const account of idle) {
      const record = await backend.directory.account(account);
      if (record !== undefined) await remove(record);
    }
    removed += idle.length;
    if (idle.length < IDLE_AT_ONCE) return removed;
  }
}

async function retire(
  backend: Backend,
  gateway: Gateway,
  account: AccountId,
  devices: readonly number[],
): Promise<void> {
  for (const device of devices) {
    const address = addressOf(account, device as DeviceNumber);
    await backend.mailbox.retire(address);
    gateway.step({ is: "wakes", addresses: [address] }); // its session reads, finds no mailbox, and closes
  }
}

function startTimers(
  backend: Backend,
  node: DeliveryNode,
  gateway: Gateway,
  log: Log,
  sweepIdle: () => Promise<number>,
): NodeJS.Timeout[] {
  const fault = (what: string) => (error: unknown) =>
    log.error({ code: "internal", what, reason: String(error) }, "a timer's work failed");
  const renew = async (): Promise<void> => {
    if ((await backend.leases.renew(node.id, "", LEASE_MS)) === "held") return;
    log.warn({ code: "fenced" }, "the lease was lost: every session is closed and the node takes a new id");
    gateway.step({ is: "fenced" });
    gateway.step({ is: "renamed", node: randomBytes(16).toString("hex") as NodeId });
    gateway.step({ is: "leases", alive: new Set([node.id]) });
    await backend.leases.renew(node.id, "", LEASE_MS);
  };
  const idle = async (): Promise<void> => {
    const removed = await sweepIdle();
    if (removed > 0) log.info({ count: removed }, "idle accounts removed");
  };
  idle().catch(fault("idle accounts"));
  return [
    setInterval(() => gateway.tick(), TICK_MS),
    setInterval(() => void renew().catch(fault("lease")), RENEW_MS),
    setInterval(() => void idle().catch(fault("idle accounts")), IDLE_EVERY_MS),
    setInterval(() => void backend.mailbox.sweep().catch(fault("sweep")), SWEEP_MS),
  ];
}

/** Wakes that others have left for this node, until the store closes. */
async function followWakes(backend: Backend, node: DeliveryNode, gateway: Gateway, log: Log): Promise<void> {
  try {
    for (;;) {
      const addresses = await backend.mailbox.takeWakes(node.id);
      if (addresses.length === 0) return;
      gateway.step({ is: "wakes", addresses });
    }
  } catch (error) {
    log.warn({ code: "storage-failed", reason: String(error) }, "wakes are no longer followed");
  }
}

/** Until no store call is under way, but no longer than the deadline. */
async function settled(node: DeliveryNode, gateway: Gateway): Promise<void> {
  const deadline = performance.now() + CLOSE_MS;
  while (!node.idle && performance.now() < deadline) {
    gateway.tick();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function reportStore(event: StoreEvent, log: Log): void {
  const { is, ...fields } = event;
  if (is === "recovered") log.info({ ...fields }, "mail recovered");
  else if (is === "storage-room-again") log.info({}, "the disk has room again");
  else log.warn({ event: is, ...fields }, "the store reports trouble");
}
