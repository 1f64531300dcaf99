// A relay as a process of its own, on a free port and a folder of its own, with everything ended and removed at the end.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../../relay/main.ts", import.meta.url));

export class RelayProcess implements AsyncDisposable {
  readonly folder: string;
  url = "";
  #child: ChildProcess | undefined;

  readonly #flags: readonly string[];

  private constructor(folder: string, flags: readonly string[]) {
    this.folder = folder;
    this.#flags = flags;
  }

  static async start(flags: readonly string[] = []): Promise<RelayProcess> {
    const relay = new RelayProcess(await mkdtemp(join(tmpdir(), "lethe-relay-")), flags);
    await relay.start("0");
    return relay;
  }

  async start(port: string = new URL(this.url).port): Promise<void> {
    const data = join(this.folder, "data");
    const args = [MAIN, "--port", port, "--data", data, "--log", "silent", ...this.#flags];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#child = child;
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    this.url = /listening (\S+)/.exec(line.toString())?.[1] ?? "";
    if (this.url === "") throw new Error(`the relay said: ${line.toString()}`);
  }

  /** Ends it as an operator does, or as a power cut does. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true });
  }
}
