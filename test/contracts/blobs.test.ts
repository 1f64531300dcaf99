// The contract of blobs, held by each kind: files, memory, and a bucket of a real S3 store.
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type Blobs, type BlobsConfig, openBlobs } from "@lethe/queue";
import { afterAll, describe, it } from "vitest";
import { aFolder } from "../support/folder.ts";
import { hasSwift, Swift } from "../support/swift.ts";
import { blobsContract } from "./blobs.ts";
import type { BlobsWorld } from "./blobs-world.ts";

async function aWorld(config: BlobsConfig, after: () => PromiseLike<void>): Promise<BlobsWorld> {
  let blobs = await openBlobs(config);
  return {
    get blobs(): Blobs {
      return blobs;
    },
    async restart() {
      await blobs.close();
      blobs = await openBlobs(config);
    },
    async [Symbol.asyncDispose]() {
      await blobs.close();
      await after();
    },
  };
}

blobsContract({
  name: "files",
  keeps: true,
  open: async () => {
    const folder = await aFolder();
    const config = { kind: "files", folder: join(folder.path, "media") } as const;
    return aWorld(config, () => folder[Symbol.asyncDispose]());
  },
});

blobsContract({
  name: "memory",
  keeps: false,
  open: () => aWorld({ kind: "memory" }, () => Promise.resolve()),
});

if (hasSwift()) {
  let swift: Promise<Swift> | undefined;
  let bucket: Promise<BlobsConfig & { kind: "s3" }> | undefined;
  afterAll(async () => {
    await (await swift)?.[Symbol.asyncDispose]();
  });
  blobsContract({
    name: "S3 (OpenStack Swift)",
    keeps: true,
    open: async () => {
      bucket ??= (swift ??= Swift.start()).then((started) => started.bucket());
      const prefix = `${randomBytes(8).toString("hex")}/media/`;
      return aWorld({ ...(await bucket), prefix }, () => Promise.resolve());
    },
  });
} else {
  describe("blobs contract: S3", () => it.skip("OpenStack Swift is not installed here", () => undefined));
}
