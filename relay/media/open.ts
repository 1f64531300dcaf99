// Opens the place of blobs that the settings name. Always true: nothing of it is opened where no media are kept.
import { join } from "node:path";
import { type Backend, type BlobsConfig, openBlobs } from "@lethe/queue";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Settings } from "../settings.ts";
import { RelayMedia } from "./media.ts";
import { mediaPlaceOf } from "./settings.ts";

/** In the data folder. */
const FOLDER = "media";

export interface OpenMediaParts {
  readonly settings: Settings;
  readonly backend: Pick<Backend, "media">;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Undefined where no media are kept. @throws StoreOpenError */
export async function openMedia({
  settings,
  backend,
  metrics,
  log,
}: OpenMediaParts): Promise<RelayMedia | undefined> {
  const config = blobsConfigOf(settings);
  if (config === undefined) return undefined;
  const gathers = config.kind === "s3";
  return new RelayMedia({ ledger: backend.media, blobs: await openBlobs(config), gathers, metrics, log });
}

/** Undefined where no media are kept. */
export function blobsConfigOf(settings: Settings): BlobsConfig | undefined {
  const place = mediaPlaceOf(settings);
  if (place === "off") return undefined;
  if (place === "files") return { kind: "files", folder: join(settings.data, FOLDER) };
  const { s3Url: url, s3Bucket: bucket, s3Region: region, s3Prefix: prefix } = settings;
  const { s3AccessKey: accessKey, s3SecretKey: secretKey, s3Direct: direct, s3PublicUrl } = settings;
  const publicUrl = s3PublicUrl === "" ? url : s3PublicUrl;
  return { kind: "s3", url, bucket, region, accessKey, secretKey, prefix, direct, publicUrl };
}
