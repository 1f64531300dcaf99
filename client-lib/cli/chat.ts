// `lethe chat` and `lethe contact`: a client, and a face for it: the screen of a terminal, or lines in a pipe.
// Always true: the store is closed before the command ends, whatever ends it.
import type { ReadStream, WriteStream } from "node:tty";
import { Client } from "../client.ts";
import { accountOptions } from "./account.ts";
import type { AccountArguments, ChatArguments } from "./arguments.ts";
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
  return Client.create({
    ...(await accountOptions(run)),
    requests: "ask",
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
