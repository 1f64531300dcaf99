// `lethe chat`: a client, and a face for it: the screen of a terminal, or lines in a pipe.
// Always true: the store is closed before the command ends, whatever ends it.
import type { ReadStream, WriteStream } from "node:tty";
import { Client } from "../client.ts";
import { accountOptions } from "./account.ts";
import type { ChatArguments } from "./arguments.ts";
import { Chat } from "./conversation.ts";
import { runLines } from "./lines.ts";
import { runScreen } from "./screen.ts";

export interface ChatRun extends ChatArguments {
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  readonly onTerminal: boolean;
  readonly colour: boolean;
  readonly signal: AbortSignal;
}

export async function runChat(run: ChatRun): Promise<number> {
  const client = await Client.create({
    ...(await accountOptions(run)),
    requests: "ask",
    ...(run.ticket === undefined ? {} : { ticket: run.ticket }),
  });
  try {
    const chat = new Chat(client, run.peer);
    return await (run.onTerminal ? runScreen(chat, run) : runLines(chat, run));
  } finally {
    await client.close();
  }
}
