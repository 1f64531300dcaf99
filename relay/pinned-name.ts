// The name that a data folder's relay goes by, in a file beside its mail: logins are bound to it. Always true: the file is
// whole or not there, whenever the process is killed.
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

const NAME_FILE = "relay-name";

/** Undefined where no relay has been started on the folder. */
export async function pinnedName(folder: string): Promise<string | undefined> {
  const text = await readFile(join(folder, NAME_FILE), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return text.trim() === "" ? undefined : text.trim(); // a power cut may leave a file without its content
}

/** Logins, accounts and devices are bound to the name that the folder began with. @throws Error where it is another now. */
export async function pinName(folder: string, name: string): Promise<void> {
  const pinned = await pinnedName(folder);
  if (pinned === name) return;
  if (pinned !== undefined)
    throw new Error(
      `${folder} belongs to the relay ${pinned}, whose name never changes: start it with --name ${pinned}`,
    );
  const path = join(folder, NAME_FILE);
  await writeFile(`${path}.new`, `${name}\n`, { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
}
