// What an S3 store is reached with, read once. Always true: keys and secrets stand in no error.
import { StoreOpenError } from "../mailbox.ts";

export interface S3Config {
  readonly kind: "s3";
  /** `http://host:port` or `https://host`, without a path: buckets are addressed in the path. */
  readonly url: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** What the names of all objects begin with: empty, or ending in a slash. */
  readonly prefix: string;
  /** Whether clients are sent to the store itself, by presigned URLs. */
  readonly direct: boolean;
  /** Where clients reach the store: `url` unless said otherwise. */
  readonly publicUrl?: string;
  /** Time-out of every request until its answer begins, and then of each pause in it, ms: 30,000 unless said otherwise. */
  readonly requestMs?: number;
}

export interface Endpoint {
  readonly endPoint: string;
  readonly port: number;
  readonly useSSL: boolean;
}

/** @throws StoreOpenError */
export function endpointOf(url: string): Endpoint {
  const at = URL.canParse(url) ? new URL(url) : undefined;
  if (at === undefined || (at.protocol !== "http:" && at.protocol !== "https:"))
    throw new StoreOpenError("url-malformed", "the S3 store's URL is not an http or https URL");
  if (at.username !== "" || at.password !== "" || at.pathname !== "/" || at.search !== "" || at.hash !== "")
    throw new StoreOpenError("url-malformed", "the S3 store's URL names a host and a port, and nothing else");
  const useSSL = at.protocol === "https:";
  const port = at.port === "" ? (useSSL ? 443 : 80) : Number(at.port);
  return { endPoint: at.hostname.replace(/^\[|\]$/g, ""), port, useSSL };
}

/** @throws StoreOpenError */
export function checkS3Config({ bucket, prefix }: S3Config): void {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket))
    throw new StoreOpenError("url-malformed", "the S3 bucket's name is not one");
  if (!/^(?:[A-Za-z0-9._-]+\/){0,8}$/.test(prefix) || prefix.length > 256)
    throw new StoreOpenError("url-malformed", "the S3 prefix is empty or ends in a slash");
}
