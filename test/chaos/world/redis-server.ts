// A Redis server of a run's own, with the configuration that Lethe ships: killed, stopped and started again in the same
// place. Always true: it listens on loopback alone, and is ended by its process id.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { eventually, within } from "../../support/waiting.ts";

const PATIENCE_MS = 30_000;

export interface RedisServerOptions {
  readonly folder: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
}

export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly #options: RedisServerOptions;
  #child: ChildProcess | undefined;
  #isMeant = false;
  readonly ends: string[] = [];

  constructor(options: RedisServerOptions) {
    this.#options = options;
    this.port = options.port;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async start(): Promise<void> {
    const { folder, port, env } = this.#options;
    await mkdir(folder, { recursive: true });
    this.#isMeant = false;
    const child = spawn("redis-server", configuration(folder, port), {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    this.#child = child;
    let last = "";
    const keep = (chunk: Buffer): void => void (last = chunk.toString().trim().split("\n").at(-1) ?? last);
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const killed = (): void => void child.kill("SIGKILL");
    process.once("exit", killed);
    child.once("exit", (code, signal) => {
      process.off("exit", killed);
      if (!this.#isMeant) this.ends.push(`redis ended with ${code ?? signal}: ${last}`);
    });
    await eventually(PATIENCE_MS, "an answer of Redis", () => this.ask("PING").catch(() => undefined), 50);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.isRunning) return;
    this.#isMeant = true;
    const exited = once(child, "exit");
    child.kill(signal);
    await within(PATIENCE_MS, "the end of Redis", exited);
  }

  /** Up, whatever has happened to it. */
  async mend(): Promise<void> {
    if (!this.isRunning) await this.start();
  }

  /** One inline command on a connection of its own; the first line of the answer. @throws Error for an error reply */
  async ask(command: string): Promise<string> {
    const socket = connect(this.port, "127.0.0.1");
    try {
      await within(PATIENCE_MS, `Redis for ${command}`, once(socket, "connect"));
      socket.write(`${command}\r\n`);
      const line = await within(PATIENCE_MS, `the answer to ${command}`, firstLine(socket));
      if (line.startsWith("-")) throw new Error(line);
      return line;
    } finally {
      socket.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }
}

async function firstLine(socket: Socket): Promise<string> {
  let text = "";
  for await (const chunk of socket) {
    text += (chunk as Buffer).toString("latin1");
    const line = /^([^\r]*)\r\n/.exec(text);
    if (line?.[1] !== undefined) return line[1];
  }
  throw new Error("Redis hung up");
}

function configuration(folder: string, port: number): string[] {
  const settings = {
    port: String(port),
    bind: "127.0.0.1",
    dir: folder,
    appendonly: "yes",
    appendfsync: "always",
    save: "",
    "auto-aof-rewrite-percentage": "0",
    "maxmemory-policy": "noeviction",
    "stream-node-max-bytes": "128",
    "stream-node-max-entries": "1",
    "enable-debug-command": "local",
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}
