// A Redis server under measurement: Debian's, with the shipped configuration, on a free port over a folder.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { Unmeasurable } from "../harness/case.ts";
import { cpuSeconds, residentBytes } from "../harness/cpu.ts";
import type { Server } from "../harness/server.ts";

const BINARY = "redis-server";
const CONFIGURATION = {
  appendonly: "yes",
  appendfsync: "always",
  "stream-node-max-bytes": "128",
  "stream-node-max-entries": "1",
  "maxmemory-policy": "noeviction",
  "auto-aof-rewrite-percentage": "0",
  save: "",
};

/** @throws Unmeasurable where it is not installed */
export function redisVersion(): string {
  const { stdout, error } = spawnSync(BINARY, ["--version"], { encoding: "utf8" });
  if (error !== undefined) throw new Unmeasurable("Redis is not installed: apt-get install redis-server");
  return /v=(\S+)/.exec(stdout)?.[1] ?? "unknown";
}

export async function startRedis(folder: string): Promise<Server> {
  const port = await freePort();
  const settings = Object.entries(CONFIGURATION).flatMap(([name, value]) => [`--${name}`, value]);
  const where = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder];
  const began = performance.now();
  const child = spawn(BINARY, [...where, ...settings], { stdio: ["ignore", "pipe", "inherit"] });
  const pid = child.pid;
  if (pid === undefined) throw new Error("redis could not be started");
  const exited = once(child, "exit");
  let said = "";
  child.stdout.setEncoding("utf8");
  for await (const text of child.stdout.iterator({ destroyOnReturn: false })) {
    said += String(text);
    if (said.includes("Ready to accept connections")) break;
  }
  child.stdout.resume();
  const end = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await exited;
  };
  return {
    url: new URL(`redis://127.0.0.1:${port}`),
    pid,
    startedIn: performance.now() - began,
    cpu: () => cpuSeconds(pid),
    memory: () => residentBytes(pid),
    kill: end,
    [Symbol.asyncDispose]: end,
  };
}

/** What a relay's setting `--store` is for it. */
export function storeUrl({ url }: Server): string {
  return url.href.replace(/\/$/, "");
}

/** Bytes that Redis itself counts as in use. */
export function usedBytes({ url }: Server): number {
  const { stdout } = spawnSync("redis-cli", ["-p", url.port, "info", "memory"], { encoding: "utf8" });
  return Number(/^used_memory:(\d+)/m.exec(stdout)?.[1]);
}

/** Commands that Redis has run, those inside scripts included. */
export function commandsRun({ url }: Server): number {
  const { stdout } = spawnSync("redis-cli", ["-p", url.port, "info", "stats"], { encoding: "utf8" });
  return Number(/^total_commands_processed:(\d+)/m.exec(stdout)?.[1]);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
