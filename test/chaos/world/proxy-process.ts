// The fault proxy in a process of its own, so that what it does for others costs the conductor nothing.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { within } from "../../support/waiting.ts";
import { RemoteProxy } from "../proxy/control.ts";
import type { LinkHandle, LinkPorts, ProxyHandle } from "../proxy/shape.ts";

const MAIN = fileURLToPath(new URL("../proxy/main.ts", import.meta.url));
const PATIENCE_MS = 30_000;

export class ProxyProcess implements ProxyHandle {
  readonly #child: ChildProcess;
  readonly #remote: RemoteProxy;

  private constructor(child: ChildProcess, remote: RemoteProxy) {
    this.#child = child;
    this.#remote = remote;
  }

  static async start(seed: number): Promise<ProxyProcess> {
    const child = spawn(process.execPath, [MAIN, String(seed)], { stdio: ["pipe", "pipe", "inherit"] });
    const [line] = (await within(PATIENCE_MS, "the proxy's port", once(child.stdout, "data"))) as [Buffer];
    return new ProxyProcess(
      child,
      await RemoteProxy.connect(Number(/control (\d+)/.exec(line.toString())?.[1])),
    );
  }

  open(name: string, ports: LinkPorts): Promise<LinkHandle> {
    return this.#remote.open(name, ports);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remote[Symbol.asyncDispose]();
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }
}
