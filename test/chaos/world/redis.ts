// The Redis server of a run: asked and ordered on connections of its own. Always true: an end that nobody asked for is
// counted, unless its disk is full, when ending is what it has to do.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { RedisServer } from "../../support/redis-server.ts";
import { eventually, within } from "../../support/waiting.ts";

const PATIENCE_MS = 30_000;
const REWRITE_MS = 120_000;
/** Streams of mailboxes are the keys `l{HH}m…`. */
const HELD =
  "local n = 0 for _, key in ipairs(redis.call('KEYS', 'l{??}m*')) do n = n + redis.call('XLEN', key) end return n";

export class RunRedis implements AsyncDisposable {
  readonly #server: RedisServer;
  #isMeant = false;
  /** Its disk is full: it may end by itself. */
  mayEnd = false;
  readonly ends: string[] = [];

  private constructor(server: RedisServer) {
    this.#server = server;
  }

  static async start(folder: string): Promise<RunRedis> {
    const redis = new RunRedis(
      await RedisServer.start({ folder, configuration: { "enable-debug-command": "local" } }),
    );
    redis.#watch();
    return redis;
  }

  #watch(): void {
    void this.#server.ended.then(() => {
      if (!this.#isMeant && !this.mayEnd) this.ends.push("redis ended by itself");
    });
  }

  get port(): number {
    return this.#server.port;
  }

  get isRunning(): boolean {
    return this.#server.running;
  }

  signal(signal: NodeJS.Signals): void {
    this.#server.signal(signal);
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#isMeant = true;
    await this.#server.stop(signal);
  }

  /** Up, whatever has happened to it. */
  async mend(): Promise<void> {
    if (this.isRunning) return;
    this.#isMeant = false;
    await this.#server.restart();
    this.#watch();
  }

  /** Undelivered envelopes of everybody. */
  async held(): Promise<number> {
    return Number((await this.ask(`EVAL "${HELD}" 0`)).slice(1));
  }

  /** Rewrites the append-only file, as the relay's chore does, and waits for the end of it. */
  async forget(): Promise<void> {
    const isDone = async (): Promise<boolean> =>
      /aof_rewrite_in_progress:0[^]*aof_rewrite_scheduled:0/.test(await this.ask("INFO persistence"));
    const idle = (): Promise<unknown> =>
      eventually(REWRITE_MS, "the end of a rewrite", async () => ((await isDone()) ? true : undefined), 200);
    await idle();
    await this.ask("BGREWRITEAOF");
    await idle();
  }

  /** One inline command on a connection of its own; its answer as it is on the wire. @throws Error for an error reply */
  async ask(command: string): Promise<string> {
    const socket = connect(this.port, "127.0.0.1");
    socket.on("error", () => undefined);
    try {
      await within(PATIENCE_MS, `Redis for ${command}`, once(socket, "connect"));
      socket.write(`${command}\r\n`);
      const reply = await within(PATIENCE_MS, `the answer to ${command}`, replyOn(socket));
      if (reply.startsWith("-")) throw new Error(reply);
      return reply;
    } finally {
      socket.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isMeant = true;
    await this.#server[Symbol.asyncDispose]();
  }
}

/** A line, or a bulk string of the length that its line names. */
async function replyOn(socket: Socket): Promise<string> {
  let text = "";
  for await (const chunk of socket) {
    text += (chunk as Buffer).toString("latin1");
    const line = /^([^\r]*)\r\n/.exec(text);
    if (line?.[1] === undefined) continue;
    if (!line[1].startsWith("$")) return line[1];
    const length = Number(line[1].slice(1));
    if (text.length >= line[0].length + length) return text.slice(line[0].length, line[0].length + length);
  }
  throw new Error("Redis hung up");
}
