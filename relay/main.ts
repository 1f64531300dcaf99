// The relay as a process: settings, signals, exit. The only file here that knows `process`.
import { readFileSync } from "node:fs";
import { StoreOpenError } from "@lethe/queue";
import { type Level, openLog } from "./log.ts";
import { type Relay, startRelay } from "./relay.ts";
import { nameOf, readSettings, type Settings, SettingsError, settingsHelp, strangers } from "./settings.ts";

const args = process.argv.slice(2);
const colour = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
const bold = (text: string): string => (colour ? `\u001b[1m${text}\u001b[0m` : text);
const dim = (text: string): string => (colour ? `\u001b[2m${text}\u001b[0m` : text);

function fail(says: string, status: number): never {
  process.stderr.write(`lethe relay: ${says}\n`);
  process.exit(status);
}

function settings(): Settings {
  try {
    return readSettings(args, process.env, (path) => readFileSync(path, "utf8"));
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return fail(`${error.faults.join("\nlethe relay: ")}\nlethe relay: --help lists every setting`, 2);
  }
}

function whyNot(error: unknown, read: Settings): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (error instanceof StoreOpenError)
    return `${error.message}: ${read.data}; give another folder with --data`;
  if (code === "EADDRINUSE")
    return `port ${read.port} is taken; stop what listens there, or give another with --port`;
  if (code === "EACCES")
    return `not permitted to listen on port ${read.port} or to use the folder ${read.data}`;
  if (code === "EADDRNOTAVAIL") return `this machine has no address ${read.host}; give one with --host`;
  return `could not start: ${(error as Error).message}`;
}

if (args.includes("--help") || args.includes("-h")) {
  process.stdout.write(
    `${bold("lethe relay")}: a store-and-forward relay for end-to-end encrypted messages\n\nSettings (flag, environment, default):\n${settingsHelp()}\n`,
  );
  process.exit(0);
}

let relay: Relay | undefined;
let closing = false;
/** A signal that came while the relay was starting is heeded once it has. */
let early: (() => void) | undefined;

function whenStarted(act: (relay: Relay) => void): () => void {
  return () => {
    if (relay === undefined) early = () => act(relay as Relay);
    else act(relay);
  };
}

function stop(started: Relay): void {
  if (closing) return;
  closing = true;
  started.close().then(
    () => process.exit(0),
    (error: unknown) => {
      log.error({ code: "internal", reason: String(error) }, "closing failed");
      process.exit(1);
    },
  );
}

/** What cannot be read leaves everything as it was. */
function reload(started: Relay): void {
  Promise.resolve()
    .then(() => started.reload(readSettings(args, process.env, (path) => readFileSync(path, "utf8"))))
    .then(({ changed, needRestart }) => {
      process.stdout.write(
        `settings read again: ${changed.length === 0 ? "nothing new" : changed.map(nameOf).join(", ")}\n`,
      );
      if (needRestart.length > 0)
        process.stderr.write(`lethe relay: only a restart changes ${needRestart.map(nameOf).join(", ")}\n`);
    })
    .catch((error: unknown) => {
      const faults = error instanceof SettingsError ? error.faults : [(error as Error).message];
      process.stderr.write(`lethe relay: settings are as before: ${faults.join("; ")}\n`);
    });
}

// SIGHUP of a terminal means that the terminal is gone; of anybody else, by old custom, that the settings are to be read again.
process.on("SIGHUP", whenStarted(process.stdout.isTTY ? stop : reload));
process.on("SIGTERM", whenStarted(stop));
process.on("SIGINT", whenStarted(stop));

const read = settings();
const log = openLog(read.log as Level);
for (const name of strangers(process.env))
  process.stderr.write(`lethe relay: the environment has ${name}, which is no setting\n`);
try {
  relay = await startRelay(read, log);
} catch (error) {
  fail(whyNot(error, read), 1);
}

process.stdout.write(`listening ${relay.url}\n`);
if (process.stdout.isTTY)
  process.stdout.write(
    dim(
      `mail is kept in ${read.store === "embedded" ? read.data : "the store"} until it is delivered; Ctrl-C stops the relay\n`,
    ),
  );
early?.();
