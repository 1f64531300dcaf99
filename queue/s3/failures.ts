// What an S3 store's errors mean for a blob. Always true: of an error only its code is kept; what the store says with it names
// objects and access keys.
import { BlobError } from "../media.ts";

/** MinIO's, Ceph's and Garage's ways of having no room. */
const FULL = new Set(["XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "StorageFull"]);
/** S3's code or Node's; `unknown` where there is none. */
export function s3CodeOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  if ("code" in error && typeof error.code === "string" && /^\w{1,64}$/.test(error.code)) return error.code;
  return /HTTP status: (\d{3})$/.exec(error.message)?.[1] ?? "unknown";
}

export function blobError(error: unknown): BlobError {
  if (error instanceof BlobError) return error;
  const code = s3CodeOf(error);
  return new BlobError(FULL.has(code) ? "full" : "failed", { cause: code });
}
