// Relays that keep files, and everything that is left of these: one with its own disk, or two that share a Redis and an S3 store.
// Always true: what was started is ended with them.
import { copyFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Blobs, openBlobs } from "@lethe/queue";
import { Redis } from "ioredis";
import type { Chance } from "./chance.ts";
import { Fleet } from "./fleet.ts";
import { aFolder, type Folder } from "./folder.ts";
import { aQuietPort } from "./ports.ts";
import { keysOf } from "./redis-values.ts";
import { RelayProcess } from "./relay-process.ts";
import { s3Flags, Swift } from "./swift.ts";

export interface MediaRelays extends AsyncDisposable {
  readonly urls: readonly string[];
  /** Those that run. */
  readonly running: readonly RelayProcess[];
  kill(i: number): Promise<void>;
  start(i: number): Promise<void>;
  stop(i: number): Promise<void>;
  /** The place of the bytes, opened beside the relays. */
  blobs(): Promise<Blobs>;
  /** Names of everything that stands where blobs are kept, empty folders too. */
  kept(): Promise<string[]>;
  /** What the ledger holds of media, once no relay runs: names of rows and keys. */
  ledger(): Promise<string[]>;
  /** Files that have ended and whose removal was not finished, of relays of which some were just killed. */
  ended(): Promise<number>;
  /** Folders in which anything of media could stand. */
  readonly folders: readonly string[];
}

export interface MediaRelaysOptions {
  readonly chance: Chance;
  readonly flags?: readonly string[];
}

/** Of the ledger's counts, over all relays that run: 0 where nothing waits. */
export async function waiting({ running }: MediaRelays): Promise<number> {
  const names = ["lethe_media_blobs", "lethe_media_blob_bytes"];
  const counts = await Promise.all(running.flatMap((relay) => names.map((name) => relay.metric(name))));
  return counts.reduce((sum, count) => sum + count, 0);
}

export async function relayWithFiles({ chance, flags = [] }: MediaRelaysOptions): Promise<MediaRelays> {
  const relay = new FileRelay(await aFolder(), await aQuietPort(chance), flags);
  await relay.start();
  return relay;
}

class FileRelay implements MediaRelays {
  readonly urls: readonly string[];
  readonly #folder: Folder;
  readonly #port: number;
  readonly #flags: readonly string[];
  #relay: RelayProcess | undefined;

  constructor(folder: Folder, port: number, flags: readonly string[]) {
    this.#folder = folder;
    this.#port = port;
    this.#flags = flags;
    this.urls = [`http://127.0.0.1:${port}`];
  }

  get running(): RelayProcess[] {
    return this.#relay === undefined ? [] : [this.#relay];
  }

  get folders(): string[] {
    return [this.#folder.path];
  }

  async start(): Promise<void> {
    const [data, port, flags] = [this.#folder.path, this.#port, this.#flags];
    this.#relay = await RelayProcess.start({ data, port, flags, log: "debug" });
  }

  async kill(): Promise<void> {
    await this.#relay?.kill();
    this.#relay = undefined;
  }

  async stop(): Promise<void> {
    await this.#relay?.stop();
    this.#relay = undefined;
  }

  get #media(): string {
    return join(this.#folder.path, "media");
  }

  blobs(): Promise<Blobs> {
    return openBlobs({ kind: "files", folder: this.#media });
  }

  kept(): Promise<string[]> {
    return readdir(this.#media, { recursive: true });
  }

  async ledger(): Promise<string[]> {
    const rows = await this.#select("SELECT hex(media) AS found FROM media");
    return [...rows, ...(await this.#select("SELECT hex(mark) AS found FROM media_token"))];
  }

  async ended(): Promise<number> {
    return (await this.#select("SELECT hex(media) AS found FROM media WHERE due = 0")).length;
  }

  /** Of a copy: the next relay finds the database as the last one has left it. */
  async #select(sql: string): Promise<string[]> {
    await using folder = await aFolder();
    for (const name of ["directory.sqlite", "directory.sqlite-wal"])
      await copyFile(join(this.#folder.path, name), join(folder.path, name)).catch(() => undefined);
    const database = new DatabaseSync(join(folder.path, "directory.sqlite"));
    try {
      return database
        .prepare(sql)
        .all()
        .map((row) => String(row["found"]));
    } finally {
      database.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#folder[Symbol.asyncDispose]();
  }
}

export async function relaysWithSwift({ chance, flags = [] }: MediaRelaysOptions): Promise<MediaRelays> {
  const swift = await Swift.start();
  try {
    const config = await swift.bucket();
    const fleet = await Fleet.start({ nodes: 2, chance, flags: [...s3Flags(config), ...flags] });
    return new SwiftRelays(swift, config, fleet);
  } catch (error) {
    await swift[Symbol.asyncDispose]();
    throw error;
  }
}

class SwiftRelays implements MediaRelays {
  readonly #swift: Swift;
  readonly #config: ReturnType<Swift["config"]>;
  readonly #fleet: Fleet;

  constructor(swift: Swift, config: ReturnType<Swift["config"]>, fleet: Fleet) {
    this.#swift = swift;
    this.#config = config;
    this.#fleet = fleet;
  }

  get urls(): readonly string[] {
    return this.#fleet.urls;
  }

  get running(): readonly RelayProcess[] {
    return this.#fleet.nodes;
  }

  get folders(): string[] {
    return [this.#fleet.folder, this.#fleet.redis.folder, this.#swift.folder];
  }

  start(i: number): Promise<void> {
    return this.#fleet.startNode(i);
  }

  kill(i: number): Promise<void> {
    return this.#fleet.killNode(i);
  }

  stop(i: number): Promise<void> {
    return this.#fleet.stopNode(i);
  }

  blobs(): Promise<Blobs> {
    return openBlobs(this.#config);
  }

  async kept(): Promise<string[]> {
    const objects = await this.#swift.client().listObjectsV2(this.#config.bucket, "", true).toArray();
    return (objects as { name?: string }[]).map(({ name = "a folder" }) => name);
  }

  /** The keys of queue/redis/media/keys.ts, but for each shard's sum of bytes, which stays as a number: 0. */
  async ledger(): Promise<string[]> {
    const redis = new Redis(this.#fleet.redis.url);
    try {
      const keys = await Promise.all(["M", "D", "U", "V"].map((letter) => keysOf(redis, letter)));
      const left = keys.flat().map((key) => key.toString("latin1"));
      for (const key of await keysOf(redis, "B"))
        if ((await redis.get(key)) !== "0") left.push(key.toString("latin1"));
      return left;
    } finally {
      redis.disconnect();
    }
  }

  async ended(): Promise<number> {
    const redis = new Redis(this.#fleet.redis.url);
    try {
      let count = 0;
      for (const shard of await keysOf(redis, "D")) count += await redis.zcount(shard, 0, 0);
      return count;
    } finally {
      redis.disconnect();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fleet[Symbol.asyncDispose]();
    await this.#swift[Symbol.asyncDispose]();
  }
}
