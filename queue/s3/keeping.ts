// What of a bucket's settings has objects stay longer, or go earlier, than Lethe says: it only reads. Always true: a store that
// does not know of a setting does not have it; one that does not let it be read is doubted.
import type { Client } from "minio";
import type { S3Doubt } from "./check.ts";
import type { S3Config } from "./config.ts";
import { s3CodeOf } from "./failures.ts";

const NO_SUCH_SETTING = new Set([
  "NoSuchLifecycleConfiguration",
  "ObjectLockConfigurationNotFoundError",
  "ObjectLockConfigurationNotFound",
  "NotImplemented",
  "MethodNotAllowed",
  "NotFound",
  "501",
]);

const NOT_READABLE: S3Doubt = {
  code: "not-readable",
  is: "weak",
  says: "the store does not let the bucket's settings be read",
  mend: "see yourself that the bucket keeps no versions, locks no objects and has no lifecycle rules",
};

/** Each doubt once. */
export async function keeping(client: Client, config: S3Config): Promise<readonly S3Doubt[]> {
  const found = new Map<S3Doubt["code"], S3Doubt>();
  for (const look of [lock, lifecycle, unfinished]) {
    const doubt = await look(client, config).catch((error: unknown) =>
      NO_SUCH_SETTING.has(s3CodeOf(error)) ? undefined : NOT_READABLE,
    );
    if (doubt !== undefined) found.set(doubt.code, doubt);
  }
  return [...found.values()];
}

async function lock(client: Client, { bucket }: S3Config): Promise<S3Doubt | undefined> {
  const asked: unknown = client.getObjectLockConfig(bucket); // a promise, whatever its type says
  const info = (await asked) as { readonly objectLockEnabled?: string };
  if (info.objectLockEnabled !== "Enabled") return undefined;
  return {
    code: "locks-objects",
    is: "weak",
    says: "the bucket locks objects: media that are to be removed may stay in it",
    mend: "use a bucket without object lock",
  };
}

async function lifecycle(client: Client, { bucket }: S3Config): Promise<S3Doubt | undefined> {
  const config = await client.getBucketLifecycle(bucket);
  const rules = [config?.Rule ?? []].flat();
  const expires = rules.some(({ Expiration, Status }) => Expiration !== undefined && Status === "Enabled");
  if (!expires) return undefined;
  return {
    code: "expires-objects",
    is: "weak",
    says: "a lifecycle rule of the bucket removes objects: media may go before they are fetched",
    mend: "remove the rule, or give it more days than --media-days",
  };
}

/** Lethe begins none, so that they are another's, or somebody's who has the keys. */
async function unfinished(client: Client, { bucket, prefix }: S3Config): Promise<S3Doubt | undefined> {
  for await (const _ of client.listIncompleteUploads(bucket, prefix, true))
    return {
      code: "unfinished-uploads",
      is: "weak",
      says: "multipart uploads that were never finished lie under the prefix, and Lethe makes none",
      mend: "abort them (s3:AbortMultipartUpload), and give Lethe a prefix of its own",
    };
  return undefined;
}
