// What is wrong with the place where media lie: the folder beside the mail, or the bucket. Always true: nothing of anybody's is read,
// and what it writes to try it out is gone when it has answered.
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { type BlobsConfig, checkBlobs, StoreOpenError } from "@lethe/queue";
import { existing, freeBytes, MIB } from "./doctor-folder.ts";
import { doubtful, type Finding, well, wrong } from "./finding.ts";
import { blobsConfigOf } from "./media/open.ts";
import type { Settings } from "./settings.ts";

type S3Config = Extract<BlobsConfig, { kind: "s3" }>;

/** Files of the largest size that should find room: fewer are doubtful. */
const LARGEST_FILES = 4;
const PATIENCE_MS = 5_000;

export async function examineMedia(settings: Settings): Promise<Finding[]> {
  const config = blobsConfigOf(settings);
  if (config?.kind === "files") return files(settings, resolve(config.folder));
  if (config?.kind === "s3") return s3({ ...config, requestMs: PATIENCE_MS });
  return [well("media", "none: applications are told that no files can be sent")];
}

async function s3(config: S3Config): Promise<Finding[]> {
  try {
    const doubts = await checkBlobs(config);
    if (doubts.length === 0)
      return [well("media", `${config.url}, bucket ${config.bucket}: reached, and set as it should be`)];
    return doubts.map(({ is, says, mend }) => (is === "broken" ? wrong : doubtful)("media", says, mend));
  } catch (error) {
    if (!(error instanceof StoreOpenError)) throw error;
    return [wrong("media", error.message, "lethe relay --help says what each of --s3-… is")];
  }
}

/** Whether what lies there may be used is seen with the data folder. */
async function files({ store, mediaBytes }: Settings, path: string): Promise<Finding[]> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && !found.isDirectory())
    return [wrong("media", `${path} is not a folder`, "move it away, or say --media off")];
  const free = await freeBytes(await existing(path));
  const says = `${path}${found === undefined ? " will be made" : ""}: ${Math.round(free / MIB)} MiB free`;
  const findings: Finding[] = [];
  if (store !== "embedded")
    findings.push(
      doubtful(
        "media",
        "in this node's own data folder, which other nodes do not see",
        "keep them in an object store (--media s3), or mount one folder for all nodes",
      ),
    );
  findings.push(
    free >= LARGEST_FILES * mediaBytes
      ? well("media", says)
      : doubtful(
          "media",
          `${says}, and one file may take ${Math.round(mediaBytes / MIB)} MiB`,
          "make room, or give a lower --media-bytes or --media-account-bytes",
        ),
  );
  return findings;
}
