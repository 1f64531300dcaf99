// Where a run's relays keep their mail: the embedded store's folder, or a Redis server of the run's own.
import { execFileSync } from "node:child_process";
import { rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { FORGET_MS } from "../../support/folder.ts";
import type { Disk } from "../../support/small-disk.ts";
import type { RelayNode } from "./node.ts";
import { RunRedis } from "./redis.ts";

/** After a rewrite nothing is left: what is found later is what came later. */
const REDIS_FORGET_MS = 30_000;

export interface Place extends AsyncDisposable {
  readonly kind: "embedded" | "redis";
  /** The folder in whose files nothing delivered may be left. */
  readonly folder: string;
  /** After so long, ms. */
  readonly forgetMs: number;
  /** Has the store forget what it would at its next interval. */
  forget(): Promise<void>;
  /** Envelopes in all mailboxes. */
  held(nodes: readonly RelayNode[]): Promise<number>;
  /** Fills the disk until it is told to stop, where there is a small one. */
  readonly disk: FillableDisk | undefined;
  readonly redis: RunRedis | undefined;
}

/** A small file system that can be full. */
export class FillableDisk {
  readonly #disk: Disk;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  get path(): string {
    return this.#disk.path;
  }

  async fill(): Promise<void> {
    const { bavail, bsize } = await statfs(this.path);
    try {
      execFileSync("fallocate", ["-l", String(bavail * bsize), join(this.path, "filler")], { stdio: "pipe" });
    } catch {
      // full is full
    }
  }

  async clear(): Promise<void> {
    await rm(join(this.path, "filler"), { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk[Symbol.asyncDispose]();
  }
}

export function embeddedPlace(folder: string, disk: FillableDisk | undefined): Place {
  return {
    kind: "embedded",
    folder: disk?.path ?? folder,
    forgetMs: FORGET_MS,
    forget: () => Promise.resolve(),
    held: ([node]) => node?.metric("lethe_mailbox_envelopes") ?? Promise.resolve(0),
    disk,
    redis: undefined,
    async [Symbol.asyncDispose]() {
      await disk?.[Symbol.asyncDispose]();
    },
  };
}

/** Several relays share it; what is delivered leaves its file when that is rewritten. */
export async function redisPlace(folder: string, disk: FillableDisk | undefined): Promise<Place> {
  const redis = await RunRedis.start(disk?.path ?? folder);
  return {
    kind: "redis",
    folder: disk?.path ?? folder,
    forgetMs: REDIS_FORGET_MS,
    held: () => redis.held(),
    forget: () => redis.forget(),
    disk,
    redis,
    async [Symbol.asyncDispose]() {
      await redis[Symbol.asyncDispose]();
      await disk?.[Symbol.asyncDispose]();
    },
  };
}
