// A real Redis (or Valkey) server for a test: on a free port, over a folder of its own, with the shipped configuration,
// ended by its process id. Always true: killed and started again it has the same port and the same files.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { aFolder, type Folder } from "./folder.ts";
import { eventually, within } from "./waiting.ts";

const PATIENCE_MS = 30_000;

/** What every shipped server is set to; see docs/operations.md. */
export const SHIPPED_CONFIGURATION: Readonly<Record<string, string>> = {
  appendonly: "yes",
  appendfsync: "always",
  "stream-node-max-bytes": "128",
  "stream-node-max-entries": "1",
  "maxmemory-policy": "noeviction",
  "auto-aof-rewrite-percentage": "0",
  save: "",
  "repl-diskless-sync": "yes",
  "repl-diskless-load": "swapdb",
};

export interface RedisServerOptions {
  /** `redis-server` unless said otherwise; a path or a name in PATH. */
  readonly program?: string;
  readonly port?: number;
  /** Added to the shipped configuration, or in place of parts of it. */
  readonly configuration?: Readonly<Record<string, string>>;
  /** A folder that is there already, and stays. */
  readonly folder?: string;
}

/** The version that a program says of itself; undefined if it is not installed. */
export function versionOf(program: string): string | undefined {
  const { stdout, status } = spawnSync(program, ["--version"], { encoding: "utf8" });
  return status === 0 ? /v=(\S+)/.exec(stdout)?.[1] : undefined;
}

export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  readonly #program: string;
  readonly #configuration: Readonly<Record<string, string>>;
  readonly #own: Folder | undefined;
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();

  private constructor(options: RedisServerOptions, port: number, own: Folder | undefined) {
    this.port = port;
    this.#program = options.program ?? "redis-server";
    this.#configuration = { ...SHIPPED_CONFIGURATION, ...options.configuration };
    this.#own = own;
    this.folder = options.folder ?? own?.path ?? "";
  }

  /** Starts one and waits until it answers. */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const own = options.folder === undefined ? await aFolder() : undefined;
    const server = new RedisServer(options, options.port ?? (await freePort()), own);
    await mkdir(server.folder, { recursive: true });
    await server.restart();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Resolves when it has ended, this time. */
  get ended(): Promise<unknown> {
    return this.#exited;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Where the append-only files lie. */
  get aofFolder(): string {
    return join(this.folder, "appendonlydir");
  }

  /** Starts it over its folder, if it does not run, and waits until it has loaded what is there. */
  async restart(): Promise<void> {
    if (this.running) return;
    const settings = Object.entries(this.#configuration).flatMap(([name, value]) => [`--${name}`, value]);
    const where = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.folder];
    const child = spawn(this.#program, [...where, ...settings], { stdio: ["ignore", "pipe", "inherit"] });
    this.#child = child;
    this.#exited = once(child, "exit");
    const killed = (): void => void child.kill("SIGKILL");
    process.once("exit", killed); // not even a test that is broken off leaves a server behind
    void this.#exited.then(() => process.off("exit", killed));
    await within(PATIENCE_MS, `${this.#program}'s start`, ready(child));
  }

  /** What `redis-cli` says to a command. */
  cli(...args: readonly string[]): Promise<string> {
    return runCli(this.#program, ["-p", String(this.port), ...args]);
  }

  /** Resolves when a replica is at its side and has caught up. */
  async hasReplica(): Promise<void> {
    const isOnline = async () => (await this.cli("info", "replication")).includes("state=online");
    await eventually(PATIENCE_MS, "the replica", async () => ((await isOnline()) ? true : undefined));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    await this.stop("SIGKILL");
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.kill("SIGCONT");
    child.kill(signal);
    await within(PATIENCE_MS, `${this.#program}'s end`, this.#exited);
    this.#child = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#own?.[Symbol.asyncDispose]();
  }
}

/** The command line client that belongs to a server program. @throws what it said, where it failed */
export async function runCli(program: string, args: readonly string[]): Promise<string> {
  const cli = program.replace(/-server$/, "-cli");
  const child = spawn(cli, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  const [status] = (await once(child, "close")) as [number | null];
  if (status !== 0) throw new Error(`${cli} ${args.join(" ")}: ${said}`);
  return said.trim();
}

/** Resolves when it says that it takes connections; rejects, with what it said, when it ends before. */
function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-8_192);
      if (/Ready to accept connections/.test(said)) resolve();
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`it ended (${code ?? signal}): ${said}`)));
  });
}

/** A port that nobody has now, and whose cluster bus (10,000 above) is free too; both below what the kernel hands out. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 12_000);
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (free) await new Promise((resolve) => server.close(resolve));
  return free;
}
