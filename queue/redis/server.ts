// One Redis server and the connection to it. Always true: every call settles within its time-out, and one that has settled
// is not sent any more; a connection on which nothing comes back is replaced, and what was under way on it fails at once; a
// write that must reach replicas counts only if both it and its WAIT were answered on one and the same connection.
import { Redis, type RedisOptions } from "ioredis";
import type { StoreEvent } from "../backend.ts";
import { StoreFailedError } from "../mailbox.ts";
import { type Arg, PackedCommand } from "./command.ts";

export type { Arg } from "./command.ts";

export interface ServerParts {
  /** How long a call may take, ms; infinity for calls that have time-outs of their own. */
  readonly commandMs: number;
  /** Replicas that a durable call waits for. */
  readonly replicas: number;
  readonly report: (event: StoreEvent) => void;
}

/** What a call is made with: a server, or one that is asked for a slot that is on its way to it. */
export interface Caller {
  /** Digests of the scripts that were sent whole on this connection: until it breaks they need not be again. */
  readonly known: Set<string>;
  /** One command; replies are Buffers, numbers, null and arrays of them. */
  call(command: string, args: readonly Arg[]): Promise<unknown>;
  /** One command, answered once the replicas have it too. @throws StoreFailedError where they fall short */
  callDurably(command: string, args: readonly Arg[]): Promise<unknown>;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;
/** While replicas fall short, WAIT is as short as this, ms: it holds up everything that is sent behind it. */
const SHORT_WAIT_MS = 50;

/** What a call fails with whose connection broke: it may have been done. */
export const LOST = "aborted due to connection close";
/** What a call fails with whose server is not asked any more. */
export const GONE = "Connection is closed";

interface UnderWay {
  readonly command: PackedCommand;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
  timer: NodeJS.Timeout | undefined;
}

export class Server implements Caller {
  readonly redis: Redis;
  readonly asking: Caller;
  readonly known = new Set<string>();
  readonly #parts: ServerParts;
  /** Counts connections, so that an answer can be told to be of the same one as another. */
  #connection = 0;
  #isDown = false;
  #wait: Promise<WaitAnswer> | undefined;
  #isShort = false;
  /** Calls that were sent, and those that wait for a connection, in order. */
  readonly #sent = new Set<UnderWay>();
  readonly #unsent = new Set<UnderWay>();
  #ended = false;

  constructor(options: RedisOptions, parts: ServerParts) {
    this.#parts = parts;
    const all: RedisOptions = {
      protocol: 2,
      connectTimeout: parts.commandMs,
      socketTimeout: parts.commandMs,
      maxRetriesPerRequest: null,
      // Both would send what its caller has long been told is not done.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      retryStrategy: pause,
      reconnectOnError: (error) => (isReplicaNow(error) ? 1 : false),
      ...options,
    };
    this.redis = new Redis({ ...all, replyMapping: "legacy" });
    this.asking = {
      known: this.known,
      call: (command, args) => this.#asked(() => this.call(command, args)),
      callDurably: (command, args) => this.#asked(() => this.callDurably(command, args)),
    };
    this.redis.on("connect", () => {
      this.#connection++;
      this.known.clear();
    });
    this.redis.on("ready", () => {
      this.#isDown = false;
      if (this.#connection > 1) this.#parts.report({ is: "store-moved" });
      for (const call of this.#unsent) this.#send(call);
    });
    this.redis.on("close", () => {
      for (const call of this.#sent) this.#fail(call, new Error(LOST));
    });
    this.redis.on("error", (error: NodeJS.ErrnoException) => this.#reportOnce(error.code ?? "unknown"));
  }

  /** Resolves once there is a connection. */
  ready(): Promise<void> {
    if (this.isReady) return Promise.resolve();
    return new Promise((resolve) => this.redis.once("ready", resolve));
  }

  get isReady(): boolean {
    return this.redis.status === "ready";
  }

  get host(): string {
    return this.redis.options.host ?? "";
  }

  get port(): number {
    return this.redis.options.port ?? 0;
  }

  call(command: string, args: readonly Arg[]): Promise<unknown> {
    if (this.#ended) return Promise.reject(new Error(GONE));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const call: UnderWay = { command: new PackedCommand(command, args), resolve, reject, timer: undefined };
    const { commandMs } = this.#parts;
    if (Number.isFinite(commandMs))
      call.timer = setTimeout(() => this.#fail(call, new Error("Command timed out")), commandMs);
    if (this.isReady) this.#send(call);
    else this.#unsent.add(call);
    return promise;
  }

  #send(call: UnderWay): void {
    this.#unsent.delete(call);
    this.#sent.add(call);
    (this.redis.sendCommand(call.command) as Promise<unknown>).then(
      (answer) => {
        this.#settle(call);
        call.resolve(answer);
      },
      (error: unknown) => {
        if (isNotSent(error) && this.#sent.delete(call)) this.#unsent.add(call);
        else this.#fail(call, error);
      },
    );
  }

  #fail(call: UnderWay, error: unknown): void {
    this.#settle(call);
    call.reject(error);
  }

  #settle(call: UnderWay): void {
    clearTimeout(call.timer);
    this.#sent.delete(call);
    this.#unsent.delete(call);
  }

  async callDurably(command: string, args: readonly Arg[]): Promise<unknown> {
    if (this.#parts.replicas === 0) return this.call(command, args);
    const answering = this.call(command, args);
    const waited = this.#waitForReplicas();
    const answer = await answering;
    const connection = this.#connection;
    const { replicas, on } = await waited;
    if (on !== connection)
      throw new StoreFailedError("storage-failed", "the connection changed under a write");
    if (replicas < this.#parts.replicas)
      throw new StoreFailedError(
        "storage-failed",
        `${replicas} replicas have it, not ${this.#parts.replicas}`,
      );
    return answer;
  }

  /** What waits for a connection is rejected: it has somewhere else to go. */
  giveBack(): void {
    for (const call of this.#unsent) this.#fail(call, new Error(GONE));
  }

  /** What waits is rejected. */
  disconnect(): void {
    this.#ended = true;
    this.redis.disconnect();
    for (const call of [...this.#sent, ...this.#unsent]) this.#fail(call, new Error(GONE));
  }

  /** The next command on the connection is taken although its slot is not wholly here yet. */
  #asked(call: () => Promise<unknown>): Promise<unknown> {
    this.redis.asking().catch(() => undefined);
    return call();
  }

  /** One WAIT behind everything that is sent in this turn. */
  #waitForReplicas(): Promise<WaitAnswer> {
    this.#wait ??= Promise.resolve().then(async () => {
      this.#wait = undefined;
      const longest = this.#isShort ? SHORT_WAIT_MS : Math.ceil(this.#parts.commandMs / 2);
      const replicas = Number(await this.call("WAIT", [this.#parts.replicas, longest]));
      this.#isShort = replicas < this.#parts.replicas;
      return { replicas, on: this.#connection };
    });
    this.#wait.catch(() => undefined);
    return this.#wait;
  }

  /** Once an outage: a connection is tried again and again. */
  #reportOnce(code: string): void {
    if (this.#isDown) return;
    this.#isDown = true;
    this.#parts.report({ is: "storage-failed", code });
  }
}

interface WaitAnswer {
  readonly replicas: number;
  readonly on: number;
}

/** The other side has ended the connection, and that is not known as its end yet: the call waits for the next one. */
function isNotSent(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Stream isn't writeable");
}

/** Doubles up to a cap, with jitter, so that nodes do not come back all at once. */
function pause(times: number): number {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(times - 1, 10));
  return longest / 2 + (Math.random() * longest) / 2;
}

/** A master that became a replica behind an open connection: Sentinels know who is master now. */
function isReplicaNow(error: Error): boolean {
  return error.message.startsWith("READONLY") || error.message.includes("-READONLY");
}
