// The way to the servers of a store, whatever their arrangement: a call names a key and reaches the key's master.
// Always true: no call hangs, none goes out once the store is closed, and blocking reads have connections of their own.
import type { RedisOptions } from "ioredis";
import type { StoreEvent } from "../backend.ts";
import { StoreOpenError } from "../mailbox.ts";
import { ClusterServers } from "./cluster.ts";
import { closedError, storeError } from "./failures.ts";
import { type Arg, type Caller, LOST, Server, type ServerParts } from "./server.ts";
import { type Address, type Login, parseStoreUrl, type StoreUrl } from "./url.ts";

export type { Arg } from "./server.ts";

export interface ConnectionConfig {
  readonly url: string;
  /** Replicas that must have a durable write before it is answered. */
  readonly replicas: number;
  /** Time-out of every call, ms. */
  readonly commandMs: number;
  readonly report: (event: StoreEvent) => void;
}

/** How calls find their server. */
export interface Servers {
  /** Resolves once calls can be made. */
  open(): Promise<void>;
  /** Runs `call` on the master of `key`, and again elsewhere where the key has moved. */
  onMaster<T>(key: Buffer, call: (caller: Caller) => Promise<T>): Promise<T>;
  /** What tells masters apart: keys with the same answer can be in one call. */
  placeOf(key: Buffer): number;
  masters(): readonly Server[];
  /** A new connection to the master of `key`, for reads that block. */
  another(key: Buffer): Server;
  close(): void;
}

/** How long opening waits for a store that does not answer, in time-outs of a call. */
const PATIENCE = 2;

export class Connection {
  readonly url: StoreUrl;
  readonly replicas: number;
  readonly #config: ConnectionConfig;
  readonly #servers: Servers;
  readonly #blocking = new Set<Server>();
  #closed = false;

  private constructor(url: StoreUrl, config: ConnectionConfig) {
    this.url = url;
    this.replicas = config.replicas;
    this.#config = config;
    this.#servers =
      url.is === "cluster"
        ? new ClusterServers(url.nodes, optionsOf(url), config)
        : new OneServer(optionsOf(url), config);
  }

  /** @throws StoreOpenError */
  static async open(config: ConnectionConfig): Promise<Connection> {
    const connection = new Connection(parseStoreUrl(config.url), config);
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(reject, config.commandMs * PATIENCE, new Error("no answer in time"));
    try {
      await Promise.race([connection.#servers.open(), late]);
      return connection;
    } catch (error) {
      connection.close();
      const why = error instanceof Error ? error.message : "no answer";
      throw new StoreOpenError("unreachable", `the store cannot be reached: ${why}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @throws StoreFailedError, StoreClosedError */
  async call(key: Buffer, command: string, args: readonly Arg[]): Promise<unknown> {
    return this.send(key, (caller) => caller.call(command, args));
  }

  /** Answered once so many replicas have it as the store is set to wait for. @throws StoreFailedError, StoreClosedError */
  async callDurably(key: Buffer, command: string, args: readonly Arg[]): Promise<unknown> {
    return this.send(key, (caller) => caller.callDurably(command, args));
  }

  /** A read that waits up to `blockMs` on a connection of its own. @throws StoreFailedError, StoreClosedError */
  async callBlocking(
    reader: BlockingReader,
    command: string,
    args: readonly Arg[],
    blockMs: number,
  ): Promise<unknown> {
    if (this.#closed) throw closedError();
    try {
      return await reader.read(command, args, blockMs + this.#config.commandMs);
    } catch (error) {
      throw this.#closed ? closedError() : storeError(error);
    }
  }

  /** A connection of its own to the master of `key`. */
  reader(key: Buffer): BlockingReader {
    if (this.#closed) throw closedError();
    return new BlockingReader(
      () => {
        const server = this.#servers.another(key);
        this.#blocking.add(server);
        return server;
      },
      (server) => {
        this.#blocking.delete(server);
        server.disconnect();
      },
    );
  }

  placeOf(key: Buffer): number {
    return this.#servers.placeOf(key);
  }

  masters(): readonly Server[] {
    return this.#servers.masters();
  }

  /** A connection of its own to a server that is named otherwise, a replica for example. The caller ends it. */
  to(address: Address): Server {
    if (this.#closed) throw closedError();
    const { sentinels: _, name: __, ...options } = optionsOf(this.url);
    return new Server({ ...options, ...address }, this.#config);
  }

  /** Ends every connection; what waits is rejected. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const server of this.#blocking) server.disconnect();
    this.#servers.close();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Runs `call` on the master of `key`; it may be run again elsewhere. @throws StoreFailedError, StoreClosedError */
  async send(key: Buffer, call: (caller: Caller) => Promise<unknown>): Promise<unknown> {
    if (this.#closed) throw closedError();
    try {
      return await this.#servers.onMaster(key, call);
    } catch (error) {
      throw this.#closed ? closedError() : storeError(error);
    }
  }
}

/** Blocking reads, one at a time. Always true: after one that failed the next begins with a new connection. */
export class BlockingReader {
  readonly #connect: () => Server;
  readonly #drop: (server: Server) => void;
  #server: Server | undefined;

  constructor(connect: () => Server, drop: (server: Server) => void) {
    this.#connect = connect;
    this.#drop = drop;
  }

  async read(command: string, args: readonly Arg[], withinMs: number): Promise<unknown> {
    const server = (this.#server ??= this.#connect());
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(reject, withinMs, new Error("a blocking read was not answered in time"));
    try {
      return await Promise.race([server.call(command, args), late]);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    if (this.#server !== undefined) this.#drop(this.#server);
    this.#server = undefined;
  }
}

/** A connection that broke, or whose master is a replica now. */
const AGAIN = new RegExp(`^${LOST}|^READONLY|-READONLY`);

/** One server, or the master that Sentinels name. */
class OneServer implements Servers {
  readonly #server: Server;
  readonly #options: RedisOptions;
  readonly #parts: ServerParts;

  constructor(options: RedisOptions, parts: ServerParts) {
    this.#options = options;
    this.#parts = parts;
    this.#server = new Server(options, parts);
  }

  open(): Promise<void> {
    return this.#server.ready();
  }

  /** What was lost with its connection goes out again on the next one, until its time is over: every script allows that. */
  async onMaster<T>(_key: Buffer, call: (caller: Caller) => Promise<T>): Promise<T> {
    const until = performance.now() + this.#parts.commandMs;
    for (;;) {
      try {
        return await call(this.#server);
      } catch (error) {
        const isLost = error instanceof Error && AGAIN.test(error.message);
        if (!isLost || performance.now() > until) throw error;
      }
    }
  }

  placeOf(): number {
    return 0;
  }

  masters(): readonly Server[] {
    return [this.#server];
  }

  another(): Server {
    return blockingServer(this.#options, this.#parts);
  }

  close(): void {
    this.#server.disconnect();
  }
}

/** Its calls have time-outs of their own, and it is never sent anything again: its reader begins anew. */
export function blockingServer(options: RedisOptions, parts: ServerParts): Server {
  const own = { connectTimeout: parts.commandMs, socketTimeout: undefined };
  return new Server({ ...options, ...own }, { ...parts, commandMs: Number.POSITIVE_INFINITY });
}

/** What ioredis is told to reach what a URL names; of a cluster, without the address. */
export function optionsOf(url: StoreUrl): RedisOptions {
  const shared: RedisOptions = { ...loginOf(url.login), ...(url.tls ? { tls: {} } : {}) };
  if (url.is === "one") return { ...shared, ...url.address, db: url.database };
  if (url.is === "cluster") return shared;
  return {
    ...shared,
    name: url.master,
    sentinels: url.sentinels.map((sentinel) => ({ ...sentinel })),
    enableTLSForSentinelMode: url.tls,
    failoverDetector: true,
  };
}

function loginOf({ username, password }: Login): RedisOptions {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}
