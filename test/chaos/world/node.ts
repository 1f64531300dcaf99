// One relay of a run: the same folder and port in every life. Always true: an end that nobody asked for is counted.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { RelayProcess } from "../../support/relay-process.ts";

const MAIN = fileURLToPath(new URL("../relay/main.ts", import.meta.url));

/** How long the event loop stops when it is told to, ms. */
export const STALL_MS = 4_000;

/** Machines on which chaos runs are busy with it, ms. */
const PATIENCE_MS = 180_000;
const ATTEMPTS = 3;

export interface NodeOptions {
  readonly name: string;
  readonly data: string;
  readonly port: number;
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The file from which a faked clock takes its offset, where clocks are faked. */
  readonly clock: string | undefined;
}

export class RelayNode implements AsyncDisposable {
  readonly name: string;
  readonly port: number;
  /** Its folder. */
  readonly data: string;
  readonly #options: NodeOptions;
  readonly #written: Buffer[] = [];
  #process: RelayProcess | undefined;
  #isMeant = false;
  #mayCrash = false;
  lives = 0;
  /** How often it reached a crash point. */
  crashes = 0;
  /** How often it ended by itself, and how. */
  readonly ends: string[] = [];

  constructor(options: NodeOptions) {
    this.#options = options;
    this.name = options.name;
    this.port = options.port;
    this.data = options.data;
  }

  get isRunning(): boolean {
    return this.#process?.running === true;
  }

  get exited(): Promise<unknown> {
    return this.#process?.exited ?? Promise.resolve();
  }

  /** Until it listens; a start that fails is counted as an end by itself, and tried again. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#mayCrash = env["LETHE_CRASH_AT"] !== undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#startOnce(env);
        return;
      } catch (error) {
        if (this.#mayCrash) return;
        this.ends.push(`${this.name} did not start: ${String(error).slice(0, 400)}`);
        if (attempt === ATTEMPTS) throw error;
      }
    }
  }

  async #startOnce(env: Readonly<Record<string, string>>): Promise<void> {
    const { data, port, flags, env: always } = this.#options;
    this.#isMeant = false;
    const started = await RelayProcess.start({
      data,
      port,
      flags,
      log: "warn",
      main: MAIN,
      patienceMs: PATIENCE_MS,
      env: {
        LETHE_STALL_MS: String(STALL_MS),
        LETHE_CRASH_FILE: this.#crashFile,
        ...always,
        ...env,
      },
    });
    this.#process = started;
    this.lives++;
    void started.exited.then(({ code, signal }) => {
      this.#written.push(started.output);
      if (this.#isMeant) return;
      if (this.#mayCrash && signal === "SIGKILL") this.crashes++;
      else this.ends.push(`${this.name} ended with ${code ?? signal}: ${lastLine(started.output)}`);
    });
  }

  get #crashFile(): string {
    return `${this.#options.data}.crash`;
  }

  /** Has it end itself at a point, as it runs. */
  arm(at: string): void {
    writeFileSync(this.#crashFile, at);
    this.#mayCrash = true;
    this.signal("SIGHUP");
  }

  async kill(): Promise<void> {
    this.#isMeant = true;
    if (this.isRunning) await this.#process?.kill();
  }

  /** As an operator does. */
  async stop(): Promise<void> {
    this.#isMeant = true;
    if (this.isRunning) await this.#process?.stop();
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#process?.signal(signal);
  }

  /** Sets its wall clock off by so many seconds. */
  setClock(seconds: number): void {
    if (this.#options.clock !== undefined)
      writeFileSync(this.#options.clock, `${seconds < 0 ? "" : "+"}${seconds}s\n`);
  }

  get hasClock(): boolean {
    return this.#options.clock !== undefined;
  }

  metric(name: string): Promise<number> {
    return this.#process?.metric(name) ?? Promise.resolve(0);
  }

  /** All that it has written in all its lives. */
  get output(): Buffer {
    return Buffer.concat([
      ...this.#written,
      ...(this.isRunning ? [(this.#process as RelayProcess).output] : []),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

function lastLine(output: Buffer): string {
  return output.toString("utf8").trim().split("\n").slice(-1)[0]?.slice(0, 300) ?? "";
}
