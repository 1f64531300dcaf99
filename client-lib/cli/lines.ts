// The chat in a pipe: each line of the input is a message, each event a line of the output. The forms are a promise to
// scripts: they are in `lethe chat --help`, and only ever added to.
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Chat } from "./conversation.ts";
import type { Happening } from "./happenings.ts";
import { harmless } from "./text.ts";

export interface LinesRun {
  readonly user: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly signal: AbortSignal;
}

/** Messages on their way at most: a long input waits, and does not fill the memory. */
const MAX_UNSENT = 1_000;

export async function runLines(chat: Chat, { user, stdin, stdout, signal }: LinesRun): Promise<number> {
  const print = (line: string): void => {
    stdout.write(`${line}\n`);
  };
  // Whoever reads us may go away: that is no fault.
  stdout.on("error", () => undefined);
  print(`ready ${user}`);
  print(`connection ${chat.connection}`);
  let result = 0;
  chat.onHappening((what) => {
    if (hasFailed(what)) result = 1;
    const line = formOf(what);
    if (line !== undefined) print(line);
  });
  const input = createInterface({ input: stdin, signal });
  for await (const line of input) {
    if (chat.enter(line) === "quit") return result;
    await chat.settled();
    await until(chat, signal, () => chat.unsent < MAX_UNSENT);
    if (chat.halted !== undefined) return 1;
  }
  if (!signal.aborted) await until(chat, signal, () => chat.unsent === 0 && chat.saving === 0);
  return chat.halted === undefined ? result : 1;
}

/** Something has not come to where it was to go; what a person has given up is no failure. */
function hasFailed(what: Happening): boolean {
  if (what.is !== "state") return what.is === "unsaved";
  return what.state === "expired" || (what.state === "refused" && what.code !== "media-cancelled");
}

/** Resolves when it is so; or when nothing goes on by itself any more, or the person has had enough. */
async function until(chat: Chat, signal: AbortSignal, isSo: () => boolean): Promise<void> {
  const over = (): boolean => isSo() || chat.halted !== undefined || signal.aborted;
  if (over()) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    if (over()) resolve();
  };
  const off = chat.onHappening(look);
  signal.addEventListener("abort", look);
  await promise;
  signal.removeEventListener("abort", look);
  off();
}

/** One line for each happening; several lines of a message become one, with \n between. */
export function formOf(what: Happening): string | undefined {
  switch (what.is) {
    case "line":
      if (what.line.kind === "in")
        return `< ${what.line.from}: ${flat(what.line.text)}${what.line.late ? " (late)" : ""}`;
      return what.line.kind === "out" ? `> ${what.line.number} ${flat(what.line.text)}` : undefined;
    case "state":
      return `${what.state} ${what.number}${what.code === undefined ? "" : ` ${what.code}`}`;
    case "waiting":
      return `waiting ${what.number} ${what.code}`;
    case "typing":
      return `typing ${what.from}`;
    case "progress":
      return `progress ${what.number} ${what.delivered}/${what.of} ${what.read}/${what.of}`;
    case "group":
      return `group ${what.tag} ${what.how} ${what.members}`;
    case "presence":
      return `presence ${what.user} ${what.state}${what.lastSeen === undefined ? "" : ` ${minuteOf(what.lastSeen)}`}`;
    case "reaction":
      return `reaction ${what.from}: ${flat(what.text ?? "-")} ${flat(what.about)}`;
    case "edit":
      return `edit ${what.from}: ${flat(what.text)}`;
    case "gone":
      return `${what.how} ${what.from}${what.from === "" ? "" : ": "}${flat(what.about)}`;
    case "timer":
      return `timer ${what.from}: ${what.ms ?? "off"}`;
    case "request":
      return `request ${what.from}`;
    case "contact":
      return `contact ${what.link}`;
    case "added":
      return `added ${what.user}`;
    case "to":
      return `to ${flat(what.to)}`;
    case "gap":
      return `gap ${what.from} ${what.missing}`;
    case "connection":
      return `connection ${what.state}`;
    case "error":
      return `error ${flat(what.text)}`;
    case "halted":
      return `halted ${what.why}`;
    case "upload":
      return `upload ${what.number} ${what.percent}`;
    case "saving":
      return `saving ${what.percent} ${flat(what.name)}`;
    case "saved":
      return `saved ${flat(what.path)}`;
    case "unsaved":
      return `unsaved ${what.code} ${flat(what.name)}`;
    case "discarded":
      return `discarded ${flat(what.name)}`;
    case "file":
      return `file ${what.number} ${flat(what.text)}`;
    case "answer":
      return `note ${flat(what.text)}`;
    case "moved":
    case "notice":
    case "done":
      return undefined;
  }
}

/** The minute, in the form of RFC 3339. */
function minuteOf(time: number): string {
  return new Date(time).toISOString().replace(/:\d\d\.\d{3}Z$/, "Z");
}

function flat(text: string): string {
  return text.replaceAll("\\", "\\\\").split(/\r?\n/).map(harmless).join("\\n");
}
