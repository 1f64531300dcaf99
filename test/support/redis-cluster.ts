// A real Redis Cluster for a test: three masters with a replica each, over one folder, made by `redis-cli --cluster create`.
// Always true: killed and started again the nodes find each other by what they wrote down.
import { join } from "node:path";
import { Server } from "../../queue/redis/server.ts";
import { aFolder, type Folder } from "./folder.ts";
import { RedisServer, runCli } from "./redis-server.ts";
import { eventually } from "./waiting.ts";

const NODES = 6;
const PATIENCE_MS = 60_000;
const PARTS = { commandMs: PATIENCE_MS, replicas: 0, report: () => undefined };
/** Few, so that a slot is on its way for a while. */
const KEYS_AT_ONCE = 2;
/** Before a master that does not answer is given up by the others, ms. */
const NODE_TIMEOUT_MS = 2_000;

export interface RedisClusterOptions {
  readonly program?: string;
  readonly nodeTimeoutMs?: number;
}

export interface MovingSlot {
  /** Keys that have not gone, so many at most. */
  left(most: number): Promise<Buffer[]>;
  move(keys: readonly Buffer[]): Promise<void>;
  end(): Promise<void>;
}

export class RedisCluster implements AsyncDisposable {
  readonly nodes: readonly RedisServer[];
  readonly #folder: Folder;

  private constructor(nodes: readonly RedisServer[], folder: Folder) {
    this.nodes = nodes;
    this.#folder = folder;
  }

  static async start(options: RedisClusterOptions = {}): Promise<RedisCluster> {
    const { program = "redis-server", nodeTimeoutMs = NODE_TIMEOUT_MS } = options;
    const folder = await aFolder();
    const nodes: RedisServer[] = [];
    const cluster = new RedisCluster(nodes, folder);
    try {
      for (let i = 0; i < NODES; i++) {
        const own = { folder: join(folder.path, `n${i}`), configuration: configuration(nodeTimeoutMs) };
        nodes.push(await RedisServer.start({ program, ...own }));
      }
      const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
      await runCli(program, [
        "--cluster",
        "create",
        ...addresses,
        "--cluster-replicas",
        "1",
        "--cluster-yes",
      ]);
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

  /** Every node that runs says that all slots are served, and every master has its replica at its side. */
  async whole(): Promise<void> {
    for (const node of this.nodes.filter(({ pid }) => pid !== 0)) {
      await eventually(PATIENCE_MS, "the cluster", async () => {
        const info = await node.cli("cluster", "info").catch(() => "");
        const replication = await node.cli("info", "replication").catch(() => "");
        const isJoined = /role:slave/.test(replication)
          ? /master_link_status:up/.test(replication)
          : /state=online/.test(replication);
        return /cluster_state:ok/.test(info) && isJoined ? true : undefined;
      });
    }
  }

  /** `ok` where every slot is served, as a node that runs sees it. */
  async state(): Promise<string> {
    const info = await this.#running().cli("cluster", "info");
    return /cluster_state:(\w+)/.exec(info)?.[1] ?? "";
  }

  /** All nodes at once, as a power cut would. */
  async crash(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    await Promise.all(this.nodes.map((node) => node.restart()));
    await this.whole();
  }

  /** Empties it, as if it were new. */
  async flush(): Promise<void> {
    for (const master of await this.masters()) await master.cli("flushall");
  }

  async masters(): Promise<RedisServer[]> {
    const roles = await Promise.all(this.nodes.map((node) => node.cli("role")));
    return this.nodes.filter((_, i) => roles[i]?.startsWith("master") === true);
  }

  /** Moves the slot of a key, and all that is in it, to the next master, key by key as an operator's tool does. */
  async moveSlot(key: string): Promise<void> {
    const moving = await this.beginMoving(key);
    for (;;) {
      const keys = await moving.left(KEYS_AT_ONCE);
      if (keys.length === 0) break;
      await moving.move(keys);
    }
    await moving.end();
  }

  /** The slot of a key is on its way to the next master, and its keys go when they are told to. */
  async beginMoving(key: string): Promise<MovingSlot> {
    const slot = await this.#running().cli("cluster", "keyslot", key);
    const masters = await this.masters();
    const from = await this.#masterOf(Number(slot));
    const to = masters.find((node) => node !== from) ?? from;
    const [fromId, toId] = [await from.cli("cluster", "myid"), await to.cli("cluster", "myid")];
    await to.cli("cluster", "setslot", slot, "importing", fromId);
    await from.cli("cluster", "setslot", slot, "migrating", toId);
    const source = new Server({ host: "127.0.0.1", port: from.port }, PARTS);
    return {
      left: async (most) => (await source.call("CLUSTER", ["GETKEYSINSLOT", slot, most])) as Buffer[],
      async move(keys) {
        await source.call("MIGRATE", ["127.0.0.1", to.port, "", 0, PATIENCE_MS, "KEYS", ...keys]);
      },
      async end() {
        source.disconnect();
        for (const node of [to, from]) await node.cli("cluster", "setslot", slot, "node", toId);
      },
    };
  }

  #running(): RedisServer {
    const node = this.nodes.find(({ pid }) => pid !== 0);
    if (node === undefined) throw new Error("no node runs");
    return node;
  }

  /** The node that has a slot now. */
  async #masterOf(slot: number): Promise<RedisServer> {
    const lines = (await this.#running().cli("cluster", "nodes")).split("\n");
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
