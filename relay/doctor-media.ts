// What is wrong with the place where media lie: the folder beside the mail, or the bucket. Always true: what it writes to try it
// out is gone when it has answered.
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { checkBlobs, StoreOpenError } from "@lethe/queue";
import { existing, freeBytes, MIB } from "./doctor-folder.ts";
import { doubtful, type Finding, well, wrong } from "./finding.ts";
import { mediaFolder, s3Config } from "./media/open.ts";
import { mediaPlaceOf } from "./media/settings.ts";
import type { Settings } from "./settings.ts";

/** Files of the largest size that should find room: fewer are doubtful. */
const LARGEST_FILES = 4;
const PATIENCE_MS = 5_000;

export async function examineMedia(settings: Settings): Promise<Finding[]> {
  switch (mediaPlaceOf(settings)) {
    case "off":
      return [well("media", "none: applications are told that no files can be sent")];
    case "files":
      return [await files(settings)];
    case "s3":
      return s3(settings);
  }
}

async function s3(settings: Settings): Promise<Finding[]> {
  const config = { ...s3Config(settings), requestMs: PATIENCE_MS };
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

/** Whether its files may be used is seen with the data folder's. */
async function files({ data, mediaBytes }: Settings): Promise<Finding> {
  const path = mediaFolder(resolve(data));
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && !found.isDirectory())
    return wrong("media", `${path} is not a folder`, "move it away, or say --media off");
  const free = await freeBytes(await existing(path));
  const says = `${path}${found === undefined ? " will be made" : ""}: ${Math.round(free / MIB)} MiB free`;
  return free >= LARGEST_FILES * mediaBytes
    ? well("media", says)
    : doubtful(
        "media",
        `${says}, and one file may take ${Math.round(mediaBytes / MIB)} MiB`,
        "make room, or give a lower --media-bytes or --media-account-bytes",
      );
}
