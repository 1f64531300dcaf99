// `lethe chat` in pipes, as a script would use it: lines in, lines out.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Exit } from "./relay-process.ts";
import { Arrivals, within } from "./waiting.ts";

const LETHE = fileURLToPath(new URL("../../client-lib/bin/lethe.js", import.meta.url));
/** Receipts wait up to 5 s on purpose; machines are busy. */
const PATIENCE_MS = 30_000;

export interface ChatOptions {
  readonly user: string;
  readonly with: string;
  readonly relay: string;
  readonly store: string;
  readonly ticket?: string;
  /** Whom to believe beside the system's authorities (PEM). */
  readonly authority?: string;
}

export class ChatProcess {
  readonly user: string;
  readonly exited: Promise<Exit>;
  /** Every line so far. */
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #arrivals = new Arrivals<string>();

  constructor(options: ChatOptions) {
    this.user = options.user;
    const args = [
      "chat",
      options.user,
      "--with",
      options.with,
      "--relay",
      options.relay,
      "--store",
      options.store,
      ...(options.ticket === undefined ? [] : ["--ticket", options.ticket]),
    ];
    const child = spawn(process.execPath, [LETHE, ...args], {
      env: {
        ...process.env,
        ...(options.authority === undefined ? {} : { NODE_EXTRA_CA_CERTS: options.authority }),
      },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child = child;
    this.exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
    createInterface({ input: child.stdout }).on("line", (line) => {
      this.lines.push(line);
      this.#arrivals.put(line);
    });
  }

  type(...lines: string[]): void {
    for (const line of lines) this.#child.stdin?.write(`${line}\n`);
  }

  /** The next line that is this one; lines before it are passed by. */
  async line(wanted: string): Promise<void> {
    const found = async (): Promise<void> => {
      while ((await this.#arrivals.next()) !== wanted);
    };
    const what = (): string => `${this.user}'s line "${wanted}" (so far: ${this.lines.join(" | ")})`;
    await within(PATIENCE_MS, what, found());
  }

  /** The input ends: so does the chat, when the relay has everything. */
  end(): Promise<Exit> {
    this.#child.stdin?.end();
    return within(PATIENCE_MS, `the end of ${this.user}'s chat`, this.exited);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
  }
}
