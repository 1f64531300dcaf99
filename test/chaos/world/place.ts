// Where a run's relays keep their mail: the embedded store's folder, or a Redis server of the run's own.
import { writeFile, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { FORGET_MS } from "../../support/folder.ts";
import type { Disk } from "../../support/small-disk.ts";
import type { RelayNode } from "./node.ts";
import type { RedisServer } from "./redis-server.ts";

export interface Place extends AsyncDisposable {
  readonly kind: "embedded" | "redis";
  /** The folder in whose files nothing delivered may be left. */
  readonly folder: string;
  /** After so long, ms. */
  readonly forgetMs: number;
  /** Flags of the relay that is called this. */
  flagsOf(node: string): readonly string[];
  /** Envelopes in all mailboxes. */
  held(nodes: readonly RelayNode[]): Promise<number>;
  /** Fills the disk until it is told to stop, where there is a small one. */
  readonly disk: FillableDisk | undefined;
  readonly redis: RedisServer | undefined;
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
    await writeFile(join(this.path, "filler"), Buffer.alloc(bavail * bsize)).catch(() => undefined); // full is full
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
    flagsOf: () => [],
    held: ([node]) => node?.metric("lethe_mailbox_envelopes") ?? Promise.resolve(0),
    disk,
    redis: undefined,
    async [Symbol.asyncDispose]() {
      await disk?.[Symbol.asyncDispose]();
    },
  };
}
