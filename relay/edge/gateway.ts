// Between sockets, delivery machines and stores: turns frames into events, carries effects out, gathers both once a
// turn of the event loop. It decides nothing about delivery; who may submit is decided by `submitting.ts`.
import type { Duplex } from "node:stream";
import { type AccountId, accountOf, type ConnectionKind, type DeviceAddress } from "@lethe/protocol";
import type { Backend } from "@lethe/queue";
import type { WebSocket } from "ws";
import type { DeliveryNode } from "../delivery/node.ts";
import type { Effect, NodeEvent } from "../delivery/types.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { Accounts } from "./accounts.ts";
import { Addresses, type AddressLimits } from "./addresses.ts";
import { Changes } from "./changes.ts";
import { ClientFrames } from "./client-frames.ts";
import { ClientSocket, type From, type SocketPort } from "./client-socket.ts";
import { GREETING_MS } from "./greeting.ts";
import { HandOut } from "./hand-out.ts";
import { LookUps } from "./look-ups.ts";
import type { Peers } from "./peers.ts";
import { Presence } from "./presence.ts";
import { StoreCalls } from "./store-calls.ts";
import { type RequestLimits, RequestQuota } from "./request-quota.ts";
import { Submitting } from "./submitting.ts";
import { SubmittingGroup } from "./submitting-group.ts";
import { Usage } from "./usage.ts";

export interface GatewayLimits {
  readonly envelopeBytes: number;
  readonly ttlMs: number;
  readonly pingMs: number;
  readonly connections: number;
  readonly prekeyFetches: number;
  /** Envelopes a second of one connection, and to one account; twice as many at once. */
  readonly connectionEnvelopes: number;
  readonly accountEnvelopes: number;
  readonly requests: RequestLimits;
  readonly addresses: AddressLimits;
}

export interface GatewayOptions {
  readonly relay: string;
  readonly backend: Backend;
  readonly node: DeliveryNode;
  readonly limits: GatewayLimits;
  readonly metrics: Metrics;
  readonly log: Log;
  /** The other nodes, or that there are none. */
  readonly peers: Peers;
  /** Wall clock, ms. */
  readonly now: () => number;
  /** Monotonic clock, ms. */
  readonly instant: () => number;
}

export class Gateway {
  readonly #o: GatewayOptions;
  readonly accounts: Accounts;
  readonly presence: Presence;
  readonly addresses: Addresses;
  readonly changes: Changes;
  readonly #sockets = new Map<number, ClientSocket>();
  readonly #lookUps: LookUps;
  readonly #stores: StoreCalls;
  readonly #requests: RequestQuota;
  readonly #submitting: Submitting;
  readonly #frames: ClientFrames;
  readonly #usage: Usage;
  readonly #port: SocketPort;
  #limits: GatewayLimits;
  #dirty: ClientSocket[] = [];
  #scheduled = false;
  #nextSocket = 1;
  #leaving = false;

  constructor(options: GatewayOptions) {
    this.#o = options;
    this.#limits = options.limits;
    const { backend, limits, peers, node, now, instant, log } = options;
    const { directory } = backend;
    this.accounts = new Accounts(directory, limits.accountEnvelopes, instant, peers.accountCacheMs);
    this.addresses = new Addresses(limits.addresses, instant);
    this.#lookUps = new LookUps(this.accounts, directory, new HandOut(limits.prekeyFetches, instant));
    this.presence = new Presence({
      mailbox: backend.mailbox,
      me: () => node.id,
      alive: (id) => peers.isAlive(id),
      now,
      instant,
      notify: (socket, frame) => this.#sockets.get(socket)?.send(frame),
    });
    this.changes = new Changes({
      accounts: this.accounts,
      presence: this.presence,
      peers,
      step: (event) => this.step(event),
    });
    this.#requests = new RequestQuota(limits.requests, instant, (remote) => this.addresses.isLimited(remote));
    this.#submitting = new Submitting({
      accounts: this.accounts,
      requests: this.#requests,
      limits,
      metrics: options.metrics,
      log,
      now,
      step: (event) => this.step(event),
    });
    this.#usage = new Usage((account) => this.#noteUse(account), now);
    this.#frames = new ClientFrames({
      relay: options.relay,
      directory,
      accounts: this.accounts,
      addresses: this.addresses,
      presence: this.presence,
      lookUps: this.#lookUps,
      submitting: this.#submitting,
      submittingGroup: new SubmittingGroup({
        accounts: this.accounts,
        submitting: this.#submitting,
        log,
        step: (event) => this.step(event),
      }),
      limits: () => this.#limits,
      log,
      now,
      instant,
      step: (event) => this.step(event),
    });
    this.#stores = new StoreCalls(backend.mailbox, {
      result: (call, result) => this.step({ is: "result", call, result }),
      turn: () => this.turn(),
      fault: (error) => log.error({ code: "internal", reason: String(error) }, "a store verb rejected"),
    });
    this.#port = {
      frame: (socket, frame) => this.#frames.frame(socket, frame),
      closed: (socket) => this.#closed(socket),
      dirty: (socket) => {
        this.#dirty.push(socket);
        this.turn();
      },
      ended: (code) => options.metrics.ended(code),
    };
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Other limits, from now on. */
  relimit(limits: GatewayLimits): void {
    this.#limits = limits;
    this.accounts.relimit(limits.accountEnvelopes);
    this.addresses.relimit(limits.addresses);
    this.#lookUps.relimit(limits.prekeyFetches);
    this.#requests.relimit(limits.requests);
    this.#submitting.relimit(limits);
  }

  /** Takes over a WebSocket whose upgrade is done. @param stream what carries it. */
  connect(ws: WebSocket, kind: ConnectionKind, remote: string, stream: Duplex): void {
    const { instant } = this.#o;
    const limits = this.#limits;
    const counted = this.addresses.connect(remote);
    const from: From = {
      kind,
      address: counted ?? this.addresses.of(remote),
      envelopeRate: limits.connectionEnvelopes,
    };
    const socket = new ClientSocket(this.#nextSocket++, from, { ws, stream }, this.#port, instant);
    socket.countUntilOpen();
    if (counted === undefined) return socket.end("too-many-connections");
    this.#sockets.set(socket.number, socket);
    if (this.#leaving) socket.end("shutting-down");
    else if (this.#sockets.size > limits.connections) socket.end("too-many-connections");
  }

  step(event: NodeEvent): void {
    for (const effect of this.#o.node.step(event, this.#o.instant())) this.#carry(effect);
  }

  /** Time passes: machines, greetings that take too long, connections that are silent. */
  tick(): void {
    this.step({ is: "tick" });
    this.presence.tick();
    const now = this.#o.instant();
    for (const socket of this.#sockets.values()) {
      const { greeting } = socket;
      if (greeting.at !== "open" && now - greeting.since > GREETING_MS) socket.end("authentication-timeout");
      else if (now - socket.lastHeard > this.#limits.pingMs) socket.end("ping-timeout");
      else if (greeting.at === "open" && !socket.pinged && now - socket.lastHeard > this.#limits.pingMs / 2) {
        socket.pinged = true;
        socket.send({ frame: "ping", token: 0 });
      }
    }
    this.turn();
  }

  /** Accounts with a device connected are in use, however long ago it connected. */
  noteUsage(): void {
    for (const address of this.present()) this.#usage.inUse(accountOf(address));
  }

  #noteUse(account: AccountId): void {
    this.#o.backend.directory.used(account).catch((error: unknown) => {
      this.#o.log.warn({ code: "storage-failed", reason: String(error) }, "a use could not be noted");
    });
  }

  /** The node is leaving: sessions spill and release; clients are told, and stay connected for what is still answered. */
  leave(spread: number): void {
    this.#leaving = true;
    this.step({ is: "closing" });
    let i = 0;
    for (const socket of this.#sockets.values()) {
      if (!socket.ended) socket.goaway(Math.floor((spread * i++) / this.#sockets.size));
    }
    this.#flush();
  }

  /** Ends every connection; nothing more is answered. */
  endAll(): void {
    this.#flush();
    for (const socket of [...this.#sockets.values()]) socket.end("shutting-down");
  }

  terminateAll(): void {
    for (const socket of this.#sockets.values()) socket.terminate();
  }

  /** The devices that are connected here. */
  present(): DeviceAddress[] {
    const addresses: DeviceAddress[] = [];
    for (const { greeting } of this.#sockets.values())
      if (greeting.at === "open" && greeting.address !== undefined) addresses.push(greeting.address);
    return addresses;
  }

  // --- effects -------------------------------------------------------------------------------------------------------

  #carry(effect: Effect): void {
    switch (effect.do) {
      case "call":
        this.#stores.add(effect.call, effect.on);
        this.turn();
        return;
      case "push":
        this.#sockets
          .get(effect.connection)
          ?.send({ frame: "push", id: effect.id, kind: effect.kind, ciphertext: effect.ciphertext });
        return;
      case "accepted":
        this.#sockets.get(effect.connection)?.accept(effect.id);
        return;
      case "refused":
        this.#o.metrics.refused(effect.code);
        this.#sockets.get(effect.connection)?.refuse(effect.id, effect.code);
        return;
      case "welcome":
        return this.#welcome(effect.connection);
      case "drained":
        this.#sockets.get(effect.connection)?.send({ frame: "drained" });
        return;
      case "epoch-behind":
        this.#sockets.get(effect.connection)?.send({ frame: "epoch-behind", last: effect.last });
        return;
      case "end":
        if (effect.code !== "shutting-down") this.#sockets.get(effect.connection)?.end(effect.code);
        return;
      case "presence":
        this.presence.changed(effect.address, effect.online, this.#o.node.id);
        return this.#o.peers.moved(effect.address, effect.online);
      case "count":
        this.#o.metrics.count(effect.what, effect.by);
        return;
      case "link-open":
        return this.#o.peers.open(effect.peer);
      case "link-send":
        return this.#o.peers.send(effect.peer, effect.frame);
    }
  }

  /** What was gathered goes out at the end of this turn of the event loop. */
  turn(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    this.#stores.flush();
    this.#o.peers.flush();
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const socket of dirty) if (!socket.ended) socket.flush();
  }

  #welcome(connection: number): void {
    const socket = this.#sockets.get(connection);
    if (socket === undefined || socket.greeting.at !== "claiming") return;
    const { address } = socket.greeting;
    socket.open(address);
    this.#usage.inUse(accountOf(address));
    this.addresses.proven(socket.address);
    this.#frames.welcome(socket);
  }

  #closed(socket: ClientSocket): void {
    if (!this.#sockets.delete(socket.number)) return;
    this.addresses.closed(socket.address, socket.greeting.at === "open");
    this.presence.gone(socket.number);
    if (socket.kind === "device") this.step({ is: "gone", connection: socket.number });
  }
}
