// The options of an account's client, from the command line. Always true: the folder of its store is there, readable by its
// owner alone.
import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { ClientOptions } from "../client-options.ts";
import { type AccountArguments, UsageError } from "./arguments.ts";

/** @throws UsageError where the passphrase cannot be had. */
export async function accountOptions({
  user,
  relay,
  store,
  passphraseFile,
}: AccountArguments): Promise<
  Pick<ClientOptions, "user" | "relay" | "store" | "passphrase"> & { store: string }
> {
  const passphrase = passphraseFile === undefined ? {} : { passphrase: await passphraseIn(passphraseFile) };
  await mkdir(dirname(store), { recursive: true, mode: 0o700 });
  return { relay, user, store, ...passphrase };
}

async function passphraseIn(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) throw new UsageError(`the passphrase file ${file} cannot be read`);
  const [first = ""] = text.split(/\r?\n/);
  if (first === "") throw new UsageError(`the first line of ${file} is empty`);
  return first;
}
