// The masters of a Redis Cluster, and which of them has which slot. Always true: a call is tried where its key is said
// to be, follows MOVED and ASK, waits out TRYAGAIN, CLUSTERDOWN and a failover, and settles within its time-out.
import type { RedisOptions } from "ioredis";
import { blockingServer, type Servers } from "./connection.ts";
import { type Caller, GONE, LOST, Server, type ServerParts } from "./server.ts";
import { slotOf } from "./slots.ts";
import { type Address, nameOf } from "./url.ts";

const PAUSE_MS = 50;
/** While a master does not answer, the others are asked this often who has its slots now. */
const ASK_AGAIN_MS = 250;
/** Servers that are known: masters, seeds, and what redirections name. */
const MAX_SERVERS = 2_048;
/** Of a script that meets a payload which is on its way with its slot, as Redis and Valkey say it: it changed nothing for it. */
const ELSEWHERE = "attempted to access a non local key|undeclared keys were accessed during rehashing";
const RETRIED = new RegExp(`^(?:TRYAGAIN|CLUSTERDOWN|LOADING|MASTERDOWN)\\b|${GONE}|${LOST}|${ELSEWHERE}`);

export class ClusterServers implements Servers {
  readonly #seeds: readonly Address[];
  readonly #options: RedisOptions;
  readonly #parts: ServerParts;
  readonly #servers = new Map<string, Server>();
  #masters: readonly Address[] = [];
  #slots: readonly (Address | undefined)[] = [];
  #refreshing: Promise<void> | undefined;
  #again: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(seeds: readonly Address[], options: RedisOptions, parts: ServerParts) {
    this.#seeds = seeds;
    this.#options = options;
    this.#parts = parts;
  }

  async open(): Promise<void> {
    for (const seed of this.#seeds) this.#serverAt(seed);
    while (!this.#closed && !this.#isWhole()) {
      await this.#refresh();
      if (!this.#isWhole()) await later(PAUSE_MS);
    }
    await Promise.all(this.masters().map((server) => server.ready()));
  }

  async onMaster<T>(key: Buffer, call: (caller: Caller) => Promise<T>): Promise<T> {
    const slot = slotOf(key);
    const until = performance.now() + this.#parts.commandMs;
    let caller: Caller | undefined;
    for (;;) {
      try {
        const at = this.#slots[slot] ?? this.#seeds[slot % this.#seeds.length];
        if (caller === undefined && at !== undefined) caller = this.#serverAt(at);
        if (caller === undefined) throw new Error("CLUSTERDOWN no node is known");
        return await call(caller);
      } catch (error) {
        const message = error instanceof Error ? error.message : "";
        const next = this.#redirected(message);
        if ((next === undefined && !RETRIED.test(message)) || this.#closed || performance.now() > until)
          throw error;
        if (next === undefined) {
          await later(PAUSE_MS);
          await this.#refresh();
        }
        caller = next;
      }
    }
  }

  placeOf(key: Buffer): number {
    return slotOf(key);
  }

  masters(): readonly Server[] {
    return this.#masters.map((address) => this.#serverAt(address));
  }

  another(key: Buffer): Server {
    const address = this.#slots[slotOf(key)] ?? this.#seeds[0];
    return blockingServer({ ...this.#options, ...address }, this.#parts);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#again);
    for (const server of this.#servers.values()) server.disconnect();
    this.#servers.clear();
  }

  /** Where an answer sends a call instead; undefined if it sends it nowhere. */
  #redirected(message: string): Caller | undefined {
    const [word, slot, place] = message.split(" ");
    if ((word !== "MOVED" && word !== "ASK") || slot === undefined || place === undefined) return undefined;
    const at = place.lastIndexOf(":");
    const port = Number(place.slice(at + 1));
    const host = place.slice(0, at);
    if (host === "" || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
    const server = this.#serverAt({ host, port });
    if (word === "ASK") return server.asking;
    void this.#refresh();
    return server;
  }

  #serverAt(address: Address): Server {
    const name = nameOf(address);
    let server = this.#servers.get(name);
    if (server === undefined) {
      if (this.#closed || this.#servers.size >= MAX_SERVERS) throw new Error("Connection is closed");
      server = new Server({ ...this.#options, ...address }, this.#parts);
      server.redis.on("close", () => this.#lookAround());
      this.#servers.set(name, server);
    }
    return server;
  }

  /** Every slot has a master that is connected. */
  #isWhole(): boolean {
    return this.#slots.length > 0 && this.#slots.every((address) => address !== undefined);
  }

  /** A connection broke: asks who is master now, until all of them answer. */
  #lookAround(): void {
    if (this.#closed || this.#again !== undefined) return;
    this.#again = setTimeout(() => {
      void this.#refresh().then(() => {
        this.#again = undefined;
        if (this.#closed) return;
        if (this.masters().some((server) => !server.isReady)) this.#lookAround();
      });
    }, ASK_AGAIN_MS);
    this.#again.unref();
  }

  /** Never rejects: what could not be learned now is asked again when it is needed. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#ask().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #ask(): Promise<void> {
    const ready = [...this.#servers.values()].filter((server) => server.isReady);
    for (const server of ready) {
      // A master that is cut off from the others believes in its slots, and knows that the cluster is not whole.
      const info = await server.call("CLUSTER", ["INFO"]).catch(() => undefined);
      if (this.#isKnown() && !String(info).includes("cluster_state:ok")) continue;
      const answer = await server.call("CLUSTER", ["SLOTS"]).catch(() => undefined);
      const read = readSlots(answer, server.host);
      if (read === undefined) continue;
      return this.#learn(read);
    }
  }

  #isKnown(): boolean {
    return this.#masters.length > 0;
  }

  #learn({ slots, masters }: SlotMap): void {
    if (this.#closed) return;
    const names = new Set(masters.map(nameOf));
    // Where a replica took over, what was known of the store may not hold; slots that only moved took all with them.
    const hasFailedOver = this.#masters.some((address) => !names.has(nameOf(address)));
    this.#slots = slots;
    this.#masters = masters;
    if (hasFailedOver) this.#parts.report({ is: "store-moved" });
    const wanted = new Set([...masters, ...this.#seeds].map(nameOf));
    for (const address of masters) this.#serverAt(address);
    for (const [name, server] of this.#servers) {
      // What still waits for a server that is master no more goes to the new one. A seed stays connected as one to ask.
      if (!names.has(name)) server.giveBack();
      if (wanted.has(name)) continue;
      this.#servers.delete(name);
      server.disconnect();
    }
  }
}

interface SlotMap {
  readonly slots: readonly (Address | undefined)[];
  readonly masters: readonly Address[];
}

const SLOTS = 16_384;

/** A reply of CLUSTER SLOTS: `[first, last, [host, port, id], ...replicas]` for each range. */
function readSlots(answer: unknown, askedHost: string): SlotMap | undefined {
  if (!Array.isArray(answer) || answer.length === 0) return undefined;
  const slots = Array.from<Address | undefined>({ length: SLOTS });
  const masters = new Map<string, Address>();
  for (const range of answer as unknown[][]) {
    const [first, last, master] = range;
    if (!Array.isArray(master)) return undefined;
    const [named, port] = master as [Buffer | null, number];
    const host =
      named === null || named.length === 0 || named.toString() === "?" ? askedHost : named.toString();
    const address = { host, port };
    masters.set(nameOf(address), address);
    for (let slot = Number(first); slot <= Number(last) && slot < SLOTS; slot++) slots[slot] = address;
  }
  return { slots, masters: [...masters.values()] };
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
