// The one way to open the place where the bytes of media lie.
import { type FileBlobsConfig, openFileBlobs } from "../files/blobs.ts";
import type { Blobs } from "../media.ts";
import { MemoryBlobs, type MemoryBlobsConfig } from "../memory/blobs.ts";
import type { S3Doubt } from "../s3/check.ts";
import type { S3Config } from "../s3/config.ts";

/** Every configuration names its kind. */
export type BlobsConfig = FileBlobsConfig | MemoryBlobsConfig | S3Config;

/** @throws StoreOpenError */
export async function openBlobs(config: BlobsConfig): Promise<Blobs> {
  if (config.kind === "memory") return new MemoryBlobs();
  if (config.kind === "files") return openFileBlobs(config);
  // Loaded only where it is used: the S3 client costs every start some tenths of a second.
  const { openS3Blobs } = await import("../s3/blobs.ts");
  return openS3Blobs(config);
}

/** What of an S3 store is not as media need it, each with how to mend it: for `lethe doctor`. @throws StoreOpenError */
export async function checkBlobs(config: BlobsConfig): Promise<readonly S3Doubt[]> {
  if (config.kind !== "s3") return [];
  const { checkS3 } = await import("../s3/check.ts");
  return checkS3(config);
}
