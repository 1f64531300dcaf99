// The name that a data folder's relay goes by, in a file beside its mail: logins are bound to it.
import { readFile } from "node:fs/promises";
import { join } from "node:path";

export const NAME_FILE = "relay-name";

/** Undefined where no relay has been started on the folder. */
export async function pinnedName(folder: string): Promise<string | undefined> {
  const text = await readFile(join(folder, NAME_FILE), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  return text?.trim();
}
