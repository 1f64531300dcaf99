// Files that are sent from the chat: `/send PATH [CAPTION]`, `/cancel [N]`, and those that an earlier run has left unfinished. Always
// true: an upload has a line from its beginning, whose state says what became of it.
import type { Client } from "../client.ts";
import type { Conversation } from "../client-events.ts";
import { ClientError } from "../errors.ts";
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
}

export class ChatUploads {
  readonly #config: ChatUploadsConfig;
  /** Messages with files of this run. */
  readonly #sent = new Set<string>();
  /** Those that go on by themselves, by id. */
  readonly #background = new Map<string, OutLine>();

  constructor(config: ChatUploadsConfig) {
    this.#config = config;
    config.client.on("error", ({ error }) => this.#failedSomewhere(error));
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
    this.#run({ where, line, head, name, size }, (progress) => {
      const options = { type, caption, ...pixels, progress };
      return where.group === undefined
        ? client.sendMedia(where.user, source, options)
        : client.groups.sendMedia(where.group, source, options);
    });
  }

  /** Beside what is written meanwhile. */
  #run(
    { where, line, head, name, size }: Sending,
    work: (progress: (done: number) => void) => Promise<{ readonly id: string }>,
  ): void {
    const { known, reach, note } = this.#config;
    const told = (percent: number) => ({ is: "upload", number: line.number, percent }) as const;
    withBar(this.#config, { name, size, told }, work).then(
      ({ id }) => {
        this.#sent.add(id);
        known(line, where, id, head);
        reach(line, "sent");
      },
      (error: unknown) => {
        const code = codeOf(error);
        // It goes on at the next start.
        if (code === "closed") return;
        const { says, advice } = adviceFor(error);
        note(`${name}: ${says}${advice === undefined ? "" : ` ${advice}`}`);
        reach(line, code === "expired" ? "expired" : "refused", code);
      },
    );
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

  async #goOn(upload: UnfinishedUpload): Promise<void> {
    const { begin, known, client, note, say } = this.#config;
    const { id, to, name, size, resume, state } = upload;
    const isGroup = client.groups.list().some((group) => group.id === to);
    const where: Conversation = isGroup ? { user: undefined, group: to } : { user: to, group: undefined };
    const file = state === "waits" ? await fileToSend(resume).catch((error: unknown) => error) : undefined;
    if (file instanceof Error) {
      const text = `${name} is not sent yet: ${file.message} /cancel gives it up.`;
      say({ is: "error", text });
      return note(text);
    }
    const found = file as Awaited<ReturnType<typeof fileToSend>> | undefined;
    const head = fileText({ ...upload, width: found?.width, height: found?.height });
    const line = begin(where, head);
    this.#sent.add(id);
    if (found === undefined) {
      this.#background.set(id, line);
      known(line, where, id, head);
    } else
      this.#run({ where, line, head, name, size }, (progress) =>
        client.media.resume(id, found.source, progress),
      );
  }

  /** Nobody waits for what goes on by itself: what has failed of it is what is not there any more. */
  #failedSomewhere(error: Error): void {
    if (this.#background.size === 0 || !(error instanceof ClientError)) return;
    const { code } = error;
    if (!code.startsWith("media-")) return;
    this.#config.after(async () => {
      const open = (await this.#config.client.media.unfinished()).map(({ id }) => id);
      for (const [id, line] of this.#background) {
        if (open.includes(id)) continue;
        this.#background.delete(id);
        if (line.state === "queued") this.#config.reach(line, "refused", code);
      }
    });
  }
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : "failed";
}
