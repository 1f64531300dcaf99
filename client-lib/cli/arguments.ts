// What can stand on the command line. Always true: what is not understood is named, with where to read on.
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { isUserName } from "@lethe/protocol";

/** Whom one is, and where one's keys are. */
export interface AccountArguments {
  readonly user: string;
  readonly relay: string;
  readonly store: string;
  readonly passphraseFile: string | undefined;
  /** For a relay that asks for one of new accounts. */
  readonly ticket: string | undefined;
}

export interface ChatArguments extends AccountArguments {
  readonly peer: string | undefined;
  /** A folder for every file that comes. */
  readonly saveTo: string | undefined;
  /** Whether pictures may be shown. */
  readonly images: boolean;
}

export type DevicesAct =
  | { readonly do: "list" }
  | { readonly do: "add"; readonly code: string }
  | { readonly do: "remove"; readonly number: number };

export interface StatusArguments {
  readonly relay: string;
  /** The relay's data folder: its token opens the operator's door. */
  readonly data: string;
  readonly json: boolean;
  readonly once: boolean;
}

export type Act =
  | { readonly do: "invite"; readonly uses: number; readonly days: number }
  | { readonly do: "invites" }
  | { readonly do: "withdraw"; readonly mark: string }
  | { readonly do: "show"; readonly user: string }
  | { readonly do: "remove"; readonly user: string };

export interface AdminArguments {
  readonly relay: string;
  readonly data: string;
  readonly act: Act;
}

export type Command =
  | { readonly run: "help"; readonly of: keyof typeof HELP }
  | { readonly run: "doctor"; readonly flags: readonly string[] }
  | { readonly run: "status"; readonly status: StatusArguments }
  | { readonly run: "admin"; readonly admin: AdminArguments }
  | { readonly run: "version" }
  | { readonly run: "relay"; readonly flags: readonly string[] }
  | { readonly run: "contact"; readonly contact: AccountArguments }
  | { readonly run: "link"; readonly link: AccountArguments }
  | { readonly run: "devices"; readonly devices: AccountArguments; readonly act: DevicesAct }
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
  lethe contact USER          your contact link        (lethe contact --help)
  lethe link USER [options]   make this a device of your account   (lethe link --help)
  lethe devices USER          your devices, one more, one less     (lethe devices --help)
  lethe status [options]      what a relay does now    (lethe status --help)
  lethe doctor [settings]     what is wrong with a relay's settings, and what mends it
  lethe admin COMMAND         invites and accounts     (lethe admin --help)
  lethe --version             the version
  lethe --help                this

Try it, in three terminals:
  lethe relay
  lethe chat anna --with ben
  lethe chat ben --with anna
`,
  status: `lethe status: what a relay does now, once a second on a terminal, once in a pipe.

  --relay URL     the relay (default: LETHE_RELAY, or ${DEFAULT_RELAY})
  --data FOLDER   the relay's data folder, where the operator's token is (default: LETHE_DATA, or lethe-data)
  --once          one view, also on a terminal
  --json          all figures as one line of JSON
`,
  admin: `lethe admin COMMAND: invites and accounts of a relay, for its operator.

  lethe admin invite [--uses N] [--days N]   make an invite (for one account and 7 days)
  lethe admin invites                        the invites that are open, by their marks
  lethe admin withdraw MARK                  end an invite
  lethe admin show USER                      an account's devices, and how much waits for each
  lethe admin remove USER --yes              remove an account with mail, keys and devices, for good

  --relay URL     the relay (default: LETHE_RELAY, or ${DEFAULT_RELAY})
  --data FOLDER   the relay's data folder, where the operator's token is (default: LETHE_DATA, or lethe-data)
`,
  link: `lethe link USER: make this device one of USER's account, which is on another device.

It shows a code, as a QR code and as text. On the first device: lethe devices USER add CODE, or /link CODE in its chat.
Both then show six digits. Are they the same, say yes there. The code is good for two minutes.

  --relay URL             the relay (default: LETHE_RELAY, or ${DEFAULT_RELAY})
  --store FILE            the new store (default: ~/.local/share/lethe/USER.db); its key stands beside it in FILE.key
  --passphrase-file FILE  protect the store by the passphrase on this file's first line, instead of by a key file

In a pipe it prints:  code CODE   digits N   linked USER
`,
  devices: `lethe devices USER: the devices of USER's account, from its first device.

  lethe devices USER               number, since when, which is the first and which is this one
  lethe devices USER add CODE      link the device that shows CODE (lethe link USER), once the digits are compared
  lethe devices USER remove N      take a device out; contacts get a new access key

  --relay URL             the relay (default: LETHE_RELAY, or ${DEFAULT_RELAY})
  --store FILE            the store (default: ~/.local/share/lethe/USER.db)
  --passphrase-file FILE  where the store has one: a file with the passphrase on its first line

A CODE that somebody has sent you is theirs, and would let them read along: take it from your own device's screen alone.
`,
  chat: `lethe chat USER: talk in the terminal, as USER.

USER is a name of 3 to 32 of a-z, 0-9, dot, underscore and hyphen. The first time, it is registered at the relay; its
keys are made here and never leave the store.

  --relay URL             the relay (default: LETHE_RELAY, or ${DEFAULT_RELAY})
  --with USER             whom to talk to; their messages are taken without asking
  --store FILE            the store (default: ~/.local/share/lethe/USER.db); its key stands beside it in FILE.key
  --passphrase-file FILE  protect the store by the passphrase on this file's first line, instead of by a key file
  --ticket TICKET         what the relay asks of new accounts, if it does: an invite, or a token of its own login
  --save FOLDER           save every file that comes there, at once
  --no-images             show no pictures, though the terminal could (kitty, Ghostty, Konsole: PNG; WezTerm, iTerm2, mintty)

In the chat:
  /to USER  /accept USER  /block USER  /contact  /add LINK  /devices  /link CODE  /reconnect  /quit  /help
  /contact shows your contact link, and /add takes somebody else's and writes to them. A line that begins with // is sent with one /
  Groups: /group NAME USER… makes one, /to #NAME writes to it; /groups  /members  /invite USER…  /remove USER…  /promote USER
  /rename NAME  /join #NAME  /leave
  Messages: /reply N TEXT  /react N EMOJI  /edit N TEXT  /delete N, where N counts back from the newest one, which is 1; for
  /edit and /delete from your own newest. /timer 1h (30s, 5m, 7d, off): what is said from now on disappears so long after it was
  read. /card USER introduces somebody, whom the others add with /add N; /to writes to them then
  Files: /send PATH [CAPTION] sends one ("quotes" or \\ for spaces, ~ is your folder); /cancel [N] gives up an upload. /files lists what
  has come and is not saved, /save [N] [PATH] saves one (to ~/Downloads, never over another file), /discard [N] lets go of one;
  N counts back from the newest file here, which is 1. Uploads and saving go on after a cut and at the next start.

Ticks: a grey one, the relay has it; two grey, it is on the other device; two blue, it was read.

In a pipe each line of the input is a message, and each event is a line of the output:
  > N TEXT   < USER: TEXT   sent N   delivered N   read N   expired N   refused N CODE   waiting N CODE
  to USER|#GROUP (whom the lines that follow go to)   contact LINK   added USER
  typing USER   request USER   gap USER COUNT   connection online|connecting|offline   error TEXT   halted CODE
  note TEXT (what a command without a form of its own answers: /help, /groups, /members, /devices, ...)
  presence USER online|unknown   presence USER offline [MINUTE WHEN LAST SEEN]
  < #GROUP USER: TEXT   < #GROUP you: TEXT   < you → USER: TEXT (the last two: from another device of yours)
  reaction USER: EMOJI TEXT   edit USER: NEW TEXT   deleted USER: TEXT   disappeared TEXT   timer USER: MS|off
  upload N PERCENT   saving PERCENT NAME   saved PATH   unsaved CODE NAME   discarded NAME   file N USER: TEXT
  (a file's TEXT: 📎 NAME, TYPE, SIZE, WIDTH×HEIGHT CAPTION; percents in steps of ten)
  group #GROUP created|joined|invited|changed|removed|left MEMBERS   progress N DELIVERED/OF READ/OF
At the end of the input it ends as soon as the relay has everything and what is being saved is, or when nothing goes on by itself any more.
The exit code is 1 in the latter case, and when anything was refused, has expired or was not saved; else 0.
`,
  contact: `lethe contact USER: the contact link of USER, and on a terminal its QR code.

Whoever adds it (/add in lethe chat) is sure to write to USER and to nobody else, without a request at the relay. It holds
until USER blocks somebody. Whoever sees it can write to USER, as a stranger.

  --relay URL             the relay (default: LETHE_RELAY, or ${DEFAULT_RELAY})
  --store FILE            the store (default: ~/.local/share/lethe/USER.db)
  --passphrase-file FILE  the store is protected by the passphrase on this file's first line
  --ticket TICKET         what the relay asks of new accounts, if it does
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
  if (first === "doctor") return { run: "doctor", flags: rest };
  if (first === "chat") return chat(rest, env);
  if (first === "contact") return contact(rest, env);
  if (first === "link") return link(rest, env);
  if (first === "devices") return devices(rest, env);
  if (first === "status") return status(rest, env);
  if (first === "admin") return admin(rest, env);
  throw new UsageError(`there is no command "${first}"; lethe --help lists them`);
}

type Env = Readonly<Record<string, string | undefined>>;

function doorOf(values: { relay?: string; data?: string }, env: Env): { relay: string; data: string } {
  return {
    relay: values.relay ?? env["LETHE_RELAY"] ?? DEFAULT_RELAY,
    data: values.data ?? env["LETHE_DATA"] ?? "lethe-data",
  };
}

function status(args: readonly string[], env: Env): Command {
  const options = { ...DOOR, json: { type: "boolean" }, once: { type: "boolean" } } as const;
  const { values, positionals } = understood("status", () =>
    parseArgs({ args: [...args], allowPositionals: true, options }),
  );
  if (values.help === true) return { run: "help", of: "status" };
  if (positionals.length > 0)
    throw new UsageError(`"${positionals.join(" ")}" is too much; lethe status --help`);
  const { json = false, once = false } = values;
  return { run: "status", status: { ...doorOf(values, env), json, once } };
}

const DOOR = {
  relay: { type: "string" },
  data: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

function admin(args: readonly string[], env: Env): Command {
  const options = {
    ...DOOR,
    uses: { type: "string", default: "1" },
    days: { type: "string", default: "7" },
    yes: { type: "boolean", default: false },
  } as const;
  const { values, positionals } = understood("admin", () =>
    parseArgs({ args: [...args], allowPositionals: true, options }),
  );
  if (values.help === true || positionals.length === 0) return { run: "help", of: "admin" };
  return { run: "admin", admin: { ...doorOf(values, env), act: actOf(positionals, values) } };
}

function actOf(
  [what = "", subject, ...more]: readonly string[],
  { uses, days, yes }: { uses: string; days: string; yes: boolean },
): Act {
  if (more.length > 0) throw new UsageError(`"${more.join(" ")}" is too much; lethe admin --help`);
  const needed = (name: string): string => {
    if (subject === undefined) throw new UsageError(`lethe admin ${what} needs ${name}`);
    return subject;
  };
  switch (what) {
    case "invite":
      return { do: "invite", uses: numberOf("--uses", uses), days: numberOf("--days", days) };
    case "invites":
      return { do: "invites" };
    case "withdraw":
      return { do: "withdraw", mark: needed("the mark of an invite: lethe admin invites shows them") };
    case "show":
      return { do: "show", user: needed("a user's name") };
    case "remove":
      if (!yes)
        throw new UsageError(
          `what is removed cannot be had back: lethe admin remove ${subject ?? "USER"} --yes`,
        );
      return { do: "remove", user: needed("a user's name") };
    default:
      throw new UsageError(`there is no "lethe admin ${what}"; lethe admin --help lists what there is`);
  }
}

function numberOf(flag: string, text: string): number {
  if (!/^[1-9][0-9]{0,5}$/.test(text)) throw new UsageError(`${flag} is a whole number from 1: "${text}"`);
  return Number(text);
}

function understood<Parsed>(command: string, parse: () => Parsed): Parsed {
  try {
    return parse();
  } catch (error) {
    const says = error instanceof Error ? (error.message.split(". ")[0] ?? error.message) : String(error);
    throw new UsageError(`${says}; lethe ${command} --help lists the options`);
  }
}

function chat(args: readonly string[], env: Env): Command {
  const parsed = understood("chat", () =>
    parseArgs({ args: [...args], allowPositionals: true, options: CHAT }),
  );
  const { values } = parsed;
  if (values.help === true) return { run: "help", of: "chat" };
  const account = accountOf("chat", parsed, env);
  if (values.with !== undefined) mustBeName(values.with);
  if (values.with === account.user) throw new UsageError("--with names somebody else");
  const { with: peer, save: saveTo, "no-images": withoutImages = false } = values;
  return { run: "chat", chat: { ...account, peer, saveTo, images: !withoutImages } };
}

function contact(args: readonly string[], env: Env): Command {
  const parsed = parsedAccount("contact", args);
  if (parsed.values.help === true) return { run: "help", of: "contact" };
  return { run: "contact", contact: accountOf("contact", parsed, env) };
}

const ACCOUNT = {
  relay: { type: "string" },
  store: { type: "string" },
  "passphrase-file": { type: "string" },
  ticket: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

const CHAT = {
  ...ACCOUNT,
  with: { type: "string" },
  save: { type: "string" },
  "no-images": { type: "boolean" },
} as const;

function parsedAccount(command: "contact" | "link" | "devices", args: readonly string[]) {
  return understood(command, () => parseArgs({ args: [...args], allowPositionals: true, options: ACCOUNT }));
}

interface Parsed {
  readonly values: Readonly<Partial<Record<Exclude<keyof typeof ACCOUNT, "help">, string | undefined>>>;
  readonly positionals: readonly string[];
}

function accountOf(command: string, { values, positionals }: Parsed, env: Env): AccountArguments {
  const [user, ...more] = positionals;
  if (user === undefined) throw new UsageError(`whom are you? Give a name: lethe ${command} USER`);
  if (more.length > 0)
    throw new UsageError(`one name is enough: "${more.join(" ")}" is too much; lethe ${command} --help`);
  mustBeName(user);
  return {
    user,
    relay: values.relay ?? env["LETHE_RELAY"] ?? DEFAULT_RELAY,
    store: values.store ?? defaultStore(user, env),
    passphraseFile: values["passphrase-file"],
    ticket: values.ticket,
  };
}

function mustBeName(name: string): void {
  if (!isUserName(name))
    throw new UsageError(`"${name}" is no name: 3 to 32 of a-z, 0-9, dot, underscore and hyphen`);
}

function link(args: readonly string[], env: Env): Command {
  const parsed = parsedAccount("link", args);
  if (parsed.values.help === true) return { run: "help", of: "link" };
  return { run: "link", link: accountOf("link", parsed, env) };
}

function devices(args: readonly string[], env: Env): Command {
  const parsed = parsedAccount("devices", args);
  if (parsed.values.help === true) return { run: "help", of: "devices" };
  const [user, act] = [parsed.positionals.slice(0, 1), parsed.positionals.slice(1)];
  const account = accountOf("devices", { values: parsed.values, positionals: user }, env);
  return { run: "devices", devices: account, act: devicesAct(act) };
}

function devicesAct([what, subject, ...more]: readonly string[]): DevicesAct {
  if (more.length > 0) throw new UsageError(`"${more.join(" ")}" is too much; lethe devices --help`);
  if (what === undefined) return { do: "list" };
  if (what === "add") {
    if (subject === undefined)
      throw new UsageError("lethe devices USER add needs the code of the new device");
    return { do: "add", code: subject };
  }
  if (what === "remove") {
    if (subject === undefined) throw new UsageError("lethe devices USER remove needs a device's number");
    return { do: "remove", number: numberOf("the device", subject) };
  }
  throw new UsageError(`there is no "lethe devices USER ${what}"; lethe devices --help lists what there is`);
}

function defaultStore(user: string, env: Readonly<Record<string, string | undefined>>): string {
  const share = env["XDG_DATA_HOME"];
  return join(
    share === undefined || share === "" ? join(homedir(), ".local", "share") : share,
    "lethe",
    `${user}.db`,
  );
}
