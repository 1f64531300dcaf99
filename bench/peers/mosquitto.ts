// Eclipse Mosquitto as a server under measurement: Debian's, as it is, with TCP_NODELAY and a free port.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Unmeasurable } from "../harness/case.ts";
import { cpuSeconds, residentBytes } from "../harness/cpu.ts";
import type { Server } from "../harness/server.ts";

const BINARY = "/usr/sbin/mosquitto";
const START_MS = 10_000;

/** @throws Unmeasurable where it is not installed */
export function mosquittoVersion(): string {
  const { stdout, error } = spawnSync(BINARY, ["-h"], { encoding: "utf8" });
  if (error !== undefined) throw new Unmeasurable("Mosquitto is not installed: apt-get install mosquitto");
  return /version (\S+)/.exec(stdout)?.[1] ?? "unknown";
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export async function startMosquitto(folder: string): Promise<Server> {
  const port = await freePort();
  const config = join(folder, "mosquitto.conf");
  const lines = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    "set_tcp_nodelay true",
    "persistence true",
    `persistence_location ${folder}/`,
    "user root",
    "log_type error",
  ];
  await writeFile(config, `${lines.join("\n")}\n`);
  const began = performance.now();
  const child = spawn(BINARY, ["-c", config], { stdio: ["ignore", "ignore", "inherit"] });
  const pid = child.pid;
  if (pid === undefined) throw new Error("mosquitto could not be started");
  while (!(await answers(port))) {
    if (performance.now() - began > START_MS) throw new Error("mosquitto does not listen");
    await sleep(10);
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  };
  return {
    url: new URL(`mqtt://127.0.0.1:${port}`),
    pid,
    startedIn: performance.now() - began,
    cpu: () => cpuSeconds(pid),
    memory: () => residentBytes(pid),
    kill: () => end("SIGKILL"),
    [Symbol.asyncDispose]: () => end("SIGKILL"),
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => (socket.destroy(), resolve(true)));
    socket.once("error", () => resolve(false));
  });
}
