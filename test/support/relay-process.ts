// A real relay process for a test: on a free port, with a folder of its own, stopped by its process id. Always true:
// everything that it wrote on stdout and stderr is kept, so that a test can search it.
import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { ConnectionKind } from "@lethe/protocol";
import { OPERATOR_PATHS, PATHS } from "@lethe/protocol";
import { eventually, within } from "./waiting.ts";

const MAIN = fileURLToPath(new URL("../../relay/main.ts", import.meta.url));

/** The name that every relay under test goes by. */
export const RELAY_NAME = "relay.test";

/** How long a start or an end may take on a machine that is busy with other tests, ms. */
const PATIENCE_MS = 30_000;

export interface RelayOptions {
  readonly data: string;
  readonly port?: number;
  readonly log?: "silent" | "error" | "warn" | "info" | "debug";
  /** Further flags, for example `["--ping", "1000"]`. */
  readonly flags?: readonly string[];
  /** Flags of Node itself. */
  readonly node?: readonly string[];
  /** What is started instead of the product's `main.ts`. */
  readonly main?: string;
  /** How long its start and its end may take, ms. */
  readonly patienceMs?: number;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class RelayProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #output: Buffer[];
  readonly #patienceMs: number;

  private constructor(
    child: ChildProcess,
    {
      url,
      exited,
      output,
      patienceMs,
    }: { url: string; exited: Promise<Exit>; output: Buffer[]; patienceMs: number },
  ) {
    this.#child = child;
    this.#patienceMs = patienceMs;
    this.url = url;
    this.port = Number(new URL(url).port);
    this.pid = child.pid ?? 0;
    this.exited = exited;
    this.#output = output;
  }

  /** Starts a relay and waits for the line that says where it listens. */
  static async start(options: RelayOptions): Promise<RelayProcess> {
    const { data, port = 0, log = "silent", flags = [], node = [], main = MAIN, env = {} } = options;
    const { patienceMs = PATIENCE_MS } = options;
    const args = ["--port", String(port), "--data", data, "--name", RELAY_NAME, "--log", log, ...flags];
    const child = spawn(process.execPath, [...node, main, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    const output: Buffer[] = [];
    const exited = new Promise<Exit>((resolve) =>
      child.once("exit", (code, signal) => resolve({ code, signal })),
    );
    child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
    const listening = new Promise<string>((resolve) => {
      child.stdout.on("data", (chunk: Buffer) => {
        output.push(chunk);
        const found = /^listening (https?:\S+)$/m.exec(Buffer.concat(output).toString("latin1"));
        if (found?.[1] !== undefined) resolve(found[1]);
      });
    });
    const died = exited.then(({ code, signal }) => {
      throw new Error(
        `the relay ended (${code ?? signal}) before it listened: ${Buffer.concat(output).toString()}`,
      );
    });
    died.catch(() => undefined);
    const killed = (): void => void child.kill("SIGKILL");
    process.once("exit", killed); // not even a test that is broken off leaves a relay behind
    void exited.then(() => process.off("exit", killed));
    try {
      const url = await within(patienceMs, "the relay's address", Promise.race([listening, died]));
      return new RelayProcess(child, { url, exited, output, patienceMs });
    } catch (error) {
      killed();
      throw error;
    }
  }

  socketUrl(kind: ConnectionKind): string {
    const path = kind === "device" ? PATHS.deviceSocket : PATHS.anonymousSocket;
    return `${this.url.replace("http", "ws")}${path}`;
  }

  /** All that it has written so far. */
  get output(): Buffer {
    return Buffer.concat(this.#output);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Waits until it has written this text, on either stream. */
  async says(text: string): Promise<void> {
    await eventually(PATIENCE_MS, `the relay's line "${text}"`, () =>
      Promise.resolve(this.output.includes(text) ? true : undefined),
    );
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks it to stop and waits for its end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Exit> {
    if (this.running) this.signal(signal);
    return within(this.#patienceMs, `the relay's end after ${signal}`, this.exited);
  }

  /** Ends it at once: nothing of its own runs after this. */
  async kill(): Promise<void> {
    await this.stop("SIGKILL");
  }

  /** Every sample of the metrics page, by name with labels. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const text = await (await fetch(`${this.url}${OPERATOR_PATHS.metrics}`)).text();
    const samples = new Map<string, number>();
    for (const line of text.split("\n")) {
      const at = line.lastIndexOf(" ");
      if (!line.startsWith("#") && at > 0) samples.set(line.slice(0, at), Number(line.slice(at + 1)));
    }
    return samples;
  }

  /** The metrics as soon as so many envelopes in all have been counted as accepted: counts are told once a tick. */
  metricsOnceAccepted(total: number): Promise<ReadonlyMap<string, number>> {
    return eventually(PATIENCE_MS, `a count of ${total} accepted envelopes`, async () => {
      const metrics = await this.metrics();
      return (metrics.get("lethe_accepted_total") ?? 0) >= total ? metrics : undefined;
    });
  }

  async metric(name: string): Promise<number> {
    return (await this.metrics()).get(name) ?? 0;
  }

  /** Bytes of memory that the process holds, as the kernel counts them (proc(5), VmRSS). */
  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
