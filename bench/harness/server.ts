// A server under measurement, as a process of its own: started, watched, profiled if asked, ended.
// Always true: what it says on its error stream is shown; whoever starts it stops it and removes its folder.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { OPERATOR_PATHS } from "@lethe/protocol";
import type { Context } from "./case.ts";
import { cpuSeconds, residentBytes } from "./cpu.ts";

/** The relay's name that logins are bound to. */
export const RELAY_NAME = "bench.lethe.local";
/** How long a server may take until it listens, ms. */
const START_MS = 120_000;

/** What `lethe relay` starts its process with. */
const NODE_FLAGS = ["--max-semi-space-size=64"];

export interface Server extends AsyncDisposable {
  readonly url: URL;
  readonly pid: number;
  /** Milliseconds from its spawn to its line `listening`. */
  readonly startedIn: number;
  /** Seconds of CPU of all its threads so far. */
  cpu(): number;
  /** Bytes of memory that it occupies. */
  memory(): number;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
}

/** Starts `script` and waits for its line `listening URL`. */
export async function startServer(
  script: string,
  args: readonly string[],
  context: Context,
  node: readonly string[] = [],
): Promise<Server> {
  const profile =
    context.profile === undefined
      ? []
      : ["--cpu-prof", `--cpu-prof-dir=${context.profile}`, "--cpu-prof-interval=500"];
  const began = performance.now();
  const child = spawn(
    process.execPath,
    [...NODE_FLAGS, ...node, ...profile, fileURLToPath(new URL(script, import.meta.url)), ...args],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${script} could not be started`);
  const url = await listening(child, script);
  const startedIn = performance.now() - began;
  return {
    url,
    pid,
    startedIn,
    cpu: () => cpuSeconds(pid),
    memory: () => residentBytes(pid),
    kill: () => end(child, "SIGKILL"),
    [Symbol.asyncDispose]: () => end(child, "SIGTERM"),
  };
}

function listening(child: ChildProcess, script: string): Promise<URL> {
  return new Promise((resolve, reject) => {
    let said = "";
    const late = setTimeout(() => reject(new Error(`${script} does not listen`)), START_MS);
    child.once("exit", (status) => reject(new Error(`${script} ended with ${status} before it listened`)));
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-4_096);
      const found = /^listening (\S+)$/m.exec(said)?.[1];
      if (found === undefined) return;
      clearTimeout(late);
      resolve(new URL(found));
    });
  });
}

async function end(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}

/** A relay on a folder, with logging off. */
export function startRelay(folder: string, context: Context, flags: readonly string[] = []): Promise<Server> {
  const args = ["--port", "0", "--data", folder, "--name", RELAY_NAME, "--log", "warn", ...flags];
  return startServer("../../relay/main.ts", args, context);
}

/** A folder that is removed with everything in it. */
export async function aFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "lethe-bench-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** One of the relay's own counters or gauges. */
export async function metric(relay: Server, name: string): Promise<number> {
  const text = await (await fetch(new URL(OPERATOR_PATHS.metrics, relay.url))).text();
  const found = new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1];
  if (found === undefined) throw new Error(`the relay has no metric ${name}`);
  return Number(found);
}

/** How long a metric may take to get where it is expected, ms. */
const BECOMES_MS = 30_000;

/** Asks until the metric has this value. @throws Error if it does not come to it */
export async function metricBecomes(relay: Server, name: string, value: number): Promise<void> {
  const deadline = performance.now() + BECOMES_MS;
  for (;;) {
    const now = await metric(relay, name);
    if (now === value) return;
    if (performance.now() > deadline) throw new Error(`${name} stays at ${now}, not ${value}`);
    await sleep(20);
  }
}
