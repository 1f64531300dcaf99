// The Lua scripts: one file a verb, found in `lua/` when the store is opened, run by its digest. Always true: a script
// whose header does not say what it takes and gives is not run; one that a server does not know is sent whole.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Arg, Connection } from "./connection.ts";
import type { Caller } from "./server.ts";

export interface Script {
  readonly text: string;
  readonly digest: string;
}

const FOLDER = join(import.meta.dirname, "lua");
/** In this order behind the shebang: each says what stands in it, or `none`. */
const HEADINGS = ["KEYS", "ARGV", "RETURNS"] as const;

/** What may become of a write: `run` waits for the durability that the store is set to, `look` is for scripts that do not write. */
export class Scripts {
  readonly #connection: Connection;
  readonly #scripts: ReadonlyMap<string, Script>;

  constructor(connection: Connection, scripts: ReadonlyMap<string, Script> = loadScripts()) {
    this.#connection = connection;
    this.#scripts = scripts;
  }

  /** All keys are of one place (see Connection.placeOf). @throws StoreFailedError, StoreClosedError */
  run(name: string, keys: readonly Buffer[], args: readonly Arg[]): Promise<unknown> {
    return this.#send(name, keys, args, "callDurably");
  }

  /** The same for a script that changes nothing that must last. @throws StoreFailedError, StoreClosedError */
  look(name: string, keys: readonly Buffer[], args: readonly Arg[]): Promise<unknown> {
    return this.#send(name, keys, args, "call");
  }

  #send(
    name: string,
    keys: readonly Buffer[],
    args: readonly Arg[],
    how: "call" | "callDurably",
  ): Promise<unknown> {
    const script = this.#scripts.get(name);
    const [key] = keys;
    if (script === undefined || key === undefined)
      throw new RangeError(`no script ${name}, or no key for it`);
    const rest = [keys.length, ...keys, ...args];
    return this.#connection.send(key, (caller) => evaluate(caller, script, rest, how));
  }
}

async function evaluate(
  caller: Caller,
  { digest, text }: Script,
  rest: readonly Arg[],
  how: "call" | "callDurably",
): Promise<unknown> {
  try {
    return await caller[how]("EVALSHA", [digest, ...rest]);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return caller[how]("EVAL", [text, ...rest]);
  }
}

/** @throws Error where a file's header is not as it must be: a fault of ours */
export function loadScripts(folder: string = FOLDER): ReadonlyMap<string, Script> {
  const files = readdirSync(folder).filter((file) => file.endsWith(".lua"));
  return new Map(
    files.map((file) => [basename(file, ".lua"), scriptOf(file, readFileSync(join(folder, file), "utf8"))]),
  );
}

/** Checks the header, and holds `none` against the body. @throws Error */
export function scriptOf(file: string, text: string): Script {
  const [shebang = "", ...lines] = text.split("\n");
  if (!/^#!lua(?: flags=[a-z,-]+)?$/.test(shebang)) throw new Error(`${file}: its first line is not #!lua`);
  const body = lines.filter((line) => !line.startsWith("--")).join("\n");
  for (const heading of HEADINGS) {
    const says = lines.find((line) => line.startsWith(`-- ${heading}: `))?.slice(heading.length + 5);
    if (says === undefined || says === "") throw new Error(`${file}: its header has no ${heading}`);
    if (heading !== "RETURNS" && (says === "none") === body.includes(`${heading}[`))
      throw new Error(`${file}: its header and its body disagree on ${heading}`);
  }
  return { text, digest: createHash("sha1").update(text).digest("hex") };
}
