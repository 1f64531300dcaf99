// Rewriting the append-only files: what was removed from memory leaves the files only by this. Every master, then its
// replicas, one after another, each only where something was removed since its last rewrite. Always true: what was
// removed before `run` began is in no file once it has resolved.
import type { RedisParts } from "./parts.ts";
import type { Server } from "./server.ts";
import type { Address } from "./url.ts";

/** How often a server is asked whether it is done, and how long one may take. */
const ASK_EVERY_MS = 50;
const LONGEST_MS = 600_000;

export class Rewrite {
  readonly #parts: RedisParts;

  constructor(parts: RedisParts) {
    this.#parts = parts;
  }

  /** Returns how many servers rewrote their file. @throws StoreFailedError */
  async run(): Promise<number> {
    const { connection, keys } = this.#parts;
    const dirty = await this.#each("begin-rewrite", keys.allCounters());
    if (dirty.length === 0) return 0;
    let rewritten = 0;
    for (const master of connection.masters()) rewritten += await this.#master(master);
    await this.#each("end-rewrite", dirty);
    return rewritten;
  }

  /** Runs a script for each counter; returns those for which it said 1. */
  async #each(script: string, counters: readonly Buffer[]): Promise<Buffer[]> {
    const { connection, scripts } = this.#parts;
    const byPlace = Map.groupBy(counters, (key) => connection.placeOf(key));
    const marked: Buffer[] = [];
    for (const keys of byPlace.values()) {
      const reply = (await scripts.run(script, keys, [])) as number[];
      marked.push(...keys.filter((_, i) => reply[i] === 1));
    }
    return marked;
  }

  async #master(master: Server): Promise<number> {
    const replicas = replicasIn(await infoOf(master, "replication"));
    await rewrite(master);
    for (const address of replicas) {
      const replica = this.#parts.connection.to(address);
      try {
        await caughtUp(master, replica);
        await rewrite(replica);
      } finally {
        replica.disconnect();
      }
    }
    return 1 + replicas.length;
  }
}

/** Until everything that the master has taken so far is on the replica: else its file could keep what it had not heard of. */
async function caughtUp(master: Server, replica: Server): Promise<void> {
  const offset = Number((await infoOf(master, "replication")).get("master_repl_offset"));
  await until(async () => {
    const info = await infoOf(replica, "replication");
    return Number(info.get("slave_repl_offset") ?? info.get("master_repl_offset")) >= offset;
  });
}

async function rewrite(server: Server): Promise<void> {
  // One that is under way began before the removal: it is waited for, and is not enough.
  await until(async () => !isRewriting(await infoOf(server, "persistence")));
  const before = Number((await infoOf(server, "persistence")).get("aof_rewrites"));
  await server.call("BGREWRITEAOF", []);
  await until(async () => {
    const info = await infoOf(server, "persistence");
    return !isRewriting(info) && Number(info.get("aof_rewrites")) > before;
  });
  const status = (await infoOf(server, "persistence")).get("aof_last_bgrewrite_status");
  if (status !== "ok") throw new Error("the append-only file could not be rewritten");
}

function isRewriting(info: ReadonlyMap<string, string>): boolean {
  return info.get("aof_rewrite_in_progress") === "1" || info.get("aof_rewrite_scheduled") === "1";
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + LONGEST_MS;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error("the append-only file was not rewritten in time");
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

async function infoOf(server: Server, section: string): Promise<ReadonlyMap<string, string>> {
  const text = String(await server.call("INFO", [section]));
  const lines = text.split("\r\n").filter((line) => line.includes(":"));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]));
}

/** `slave0:ip=…,port=…,state=online,…` of each replica that is there. */
function replicasIn(info: ReadonlyMap<string, string>): Address[] {
  return [...info]
    .filter(([name]) => /^slave\d+$/.test(name))
    .map(([, says]) => new Map(says.split(",").map((part) => part.split("=") as [string, string])))
    .map((fields) => ({ host: fields.get("ip") ?? "", port: Number(fields.get("port")) }));
}
