// What is wrong with the place where media lie: the folder beside the mail, or the bucket. Always true: what it writes to try it
// out is gone when it has answered.
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { existing, freeBytes, MIB } from "./doctor-folder.ts";
import { doubtful, type Finding, well, wrong } from "./finding.ts";
import { mediaPlaceOf } from "./media/settings.ts";
import type { Settings } from "./settings.ts";

/** Files of the largest size that should find room: fewer are doubtful. */
const LARGEST_FILES = 4;

export async function examineMedia(settings: Settings): Promise<Finding[]> {
  switch (mediaPlaceOf(settings)) {
    case "off":
      return [well("media", "none: applications are told that no files can be sent")];
    case "files":
      return [await files(settings)];
    case "s3":
      return [];
  }
}

/** Whether its files may be used is seen with the data folder's. */
async function files({ data, mediaBytes }: Settings): Promise<Finding> {
  const path = join(resolve(data), "media");
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
