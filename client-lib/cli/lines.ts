// The chat in a pipe: each line of the input is a message, each event a line of the output. The forms are a promise to
// scripts: they are in `lethe chat --help`, and only ever added to.
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Chat, Happening } from "./conversation.ts";
import { harmless } from "./text.ts";

export interface LinesRun {
  readonly user: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly signal: AbortSignal;
}

export async function runLines(chat: Chat, { user, stdin, stdout, signal }: LinesRun): Promise<number> {
  const print = (line: string): void => {
    stdout.write(`${line}\n`);
  };
  // Whoever reads us may go away: that is no fault.
  stdout.on("error", () => undefined);
  print(`ready ${user}`);
  print(`connection ${chat.connection}`);
  chat.onHappening((what) => {
    const line = formOf(what);
    if (line !== undefined) print(line);
  });
  const input = createInterface({ input: stdin, signal });
  let quit = false;
  input.on("line", (line) => {
    if (chat.enter(line) === "quit") {
      quit = true;
      input.close();
    }
  });
  await once(input, "close");
  await chat.settled();
  if (!quit && !signal.aborted) await everythingSent(chat, signal);
  return 0;
}

/** At the end of the input: until the relay has all of it, or the person has had enough. */
async function everythingSent(chat: Chat, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    if (chat.lines.every((line) => line.kind !== "out" || line.state !== "queued")) resolve();
  };
  chat.onHappening(look);
  signal.addEventListener("abort", () => resolve(), { once: true });
  look();
  await promise;
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
    case "request":
      return `request ${what.from}`;
    case "gap":
      return `gap ${what.from} ${what.missing}`;
    case "connection":
      return `connection ${what.state}`;
    case "error":
      return `error ${flat(what.text)}`;
    case "notice":
      return undefined;
  }
}

function flat(text: string): string {
  return text.replaceAll("\\", "\\\\").split(/\r?\n/).map(harmless).join("\\n");
}
