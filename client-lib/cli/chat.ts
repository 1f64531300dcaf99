// `lethe chat` and `lethe contact`: a client, and a face for it: the screen of a terminal, or lines in a pipe.
// Always true: the store is closed before the command ends, whatever ends it.
import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { ReadStream, WriteStream } from "node:tty";
import { Client } from "../client.ts";
import { type AccountArguments, type ChatArguments, UsageError } from "./arguments.ts";
import { Chat } from "./conversation.ts";
import { drawQr } from "./qr.ts";
import { runLines } from "./lines.ts";
import { runScreen } from "./screen.ts";

export interface ChatRun extends ChatArguments {
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  readonly onTerminal: boolean;
  readonly colour: boolean;
  readonly signal: AbortSignal;
}

async function clientFor(run: AccountArguments): Promise<Client> {
  const passphrase = run.passphraseFile === undefined ? undefined : await passphraseIn(run.passphraseFile);
  await mkdir(dirname(run.store), { recursive: true, mode: 0o700 });
  return Client.create({
    relay: run.relay,
    user: run.user,
    store: run.store,
    requests: "ask",
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(run.ticket === undefined ? {} : { ticket: run.ticket }),
  });
}

/** Prints the link; on a terminal its QR code as well. */
export async function runContact(
  run: AccountArguments,
  output: { write(text: string): void; readonly onTerminal: boolean },
): Promise<number> {
  const client = await clientFor(run);
  try {
    const link = client.contactLink();
    output.write(`${output.onTerminal ? drawQr(link) : ""}${link}\n`);
    return 0;
  } finally {
    await client.close();
  }
}

export async function runChat(run: ChatRun): Promise<number> {
  const client = await clientFor(run);
  try {
    const chat = new Chat(client, run.peer);
    return await (run.onTerminal ? runScreen(chat, run) : runLines(chat, run));
  } finally {
    await client.close();
  }
}

async function passphraseIn(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) throw new UsageError(`the passphrase file ${file} cannot be read`);
  const [first = ""] = text.split(/\r?\n/);
  if (first === "") throw new UsageError(`the first line of ${file} is empty`);
  return first;
}
