// What of the servers' configuration contradicts what is promised of a store in Redis. Always true: it only reads; a server
// that does not let itself be read is a doubt, too.
import type { Time } from "@lethe/protocol";
import type { Doubt } from "../backend.ts";
import type { Connection } from "./connection.ts";
import type { Server } from "./server.ts";

/** What is known of one master. */
export interface ServerFacts {
  readonly settings: ReadonlyMap<string, string>;
  readonly replicas: number;
}

const ASKED = [
  "maxmemory",
  "maxmemory-policy",
  "appendonly",
  "appendfsync",
  "save",
  "repl-diskless-sync",
  "repl-diskless-load",
  "auto-aof-rewrite-percentage",
  "stream-node-max-bytes",
  "stream-node-max-entries",
] as const;
/** Larger nodes keep the bytes of removed entries while a neighbour lives. */
const NODE_BYTES = 128;

/** Each doubt once, however many masters it is true of. */
export async function doubtsOf(connection: Connection): Promise<readonly Doubt[]> {
  const found = new Map<Doubt["code"], Doubt>();
  for (const server of connection.masters()) {
    const doubts = await factsOf(server).then(
      (facts) => judge(facts, connection.replicas),
      () => [UNREADABLE],
    );
    for (const doubt of doubts) found.set(doubt.code, doubt);
  }
  return [...found.values()];
}

/** By the first master; where there are several, each store verb goes by its own. */
export async function clockOf(connection: Connection): Promise<Time> {
  const [server] = connection.masters();
  const [seconds, micros] = ((await server?.call("TIME", [])) ?? []) as readonly unknown[];
  return (Number(String(seconds)) * 1_000 + Math.floor(Number(String(micros)) / 1_000)) as Time;
}

const UNREADABLE: Doubt = {
  code: "not-readable",
  is: "weak",
  says: "the store does not let its configuration be read (CONFIG GET)",
  mend: "see yourself that it is as docs/operations.md says",
};

async function factsOf(server: Server): Promise<ServerFacts> {
  const settings = new Map<string, string>();
  for (const name of ASKED) {
    const pair = (await server.call("CONFIG", ["GET", name])) as readonly unknown[];
    if (pair.length === 2) settings.set(name, String(pair[1]));
  }
  const info = String(await server.call("INFO", ["replication"]));
  return { settings, replicas: Number(/^connected_slaves:(\d+)/m.exec(info)?.[1] ?? 0) };
}

/** @param wished replicas that a write waits for. */
export function judge({ settings, replicas }: ServerFacts, wished: number): Doubt[] {
  const is = (name: (typeof ASKED)[number]): string => settings.get(name) ?? "";
  const doubts: Doubt[] = [];
  const add = (code: Doubt["code"], how: Doubt["is"], says: string, mend: string): void => {
    doubts.push({ code, is: how, says, mend });
  };
  if (is("maxmemory-policy") !== "noeviction" && is("maxmemory") !== "0")
    add(
      "evicts",
      "broken",
      `maxmemory-policy ${is("maxmemory-policy")}: mail that was accepted is pushed out`,
      "CONFIG SET maxmemory-policy noeviction",
    );
  if (is("appendonly") !== "yes")
    add(
      "no-append-only-file",
      "broken",
      "appendonly no: a restart of the store loses mail that was accepted",
      "CONFIG SET appendonly yes",
    );
  else if (is("appendfsync") !== "always")
    add(
      "not-synced",
      "weak",
      `appendfsync ${is("appendfsync")}: mail that was accepted may be lost in a power cut`,
      "CONFIG SET appendfsync always",
    );
  if (replicas < wished)
    add(
      "replicas-missing",
      "weak",
      `${replicas} replicas are attached, writes wait for ${wished}: nothing is accepted`,
      "start the replicas, or give a lower --store-replicas",
    );
  if (is("save") !== "")
    add(
      "snapshots",
      "weak",
      `save ${is("save")}: snapshots keep delivered mail longer than promised`,
      'CONFIG SET save ""',
    );
  else if (replicas > 0 && (is("repl-diskless-sync") !== "yes" || is("repl-diskless-load") !== "swapdb"))
    add(
      "snapshots",
      "weak",
      "a replica that is filled anew leaves a snapshot, which keeps delivered mail longer than promised",
      "CONFIG SET repl-diskless-sync yes and repl-diskless-load swapdb",
    );
  if (is("auto-aof-rewrite-percentage") !== "0")
    add(
      "rewrites-by-itself",
      "weak",
      "the store rewrites its files at moments of its own",
      "CONFIG SET auto-aof-rewrite-percentage 0",
    );
  if (Number(is("stream-node-max-bytes")) > NODE_BYTES || is("stream-node-max-entries") !== "1")
    add(
      "large-nodes",
      "weak",
      "stream nodes hold several entries: delivered mail stays in files, and a small mailbox takes 4 KiB",
      `CONFIG SET stream-node-max-bytes ${NODE_BYTES} and stream-node-max-entries 1`,
    );
  return doubts;
}
