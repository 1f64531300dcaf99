// Rewriting the append-only files: what was removed from memory leaves the files only by this. Every master, then its
// replicas, one after another, only where something was removed since the last time or a replica has come. Always true:
// what was removed before `run` began is in no file of a server that was there in the last day, once it has resolved.
import { StoreFailedError } from "../mailbox.ts";
import type { RedisParts } from "./parts.ts";
import type { Server } from "./server.ts";
import { type Address, nameOf } from "./url.ts";

/** How often a server is asked whether it is done, and how long one may take. */
const ASK_EVERY_MS = 50;
const LONGEST_MS = 600_000;
/** A replica that was away for longer, ms, is no part of the store any more. */
const REMEMBERED_MS = 86_400_000;

export class Rewrite {
  readonly #parts: RedisParts;

  constructor(parts: RedisParts) {
    this.#parts = parts;
  }

  /** Returns how many servers rewrote their file. @throws StoreFailedError, also where a replica is away that was there before */
  async run(): Promise<number> {
    const { connection, keys } = this.#parts;
    const dirty = await this.#each("begin-rewrite", keys.allCounters());
    const masters = connection.masters();
    const present = new Map<Server, readonly Address[]>();
    for (const master of masters) present.set(master, replicasIn(await infoOf(master, "replication")));
    const known = await this.#remembered();
    const here = new Set([...present.values()].flat().map(nameOf));
    // One that comes back may have a file from before.
    const isNew = [...here].some((name) => !known.has(name));
    if (dirty.length === 0 && !isNew) return 0;
    let rewritten = 0;
    for (const [master, replicas] of present) rewritten += await this.#master(master, replicas);
    await this.#remember(here);
    const leads = new Set(masters.map(nameOf));
    const away = [...known].filter((name) => !here.has(name) && !leads.has(name));
    if (away.length > 0)
      throw new StoreFailedError("storage-failed", `${away.length} replicas are away with their files`);
    await this.#each("end-rewrite", dirty);
    return rewritten;
  }

  /** The replicas that were there within the last day. */
  async #remembered(): Promise<ReadonlySet<string>> {
    const { connection, keys } = this.#parts;
    const flat = (await connection.call(keys.replicas, "HGETALL", [keys.replicas])) as Buffer[];
    const known = new Set<string>();
    for (let i = 0; i + 1 < flat.length; i += 2) {
      const [name, seen] = [String(flat[i]), Number(flat[i + 1])];
      if (Date.now() - seen < REMEMBERED_MS) known.add(name);
      else await connection.call(keys.replicas, "HDEL", [keys.replicas, name]);
    }
    return known;
  }

  async #remember(names: ReadonlySet<string>): Promise<void> {
    const { connection, keys } = this.#parts;
    const pairs = [...names].flatMap((name) => [name, Date.now()]);
    if (pairs.length > 0) await connection.call(keys.replicas, "HSET", [keys.replicas, ...pairs]);
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

  async #master(master: Server, replicas: readonly Address[]): Promise<number> {
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

/** `slave0:ip=…,port=…,state=online,…` of each replica that is there, but for those that are not online. */
function replicasIn(info: ReadonlyMap<string, string>): Address[] {
  return [...info]
    .filter(([name]) => /^slave\d+$/.test(name))
    .map(([, says]) => new Map(says.split(",").map((part) => part.split("=") as [string, string])))
    .filter((fields) => fields.get("state") === "online")
    .map((fields) => ({ host: fields.get("ip") ?? "", port: Number(fields.get("port")) }));
}
