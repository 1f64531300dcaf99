// What can stand on the command line. Always true: what is not understood is named, with where to read on.
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { isUserName } from "@lethe/protocol";

export interface ChatArguments {
  readonly user: string;
  readonly relay: string;
  readonly peer: string | undefined;
  readonly store: string;
  readonly passphraseFile: string | undefined;
}

export type Command =
  | { readonly run: "help"; readonly of: "lethe" | "chat" }
  | { readonly run: "version" }
  | { readonly run: "relay"; readonly flags: readonly string[] }
  | { readonly run: "chat"; readonly chat: ChatArguments };

/** Something on the command line that cannot be. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const DEFAULT_RELAY = "http://127.0.0.1:8787";

export const HELP = {
  lethe: `lethe: end-to-end encrypted messages over a relay that forgets.

  lethe relay [settings]      start a relay            (lethe relay --help)
  lethe chat USER [options]   talk in the terminal     (lethe chat --help)
  lethe --version             the version
  lethe --help                this

Try it, in three terminals:
  lethe relay
  lethe chat anna --with ben
  lethe chat ben --with anna
`,
  chat: `lethe chat USER: talk in the terminal, as USER.

USER is a name of 3 to 32 of a-z, 0-9, dot, underscore and hyphen. The first time, it is registered at the relay; its
keys are made here and never leave the store.

  --relay URL             the relay (default: LETHE_RELAY, or ${DEFAULT_RELAY})
  --with USER             whom to talk to; their messages are taken without asking
  --store FILE            the store (default: ~/.local/share/lethe/USER.db); its key stands beside it in FILE.key
  --passphrase-file FILE  protect the store by the passphrase on this file's first line, instead of by a key file

In the chat:
  /to USER  /accept USER  /block USER  /reconnect  /quit      a line that begins with // is sent with one /

Ticks: a grey one, the relay has it; two grey, it is on the other device; two blue, it was read.

In a pipe each line of the input is a message, and each event is a line of the output:
  > N TEXT   < USER: TEXT   sent N   delivered N   read N   expired N   refused N CODE   waiting N CODE
  typing USER   request USER   gap USER COUNT   connection online|connecting|offline   error TEXT   halted CODE
At the end of the input it ends as soon as the relay has everything (0), or when nothing goes on by itself any more (1).
`,
} as const;

/** @throws UsageError */
export function parseCommand(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Command {
  const [first, ...rest] = args;
  if (first === undefined || first === "--help" || first === "-h" || first === "help")
    return { run: "help", of: "lethe" };
  if (first === "--version" || first === "-v") return { run: "version" };
  if (first === "relay") return { run: "relay", flags: rest };
  if (first === "chat") return chat(rest, env);
  throw new UsageError(`there is no command "${first}"; lethe --help lists them`);
}

function chat(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Command {
  const { values, positionals } = parse(args);
  if (values.help === true) return { run: "help", of: "chat" };
  const [user, ...more] = positionals;
  if (user === undefined) throw new UsageError("whom are you? Give a name: lethe chat USER");
  if (more.length > 0) throw new UsageError(`one name is enough: "${more.join(" ")}" is too much`);
  for (const name of [user, values.with])
    if (name !== undefined && !isUserName(name))
      throw new UsageError(`"${name}" is no name: 3 to 32 of a-z, 0-9, dot, underscore and hyphen`);
  if (values.with === user) throw new UsageError("--with names somebody else");
  return {
    run: "chat",
    chat: {
      user,
      relay: values.relay ?? env["LETHE_RELAY"] ?? DEFAULT_RELAY,
      peer: values.with,
      store: values.store ?? defaultStore(user, env),
      passphraseFile: values["passphrase-file"],
    },
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        relay: { type: "string" },
        with: { type: "string" },
        store: { type: "string" },
        "passphrase-file": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    const says = error instanceof Error ? (error.message.split(". ")[0] ?? error.message) : String(error);
    throw new UsageError(`${says}; lethe chat --help lists the options`);
  }
}

function defaultStore(user: string, env: Readonly<Record<string, string | undefined>>): string {
  const share = env["XDG_DATA_HOME"];
  return join(
    share === undefined || share === "" ? join(homedir(), ".local", "share") : share,
    "lethe",
    `${user}.db`,
  );
}
