// Between sockets, delivery machines and stores: turns frames into events, carries effects out, gathers both once a
// turn of the event loop. It decides nothing about delivery; who may submit is decided by `submitting.ts`.
import type { Duplex } from "node:stream";
import {
  type AccountId,
  accountOf,
  addressOf,
  agreeOn,
  type ClientFrame,
  type ConnectionKind,
  type FrameOf,
  type Time,
} from "@lethe/protocol";
import { type Backend, StoreFailedError } from "@lethe/queue";
import type { WebSocket } from "ws";
import type { DeliveryNode } from "../delivery/node.ts";
import type { Effect, NodeEvent } from "../delivery/types.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { Accounts, type Cached } from "./accounts.ts";
import { Addresses, type AddressLimits } from "./addresses.ts";
import { ClientSocket, type From, type SocketPort } from "./client-socket.ts";
import { GREETING_MS, greet, proves } from "./greeting.ts";
import { HandOut } from "./hand-out.ts";
import { LookUps } from "./look-ups.ts";
import { Presence } from "./presence.ts";
import { StoreCalls } from "./store-calls.ts";
import { Submitting } from "./submitting.ts";
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
  readonly addresses: AddressLimits;
}

export interface GatewayOptions {
  readonly relay: string;
  readonly backend: Backend;
  readonly node: DeliveryNode;
  readonly limits: GatewayLimits;
  readonly metrics: Metrics;
  readonly log: Log;
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
  readonly #sockets = new Map<number, ClientSocket>();
  readonly #lookUps: LookUps;
  readonly #stores: StoreCalls;
  readonly #submitting: Submitting;
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
    const { accountEnvelopes, addresses } = options.limits;
    this.accounts = new Accounts(options.backend.directory, accountEnvelopes, options.instant);
    this.addresses = new Addresses(addresses, options.instant);
    const handOut = new HandOut(options.limits.prekeyFetches, options.instant);
    this.#lookUps = new LookUps(this.accounts, options.backend.directory, handOut);
    this.presence = new Presence({
      mailbox: options.backend.mailbox,
      now: options.now,
      instant: options.instant,
      notify: (socket, frame) => this.#sockets.get(socket)?.send(frame),
    });
    this.#submitting = new Submitting({
      accounts: this.accounts,
      limits: options.limits,
      metrics: options.metrics,
      log: options.log,
      now: options.now,
      step: (event) => this.step(event),
    });
    this.#usage = new Usage((account) => this.#noteUse(account), options.now);
    this.#stores = new StoreCalls(options.backend.mailbox, {
      result: (call, result) => this.step({ is: "result", call, result }),
      turn: () => this.#schedule(),
      fault: (error) =>
        options.log.error({ code: "internal", reason: String(error) }, "a store verb rejected"),
    });
    this.#port = {
      frame: (socket, frame) => this.#frame(socket, frame),
      closed: (socket) => this.#closed(socket),
      dirty: (socket) => {
        this.#dirty.push(socket);
        this.#schedule();
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
    const socket = new ClientSocket(this.#nextSocket++, from, ws, this.#port, instant);
    socket.countUntilOpen(stream);
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
    this.#schedule();
  }

  /** Accounts with a device connected are in use, however long ago it connected. */
  noteUsage(): void {
    for (const { greeting } of this.#sockets.values())
      if (greeting.at === "open" && greeting.address !== undefined)
        this.#usage.inUse(accountOf(greeting.address));
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

  /** An account's access key is no longer what it was: whoever came with the old one has nothing to see any more. */
  keyReplaced(account: AccountId): void {
    this.accounts.changed(account);
    this.presence.revoke(account);
  }

  // --- effects -------------------------------------------------------------------------------------------------------

  #carry(effect: Effect): void {
    switch (effect.do) {
      case "call":
        this.#stores.add(effect.call, effect.on);
        this.#schedule();
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
        this.presence.changed(effect.address, effect.online);
        return;
      case "count":
        this.#o.metrics.count(effect.what, effect.by);
        return;
      case "link-open":
        this.step({ is: "link-down", peer: effect.peer }); // no links in a single node: whoever is named there is gone
        return;
      case "link-send":
        return;
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    this.#stores.flush();
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const socket of dirty) if (!socket.ended) socket.flush();
  }

  #closed(socket: ClientSocket): void {
    if (!this.#sockets.delete(socket.number)) return;
    this.addresses.closed(socket.address, socket.greeting.at === "open");
    this.presence.gone(socket.number);
    if (socket.kind === "device") this.step({ is: "gone", connection: socket.number });
  }

  // --- frames --------------------------------------------------------------------------------------------------------

  #frame(socket: ClientSocket, frame: ClientFrame): void {
    if (frame.frame === "ping") return socket.send({ frame: "pong", token: frame.token });
    if (frame.frame === "pong") return;
    if (socket.greeting.at === "open") return this.#openFrame(socket, frame);
    if (frame.frame === "hello" && socket.greeting.at === "awaiting-hello") return this.#hello(socket, frame);
    if (frame.frame === "hello-anonymous" && socket.greeting.at === "awaiting-hello")
      return this.#helloAnonymous(socket, frame);
    if (frame.frame === "proof" && socket.greeting.at === "awaiting-proof") return this.#proof(socket, frame);
    socket.end("unexpected-frame");
  }

  #openFrame(socket: ClientSocket, frame: ClientFrame): void {
    switch (frame.frame) {
      case "submit":
        return this.#submit(socket, frame);
      case "submit-group":
        return this.#submitting.submitGroup(socket, frame);
      case "signal":
        return this.#withAccount(socket, frame.recipient, frame.accessKey, (cached) =>
          this.#submitting.signal(socket, frame, cached),
        );
      case "delivered":
        return this.step({ is: "acked", connection: socket.number, ids: frame.ids });
      case "watch":
        return this.#withAccount(socket, frame.account, frame.accessKey, (cached) =>
          this.presence.watch(socket.number, frame.account, cached?.record),
        );
      case "unwatch":
        return this.presence.unwatch(socket.number, frame.account);
      case "ask-name":
        return this.#wait(socket, () => this.#lookUps.name(socket, frame));
      case "ask-devices":
        return this.#withAccount(socket, frame.account, frame.accessKey, (cached) =>
          this.#waitIf(socket, this.#lookUps.devices(socket, frame, cached)),
        );
      case "ask-prekeys":
        return this.#withAccount(socket, frame.account, frame.accessKey, (cached) =>
          this.#wait(socket, () => this.#lookUps.prekeys(socket, frame, cached)),
        );
      case "hello":
      case "hello-anonymous":
      case "proof":
      case "ping":
      case "pong":
        return socket.end("unexpected-frame");
    }
  }

  #hello(socket: ClientSocket, hello: FrameOf<"hello">): void {
    const greeted = greet(hello, this.#o.relay, this.#o.instant());
    if (typeof greeted === "string") return socket.end(greeted);
    socket.version = greeted.challenge.version;
    socket.greeting = greeted.greeting;
    socket.send(greeted.challenge);
  }

  #helloAnonymous(socket: ClientSocket, hello: FrameOf<"hello-anonymous">): void {
    const version = agreeOn({ min: hello.minVersion, max: hello.maxVersion });
    if (version === undefined) return socket.end("version-unsupported");
    socket.version = version;
    socket.open(undefined);
    this.addresses.proven(socket.address);
    this.#sendWelcome(socket);
  }

  #proof(socket: ClientSocket, frame: FrameOf<"proof">): void {
    const { greeting } = socket;
    if (greeting.at !== "awaiting-proof") return;
    const { hello } = greeting;
    // Straight from the directory: what is at hand would tell a stranger by its speed that the account is in use.
    this.#wait(socket, async () => {
      const record = await this.#o.backend.directory.account(hello.account);
      const key = record?.devices.find((d) => d.device === hello.device)?.signingKey;
      const isProved = await proves(greeting, this.#o.relay, socket.version, key, frame.signature);
      if (socket.ended) return; // a proof of somebody who is gone would make a session that nobody ends
      if (!isProved) return socket.end("authentication-failed");
      const address = addressOf(hello.account, hello.device);
      socket.greeting = { at: "claiming", since: this.#o.instant(), address };
      this.step({ is: "connected", connection: socket.number, address, epoch: hello.epoch });
    });
  }

  #welcome(connection: number): void {
    const socket = this.#sockets.get(connection);
    if (socket === undefined || socket.greeting.at !== "claiming") return;
    const { address } = socket.greeting;
    socket.open(address);
    this.#usage.inUse(accountOf(address));
    this.addresses.proven(socket.address);
    this.#sendWelcome(socket);
  }

  #sendWelcome(socket: ClientSocket): void {
    const limits = this.#limits;
    socket.send({
      frame: "welcome",
      version: socket.version,
      relay: this.#o.relay,
      now: this.#o.now() as Time,
      maxEnvelopeBytes: limits.envelopeBytes,
      maxTtlMs: limits.ttlMs,
      pingMs: limits.pingMs,
    });
  }

  // --- accounts ------------------------------------------------------------------------------------------------

  /**
   * Runs `then` with the account if what is shown is right for it, else with `undefined`: at once where it is at hand, else
   * later, with later frames held behind it.
   */
  #withAccount(
    socket: ClientSocket,
    account: AccountId,
    accessKey: Uint8Array | undefined,
    then: (cached: Cached | undefined) => void,
  ): void {
    const identified = socket.kind === "device";
    const cached = this.accounts.admitted(account, accessKey, identified);
    if (cached !== undefined) return then(cached);
    this.#wait(socket, async () => {
      const admitted = await this.accounts.admit({ account, accessKey, identified });
      if (!socket.ended) then(admitted);
    });
  }

  #waitIf(socket: ClientSocket, work: Promise<void> | undefined): void {
    if (work !== undefined) this.#wait(socket, () => work);
  }

  #wait(socket: ClientSocket, work: () => Promise<void>): void {
    socket.hold();
    work().then(
      () => socket.resume(),
      (error: unknown) => {
        if (!(error instanceof StoreFailedError))
          this.#o.log.error({ code: "internal", reason: String(error) }, "a frame could not be handled");
        socket.end(error instanceof StoreFailedError ? error.code : "internal");
      },
    );
  }

  // The way of every message: no closure where the account is at hand.
  #submit(socket: ClientSocket, frame: FrameOf<"submit">): void {
    const { recipient, accessKey } = frame;
    const cached = this.accounts.admitted(recipient, accessKey, socket.kind === "device");
    if (cached !== undefined) this.#submitting.submit(socket, frame, cached);
    else
      this.#withAccount(socket, recipient, accessKey, (admitted) =>
        this.#submitting.submit(socket, frame, admitted),
      );
  }
}
