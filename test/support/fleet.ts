// Relay processes that share one Redis, each in a place of its own that it keeps. Always true: what was started is ended with
// the fleet, by its process id.
import { join } from "node:path";
import { type Backend, DEFAULT_MAILBOX_LIMITS, openBackend } from "@lethe/queue";
import { Redis } from "ioredis";
import type { Chance } from "./chance.ts";
import { aFolder, type Folder } from "./folder.ts";
import { aQuietPort } from "./ports.ts";
import { RedisServer } from "./redis-server.ts";
import { RelayProcess } from "./relay-process.ts";
import { eventually } from "./waiting.ts";

export const CLUSTER_SECRET = "what all nodes of this fleet know";
const PATIENCE_MS = 30_000;

export interface FleetOptions {
  readonly nodes: number;
  readonly chance: Chance;
  readonly flags?: readonly string[];
  /** A store that is there already, as a relay's setting names it; without it a Redis of the fleet's own. */
  readonly store?: string;
}

export class Fleet implements AsyncDisposable {
  readonly folder: string;
  readonly store: string;
  readonly #redis: RedisServer | undefined;
  readonly #own: Folder;
  readonly #ports: readonly number[];
  readonly #flags: readonly string[];
  readonly #nodes: (RelayProcess | undefined)[];
  #backend: Backend | undefined;

  private constructor(
    store: RedisServer | string,
    own: Folder,
    ports: readonly number[],
    flags: readonly string[],
  ) {
    this.#redis = typeof store === "string" ? undefined : store;
    this.store = typeof store === "string" ? store : store.url;
    this.#own = own;
    this.folder = own.path;
    this.#ports = ports;
    this.#flags = flags;
    this.#nodes = ports.map(() => undefined);
  }

  /** All nodes run, and each has a link to each other. */
  static async start({ nodes, chance, flags = [], store }: FleetOptions): Promise<Fleet> {
    const ports: number[] = [];
    while (ports.length < nodes) ports.push(await aQuietPort(chance));
    const fleet = new Fleet(store ?? (await RedisServer.start()), await aFolder(), ports, flags);
    await Promise.all(ports.map((_, i) => fleet.startNode(i)));
    await fleet.linked();
    return fleet;
  }

  get redis(): RedisServer {
    if (this.#redis === undefined) throw new Error("the fleet has no Redis of its own");
    return this.#redis;
  }

  get urls(): readonly string[] {
    return this.#ports.map((port) => `http://127.0.0.1:${port}`);
  }

  /** Those that run. */
  get nodes(): readonly RelayProcess[] {
    return this.#nodes.flatMap((node) => (node === undefined ? [] : [node]));
  }

  node(i: number): RelayProcess {
    const node = this.#nodes[i];
    if (node === undefined) throw new Error(`node ${i} does not run`);
    return node;
  }

  async startNode(i: number): Promise<void> {
    const store = ["--store", this.store, "--cluster-secret", CLUSTER_SECRET, "--link-port", "0"];
    const [data, port] = [join(this.folder, `node-${i}`), this.#ports[i] ?? 0];
    this.#nodes[i] = await RelayProcess.start({ data, port, log: "warn", flags: [...store, ...this.#flags] });
  }

  async killNode(i: number): Promise<void> {
    await this.#nodes[i]?.kill();
    this.#nodes[i] = undefined;
  }

  async stopNode(i: number): Promise<void> {
    await this.#nodes[i]?.stop();
    this.#nodes[i] = undefined;
  }

  /** Until each node that runs has a link to each other that runs. */
  async linked(): Promise<void> {
    await eventually(PATIENCE_MS, "links between all nodes", async () => {
      const links = await Promise.all(this.nodes.map((node) => node.metric("lethe_links")));
      return links.every((count) => count === this.nodes.length - 1) ? true : undefined;
    });
  }

  /** A count over all nodes that run. */
  async total(name: string): Promise<number> {
    const counts = await Promise.all(this.nodes.map((node) => node.metric(name)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** The ids of the nodes whose leases live. */
  async nodeIds(): Promise<string[]> {
    const url = this.store;
    const limits = DEFAULT_MAILBOX_LIMITS;
    this.#backend ??= await openBackend({ kind: "redis", url, replicas: 0, limits, report: () => undefined });
    return [...(await this.#backend.leases.addresses()).keys()];
  }

  /** How often Redis has run any of these commands. */
  async calls(...names: readonly string[]): Promise<number> {
    const redis = new Redis(this.redis.url);
    const text = await redis.info("commandstats");
    redis.disconnect();
    let calls = 0;
    for (const [, name = "", count] of text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm))
      if (names.includes(name)) calls += Number(count);
    return calls;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((_, i) => this.killNode(i)));
    await this.#backend?.close();
    await this.#redis?.[Symbol.asyncDispose]();
    await this.#own[Symbol.asyncDispose]();
  }
}
