// What is wrong with the place where files wait. Always true: nothing of anybody's is read, and a probe that is written is removed.
import { checkBlobs, StoreOpenError } from "@lethe/queue";
import { doubtful, type Finding, well, wrong } from "./finding.ts";
import { blobsConfigOf } from "./media/open.ts";
import type { Settings } from "./settings.ts";

const CHECK = "media";

export async function examineMedia(settings: Settings): Promise<Finding[]> {
  const config = blobsConfigOf(settings);
  if (config === undefined) return [well(CHECK, "none are kept")];
  if (config.kind === "files") {
    const shared = "several nodes need one shared folder; with an object store they need none";
    return settings.store === "embedded"
      ? [well(CHECK, "in the data folder")]
      : [doubtful(CHECK, "in this node's own data folder", shared)];
  }
  try {
    const doubts = await checkBlobs(config);
    if (doubts.length === 0) return [well(CHECK, "the object store takes, gives, lists and removes")];
    return doubts.map(({ is, says, mend }) => (is === "broken" ? wrong : doubtful)(CHECK, says, mend));
  } catch (error) {
    if (!(error instanceof StoreOpenError)) throw error;
    return [wrong(CHECK, error.message, "see the settings of the object store")];
  }
}
