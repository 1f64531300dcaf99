// `lethe chat` and `lethe contact`: a client, and a face for it: the screen of a terminal, or lines in a pipe.
// Always true: the store is closed before the command ends, whatever ends it.
import type { ReadStream, WriteStream } from "node:tty";
import { Client } from "../client.ts";
import { accountOptions } from "./account.ts";
import type { ClientStore } from "../store/store.ts";
import type { AccountArguments, ChatArguments } from "./arguments.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { FileRows } from "./chat-file-rows.ts";
import { Chat } from "./conversation.ts";
import { folderAt } from "./file-places.ts";
import { drawQr } from "./qr.ts";
import { runLines } from "./lines.ts";
import { runScreen } from "./screen.ts";
import type { ImageProtocol } from "./terminal-image.ts";

export interface ChatRun extends Omit<ChatArguments, "images"> {
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  readonly onTerminal: boolean;
  readonly colour: boolean;
  /** How the terminal shows pictures, if it does. */
  readonly images: ImageProtocol | undefined;
  readonly signal: AbortSignal;
}

interface Opened {
  readonly client: Client;
  /** The client's: it closes it. */
  readonly store: ClientStore;
}

async function open(run: AccountArguments): Promise<Opened> {
  const { store: file, passphrase, ...options } = await accountOptions(run);
  const store = await openSqliteStore({ file, ...(passphrase === undefined ? {} : { passphrase }) });
  const ticket = run.ticket === undefined ? {} : { ticket: run.ticket };
  return { client: await Client.create({ ...options, ...ticket, store, requests: "ask" }), store };
}

/** Prints the link; on a terminal its QR code as well. */
export async function runContact(
  run: AccountArguments,
  output: { write(text: string): void; readonly onTerminal: boolean },
): Promise<number> {
  const { client } = await open(run);
  try {
    const link = client.contactLink();
    output.write(`${output.onTerminal ? drawQr(link) : ""}${link}\n`);
    return 0;
  } finally {
    await client.close();
  }
}

export async function runChat(run: ChatRun): Promise<number> {
  const saveTo = run.saveTo === undefined ? undefined : await folderAt(run.saveTo);
  const { client, store } = await open(run);
  try {
    const files = { rows: new FileRows(store), saveTo, images: run.images };
    const chat = new Chat(client, run.peer, files);
    return await (run.onTerminal ? runScreen(chat, run) : runLines(chat, run));
  } finally {
    await client.close();
  }
}
