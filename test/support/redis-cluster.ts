// A real Redis Cluster for a test: three masters with a replica each, over one folder, made by `redis-cli --cluster create`.
// Always true: killed and started again the nodes find each other by what they wrote down.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { aFolder, type Folder } from "./folder.ts";
import { RedisServer } from "./redis-server.ts";
import { eventually } from "./waiting.ts";

const NODES = 6;
const PATIENCE_MS = 60_000;
/** Before a master that does not answer is given up by the others, ms. */
const NODE_TIMEOUT_MS = 2_000;

export interface RedisClusterOptions {
  readonly program?: string;
  readonly nodeTimeoutMs?: number;
}

export class RedisCluster implements AsyncDisposable {
  readonly nodes: readonly RedisServer[];
  readonly #folder: Folder;
  readonly #cli: string;

  private constructor(nodes: readonly RedisServer[], folder: Folder, cli: string) {
    this.nodes = nodes;
    this.#folder = folder;
    this.#cli = cli;
  }

  static async start(options: RedisClusterOptions = {}): Promise<RedisCluster> {
    const { program = "redis-server", nodeTimeoutMs = NODE_TIMEOUT_MS } = options;
    const folder = await aFolder();
    const nodes: RedisServer[] = [];
    const cluster = new RedisCluster(nodes, folder, program.replace(/-server$/, "-cli"));
    try {
      for (let i = 0; i < NODES; i++) {
        const own = { folder: join(folder.path, `n${i}`), configuration: configuration(nodeTimeoutMs) };
        nodes.push(await RedisServer.start({ program, ...own }));
      }
      const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
      await cluster.cli("--cluster", "create", ...addresses, "--cluster-replicas", "1", "--cluster-yes");
      await cluster.whole();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  get url(): string {
    return `redis-cluster://${this.nodes
      .slice(0, 3)
      .map(({ port }) => `127.0.0.1:${port}`)
      .join(",")}`;
  }

  get folder(): string {
    return this.#folder.path;
  }

  /** What `redis-cli` says; of a node with `-p port` among the arguments. */
  async cli(...args: readonly string[]): Promise<string> {
    const child = spawn(this.#cli, args, { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
    const [status] = (await once(child, "close")) as [number | null];
    if (status !== 0) throw new Error(`${this.#cli} ${args.join(" ")}: ${said}`);
    return said;
  }

  /** Every node that runs says that all slots are served, and every master has its replica at its side. */
  async whole(): Promise<void> {
    for (const { port } of this.nodes.filter(({ pid }) => pid !== 0)) {
      await eventually(PATIENCE_MS, "the cluster", async () => {
        const info = await this.cli("-p", String(port), "cluster", "info").catch(() => "");
        const replication = await this.cli("-p", String(port), "info", "replication").catch(() => "");
        const isJoined = /role:slave/.test(replication)
          ? /master_link_status:up/.test(replication)
          : /state=online/.test(replication);
        return /cluster_state:ok/.test(info) && isJoined ? true : undefined;
      });
    }
  }

  /** All nodes at once, as a power cut would. */
  async crash(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    await Promise.all(this.nodes.map((node) => node.restart()));
    await this.whole();
  }

  /** Empties it, as if it were new. */
  async flush(): Promise<void> {
    for (const { port } of this.nodes) {
      const role = await this.cli("-p", String(port), "role");
      if (role.startsWith("master")) await this.cli("-p", String(port), "flushall");
    }
  }

  /** The node that has a slot now. */
  async masterOf(slot: number): Promise<RedisServer> {
    const { port } = this.nodes.find(({ pid }) => pid !== 0) ?? { port: 0 };
    const lines = (await this.cli("-p", String(port), "cluster", "nodes")).split("\n");
    for (const line of lines) {
      const [, address = "", , , , , , , ...ranges] = line.split(" ");
      const has = ranges.some((range) => {
        const [first, last = first] = range.split("-").map(Number);
        return first !== undefined && last !== undefined && slot >= first && slot <= last;
      });
      const node = this.nodes.find((one) => address.startsWith(`127.0.0.1:${one.port}@`));
      if (has && node !== undefined) return node;
    }
    throw new Error(`nobody has slot ${slot}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.#folder[Symbol.asyncDispose]();
  }
}

function configuration(nodeTimeoutMs: number): Record<string, string> {
  return {
    "cluster-enabled": "yes",
    "cluster-node-timeout": String(nodeTimeoutMs),
    "cluster-replica-validity-factor": "0",
    "repl-diskless-sync-delay": "0",
  };
}
