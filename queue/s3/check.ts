// What of an S3 store contradicts what is promised of media: for the operator, before anybody's files are in it. Always true: it
// writes one small object, under a name that is no blob's, and removes it again; and it says nothing of keys and secrets.
import { randomBytes } from "node:crypto";
import { Bucket } from "./bucket.ts";
import type { S3Config } from "./config.ts";
import { s3CodeOf } from "./failures.ts";
import { keeping } from "./keeping.ts";

/** Something about the store that is not as media need it. */
export interface S3Doubt {
  /** Stable, for programs. */
  readonly code:
    | "unreachable"
    | "not-permitted"
    | "no-bucket"
    | "cannot-put"
    | "cannot-get"
    | "cannot-list"
    | "cannot-delete"
    | "clock-differs"
    | "keeps-versions"
    | "locks-objects"
    | "expires-objects"
    | "unfinished-uploads"
    | "not-readable";
  /** `broken`: media cannot be kept. `weak`: they can, but stay longer, or go earlier, than is promised. */
  readonly is: "broken" | "weak";
  readonly says: string;
  readonly mend: string;
}

/** Further off, presigned URLs end at another time than was said; S3 refuses everything from 15 minutes on. */
const CLOCK_MS = 60_000;
const UNREACHABLE = /^E[A-Z_]+$|^[45]\d\d$|^unknown$/;

/** Empty where nothing is to be mended. @throws StoreOpenError where the settings themselves are wrong */
export async function checkS3(config: S3Config): Promise<readonly S3Doubt[]> {
  let offMs = 0;
  const bucket = new Bucket(config, ({ headers: { date } }) => {
    if (date !== undefined) offMs = Date.parse(date) - Date.now();
  });
  try {
    const doubts = await reached(bucket, config);
    if (doubts.length === 0) {
      doubts.push(...(await probed(bucket, config)));
      doubts.push(...(await keeping(bucket.client, config)));
    }
    if (Math.abs(offMs) > CLOCK_MS) doubts.push(clockDiffers(offMs));
    return doubts;
  } finally {
    bucket.close();
  }
}

async function reached({ client }: Bucket, { bucket, url }: S3Config): Promise<S3Doubt[]> {
  const broken = (code: S3Doubt["code"], says: string, mend: string): S3Doubt[] => [
    { code, is: "broken", says, mend },
  ];
  try {
    if (await client.bucketExists(bucket)) return [];
    return broken(
      "no-bucket",
      `there is no bucket ${bucket}`,
      "make it, for Lethe alone, or set --s3-bucket",
    );
  } catch (error) {
    const code = s3CodeOf(error);
    return UNREACHABLE.test(code)
      ? broken("unreachable", `${url} does not answer (${code})`, "start the store, or set --s3-url")
      : broken(
          "not-permitted",
          `the store refuses (${code})`,
          "set --s3-access-key, --s3-secret-key and --s3-region",
        );
  }
}

/** Does once what Lethe does with every part. */
async function probed(bucket: Bucket, { prefix }: S3Config): Promise<S3Doubt[]> {
  const name = `${prefix}lethe-probe-${randomBytes(8).toString("hex")}`;
  const bytes = randomBytes(16);
  const doubts: S3Doubt[] = [];
  const attempt = async (
    code: S3Doubt["code"],
    right: string,
    work: () => Promise<boolean>,
  ): Promise<void> => {
    const why = await work().then(
      (well) => (well ? undefined : "the object is not what was put there"),
      s3CodeOf,
    );
    if (why !== undefined)
      doubts.push({ code, is: "broken", says: `a probe failed: ${why}`, mend: `let the key ${right}` });
  };
  let versioned = false;
  await attempt("cannot-put", "put objects (s3:PutObject)", async () => {
    versioned = (await bucket.put(name, bytes)).versioned;
    return true;
  });
  if (doubts.length > 0) return doubts;
  await attempt("cannot-get", "get objects (s3:GetObject)", () => holds(bucket, name, bytes));
  await attempt("cannot-list", "list the bucket (s3:ListBucket)", () => lists(bucket, name));
  await attempt("cannot-delete", "delete objects (s3:DeleteObject)", async () => {
    await bucket.remove([name]);
    return (await bucket.get(name, 0, bytes.length)) === undefined;
  });
  if (versioned) doubts.push(KEEPS_VERSIONS);
  return doubts;
}

async function holds(bucket: Bucket, name: string, bytes: Buffer): Promise<boolean> {
  const answer = await bucket.get(name, 0, bytes.length);
  const chunks: Buffer[] = [];
  for await (const chunk of answer ?? []) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).equals(bytes);
}

async function lists(bucket: Bucket, name: string): Promise<boolean> {
  for await (const page of bucket.list(name, "")) if (page.some((one) => one.name === name)) return true;
  return false;
}

const KEEPS_VERSIONS: S3Doubt = {
  code: "keeps-versions",
  is: "weak",
  says: "the bucket keeps versions: media that were removed stay in it",
  mend: "use a bucket that never had versions; suspending them keeps those that are there",
};

function clockDiffers(offMs: number): S3Doubt {
  const seconds = Math.round(Math.abs(offMs) / 1_000);
  return {
    code: "clock-differs",
    is: "weak",
    says: `the store's clock is ${seconds} s ${offMs > 0 ? "ahead of" : "behind"} this machine's`,
    mend: "have both set by NTP",
  };
}
