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
/** What several scripts share stands here, and is put in place of the `USES` line of a script that names it. */
const PARTS = "parts";
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

/** The first time on a connection a script is sent whole: so calls behind it find it, and keep their order. */
async function evaluate(
  caller: Caller,
  { digest, text }: Script,
  rest: readonly Arg[],
  how: "call" | "callDurably",
): Promise<unknown> {
  if (caller.known.has(digest)) {
    try {
      return await caller[how]("EVALSHA", [digest, ...rest]);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      caller.known.clear();
    }
  }
  caller.known.add(digest);
  return caller[how]("EVAL", [text, ...rest]);
}

/** @throws Error where a file's header is not as it must be: a fault of ours */
export function loadScripts(folder: string = FOLDER): ReadonlyMap<string, Script> {
  const parts = luaFiles(join(folder, PARTS));
  const scripts = luaFiles(folder);
  return new Map([...scripts].map(([name, text]) => [name, scriptOf(name, text, parts)]));
}

function luaFiles(folder: string): ReadonlyMap<string, string> {
  const files = readdirSync(folder).filter((file) => file.endsWith(".lua"));
  return new Map(files.map((file) => [basename(file, ".lua"), readFileSync(join(folder, file), "utf8")]));
}

/** Checks the header, holds `none` against the body, and puts in the parts that it uses. @throws Error */
export function scriptOf(name: string, text: string, parts: ReadonlyMap<string, string>): Script {
  const [shebang = "", ...lines] = text.split("\n");
  if (!/^#!lua(?: flags=[a-z,-]+)?$/.test(shebang)) throw new Error(`${name}: its first line is not #!lua`);
  const body = lines.filter((line) => !line.startsWith("--")).join("\n");
  for (const heading of HEADINGS) {
    const says = under(heading, lines);
    if (says === undefined) throw new Error(`${name}: its header has no ${heading}`);
    if (heading !== "RETURNS" && (says === "none") === body.includes(heading))
      throw new Error(`${name}: its header and its body disagree on ${heading}`);
  }
  const used = (under("USES", lines)?.split(", ") ?? []).map((part) => {
    const of = parts.get(part);
    if (of === undefined) throw new Error(`${name}: there is no part ${part}`);
    return of;
  });
  const whole = [shebang, ...used, body]
    .map((piece) => piece.replaceAll(/^(?:--.*)?\n/gm, "").trim())
    .join("\n");
  return { text: whole, digest: createHash("sha1").update(whole).digest("hex") };
}

function under(heading: string, lines: readonly string[]): string | undefined {
  return lines.find((line) => line.startsWith(`-- ${heading}: `))?.slice(heading.length + 5);
}
