// Files that are sent from the chat: `/send PATH [CAPTION]`, `/cancel [N]`, and those that an earlier run has left unfinished. Always
// true: an upload has a line from its beginning, whose state says what became of it.
import type { Client } from "../client.ts";
import type { Conversation } from "../client-events.ts";
import type { UnfinishedUpload } from "../media/uploads.ts";
import { adviceFor } from "./advice.ts";
import { fileToSend } from "./file-places.ts";
import { fileText, pathAndRest } from "./file-text.ts";
import type { Line, State } from "./happenings.ts";
import { type Showing, withBar } from "./transfer.ts";

export type OutLine = Line & { readonly kind: "out" };

export interface ChatUploadsConfig extends Showing {
  readonly client: Client;
  /** Where one writes to. @throws Error */
  readonly here: () => Conversation;
  /** A line for a message that has no id yet. */
  readonly begin: (where: Conversation, text: string) => OutLine;
  /** The line's message has this id; an edit of it leaves `head` as it is. */
  readonly known: (line: OutLine, where: Conversation, id: string, head: string) => void;
  readonly reach: (line: OutLine, state: State, code?: string) => void;
  readonly after: (what: () => Promise<void>) => void;
}

interface Sending {
  readonly where: Conversation;
  readonly line: OutLine;
  readonly head: string;
  readonly name: string;
  readonly size: number;
  /** Of its message, where that is known before it is sent. */
  readonly id: string | undefined;
}

export class ChatUploads {
  readonly #config: ChatUploadsConfig;
  /** Messages with files of this run. */
  readonly #sent = new Set<string>();

  constructor(config: ChatUploadsConfig) {
    this.#config = config;
  }

  static get help(): string {
    return "/send PATH [CAPTION]  /cancel [N]";
  }

  /** False: the command is none of these. */
  takes(name: string, rest: string): boolean {
    const { after } = this.#config;
    if (name === "send" && rest !== "") after(() => this.#send(rest));
    else if (name === "cancel" && /^\d*$/.test(rest))
      after(() => this.#cancel(Number(rest === "" ? 1 : rest)));
    else return false;
    return true;
  }

  async #send(typed: string): Promise<void> {
    const { client, here, begin } = this.#config;
    const { path, rest: caption } = pathAndRest(typed);
    const where = here();
    const { source, name, type, width, height } = await fileToSend(path);
    const { size } = source;
    const head = fileText({ name, type, size, width, height });
    const line = begin(where, caption === "" ? head : `${head} ${caption}`);
    const pixels = width === undefined || height === undefined ? {} : { width, height };
    this.#run({ where, line, head, name, size, id: undefined }, (progress) => {
      const options = { type, caption, ...pixels, progress };
      return where.group === undefined
        ? client.sendMedia(where.user, source, options)
        : client.groups.sendMedia(where.group, source, options);
    });
  }

  /** Beside what is written meanwhile. */
  #run(sending: Sending, work: (progress: (done: number) => void) => Promise<{ readonly id: string }>): void {
    const { where, line, head, name, size } = sending;
    const { known, reach } = this.#config;
    const told = (percent: number) => ({ is: "upload", number: line.number, percent }) as const;
    withBar(this.#config, { name, size, told }, work).then(
      ({ id }) => {
        this.#sent.add(id);
        if (sending.id === undefined) known(line, where, id, head);
        reach(line, "sent");
      },
      (error: unknown) => this.#failed(sending, error),
    );
  }

  #failed({ line, name, id }: Sending, error: unknown): void {
    const { reach, note } = this.#config;
    const code = codeOf(error);
    // It goes on at the next start; or it went on by itself, and its message tells how far.
    if (code === "closed" || (code === "media-unknown-upload" && id !== undefined)) return;
    const { says, advice } = adviceFor(error);
    note(`${name}: ${says}${advice === undefined ? "" : ` ${advice}`}`);
    reach(line, code === "expired" ? "expired" : "refused", code);
  }

  async #cancel(number: number): Promise<void> {
    const { client } = this.#config;
    const open = await client.media.unfinished();
    const upload = open.at(-number);
    if (upload === undefined || number === 0) throw new Error(`There is no upload ${number} under way.`);
    await client.media.cancel(upload.id);
  }

  /** Takes the file of a deleted message of ours back, where that can still be. */
  async withdraw(id: string): Promise<void> {
    if (this.#sent.delete(id)) await this.#config.client.media.withdraw(id);
  }

  // --- of an earlier run ---------------------------------------------------------------------------------------------

  async goOn(): Promise<void> {
    for (const upload of await this.#config.client.media.unfinished()) await this.#goOn(upload);
  }

  async #goOn({ id, to, resume, ...about }: UnfinishedUpload): Promise<void> {
    const { begin, known, client } = this.#config;
    const { name, size } = about;
    const isGroup = client.groups.list().some((group) => group.id === to);
    const where: Conversation = isGroup ? { user: undefined, group: to } : { user: to, group: undefined };
    const file = await fileToSend(resume).catch((error: unknown) => this.#missing(name, error));
    if (file === undefined) return;
    const { source, width, height } = file;
    const head = fileText({ ...about, width, height });
    const line = begin(where, head);
    known(line, where, id, head);
    this.#sent.add(id);
    this.#run({ where, line, head, name, size, id }, (progress) => client.media.resume(id, source, progress));
  }

  #missing(name: string, error: unknown): undefined {
    const text = `${name} is not sent yet: ${adviceFor(error).says} /cancel gives it up.`;
    this.#config.say({ is: "error", text });
    this.#config.note(text);
  }
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : "failed";
}
