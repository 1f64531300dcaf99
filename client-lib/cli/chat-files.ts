// Files that others, or another device of one's own, have sent: `/files`, `/save [N] [PATH]`, `/discard [N]`. Always true: what is to be
// saved is durable before its message is settled, and goes on after a restart; a file that was deleted is neither fetched nor shown.
import { createHash, randomInt } from "node:crypto";
import { join } from "node:path";
import type { Client } from "../client.ts";
import type { ClientEvents, Conversation, ReceivedMessage } from "../client-events.ts";
import { ClientError } from "../errors.ts";
import { saveMedia } from "../media/file-sink.ts";
import type { ReceivedMedia } from "../media/received.ts";
import { safeName } from "../media/safe-name.ts";
import { Turns } from "../media/turns.ts";
import type { Target } from "../said.ts";
import { adviceFor } from "./advice.ts";
import { type FileRow, type FileRows, keyOf, MAX_FILES } from "./chat-file-rows.ts";
import { isFile, moveToFree, placeFor, removeBeside, smallFile } from "./file-places.ts";
import { fileText, pathAndRest } from "./file-text.ts";
import type { Line } from "./happenings.ts";
import { type ImageProtocol, MAX_IMAGE_BYTES, terminalImage } from "./terminal-image.ts";
import { type Showing, withBar } from "./transfer.ts";

export interface FilesOptions {
  readonly rows: FileRows;
  /** Where everything is saved that comes; undefined: what a person says. */
  readonly saveTo: string | undefined;
  /** How pictures can be shown, if they can. */
  readonly images: ImageProtocol | undefined;
}

export interface ChatFilesConfig extends Showing, FilesOptions {
  readonly client: Client;
  /** Where one writes to. @throws Error */
  readonly here: () => Conversation;
  readonly after: (what: () => Promise<void>) => void;
  /** A notice that a command has asked for. */
  readonly answer: (text: string) => void;
}

interface Kept {
  row: FileRow;
  readonly media: ReceivedMedia;
  readonly end: AbortController;
  saving: Promise<void> | undefined;
}

/** Files that are fetched at once; further ones wait. */
const MAX_SAVES = 2;
/** Pictures in the memory of the chat and the terminal. */
const MAX_IMAGES = 8;
const MAX_IMAGE_ID = 2 ** 31;

export class ChatFiles {
  readonly #config: ChatFilesConfig;
  /** Oldest first. */
  #files: Kept[] = [];
  readonly #turns = new Turns(MAX_SAVES);
  readonly #images: (Line & { kind: "image" })[] = [];

  constructor(config: ChatFilesConfig) {
    this.#config = config;
    config.client.on("deleted", (event) => this.#gone(event));
    config.client.on("disappear", (event) => this.#gone(event));
  }

  static get help(): string {
    return "/files  /save [N] [PATH]  /discard [N]";
  }

  /** Files that are being saved. */
  get saving(): number {
    return this.#files.filter(({ saving }) => saving !== undefined).length;
  }

  /** False: the command is none of these. */
  takes(name: string, rest: string): boolean {
    const { after } = this.#config;
    const [, digits = "", typed = ""] = /^(?:(\d+)(?:\s+|$))?(.*)$/.exec(rest) ?? [];
    const number = digits === "" ? 1 : Number(digits);
    if (name === "save") after(async () => this.#save(this.#at(number), typed));
    else if (name === "discard" && typed === "") after(async () => this.#discard(this.#at(number)));
    else if (name === "files" && rest === "") after(async () => this.#list());
    else return false;
    return true;
  }

  #isHere({ row: { user, group } }: Kept): boolean {
    const here = this.#config.here();
    return user === here.user && group === here.group;
  }

  /** The so many newest file here. @throws Error where there is none */
  #at(number: number): Kept {
    const here = this.#files.filter((kept) => this.#isHere(kept));
    const found = number === 0 ? undefined : here.at(-number);
    if (found === undefined) throw new Error(`There is no file ${number} here that is not saved.`);
    return found;
  }

  #list(): void {
    const { note, say, answer } = this.#config;
    const here = this.#files.filter((kept) => this.#isHere(kept));
    if (here.length === 0) answer("No files here that are not saved.");
    here.forEach(({ row: { from }, media }, i) => {
      const [number, text] = [here.length - i, `${from}: ${fileText(media)}`];
      note(`${number}  ${text}`);
      say({ is: "file", number, text });
    });
  }

  /** A message has come; with a file it is kept until it is saved or discarded. */
  async received(
    where: Conversation,
    { account, id, media }: Target & Pick<ReceivedMessage, "media">,
    from: string,
  ): Promise<void> {
    if (media === undefined) return;
    const { rows, saveTo } = this.#config;
    const into = saveTo === undefined ? "" : join(saveTo, safeName(media.name));
    const row: FileRow = {
      ...{ ...where, account, id, from, ref: media.ref, into },
      at: Date.now() as FileRow["at"],
      stage: into === "" ? "kept" : "saving",
    };
    if (this.#files.some((kept) => keyOf(kept.row) === keyOf(row))) return;
    await rows.put(row);
    if (this.#files.length >= MAX_FILES) await this.#discard(this.#files[0] as Kept);
    if (media.thumbnail !== undefined) this.#show(row, media.thumbnail);
    const kept = this.#keep(row, media);
    if (into !== "") this.#start(kept);
  }

  #keep(row: FileRow, media: ReceivedMedia): Kept {
    const kept = { row, media, end: new AbortController(), saving: undefined };
    this.#files.push(kept);
    return kept;
  }

  /** What an earlier run was saving. */
  async goOn(): Promise<void> {
    const { rows, client, note } = this.#config;
    for (const row of await rows.read(Date.now())) this.#keep(row, client.media.open(row.ref));
    for (const kept of this.#files) if (kept.row.stage !== "kept") this.#start(kept);
    const waiting = this.#files.length - this.saving;
    if (waiting > 0)
      note(`Files from before that are not saved: ${waiting}. /files lists those of a conversation.`);
  }

  // --- saving --------------------------------------------------------------------------------------------------------

  async #save(kept: Kept, typed: string): Promise<void> {
    if (kept.saving !== undefined) throw new ClientError("media-under-way", safeName(kept.media.name));
    const into = await placeFor(pathAndRest(typed).path, kept.media.name);
    await this.#change(kept, { stage: "saving", into });
    this.#start(kept);
  }

  /** Beside what is written meanwhile. */
  #start(kept: Kept): void {
    const work = this.#turns.take(kept.end.signal, () => this.#fetch(kept));
    kept.saving = work
      .catch((error: unknown) => (kept.end.signal.aborted ? undefined : this.#failed(kept, error)))
      .catch(() => undefined) // the store is closed
      .finally(() => {
        kept.saving = undefined;
        this.#config.say({ is: "moved" });
      });
  }

  async #fetch(kept: Kept): Promise<void> {
    const { media, row, end } = kept;
    const name = safeName(media.name);
    const beside = besideOf(row);
    const told = (percent: number) => ({ is: "saving", name, percent }) as const;
    if (row.stage === "saving") {
      await withBar(this.#config, { name, size: media.size, told }, (progress) =>
        saveMedia(media, beside, { progress, signal: end.signal }),
      );
      await this.#change(kept, { stage: "moving" });
    }
    // An earlier run may have come so far.
    if (!(await isFile(beside))) return this.#forget(kept);
    const path = await moveToFree(beside, row.into);
    await this.#forget(kept);
    const { say, note, images } = this.#config;
    say({ is: "saved", path });
    note(`${name} is saved: ${path}`);
    const bytes = images === undefined ? undefined : await smallFile(path, MAX_IMAGE_BYTES[images]);
    if (bytes !== undefined) this.#show(row, bytes);
  }

  async #failed(kept: Kept, error: unknown): Promise<void> {
    const { say, note } = this.#config;
    const code = error instanceof ClientError ? error.code : "failed";
    // It goes on at the next start.
    if (code === "closed") return;
    const name = safeName(kept.media.name);
    const { says, advice } = adviceFor(error);
    say({ is: "unsaved", name, code });
    note(`${name}: ${says}${advice === undefined ? "" : ` ${advice}`}`);
    if (code === "media-gone") await this.#forget(kept);
    else if (kept.row.stage === "saving") await this.#change(kept, { stage: "kept", into: "" });
  }

  async #change(kept: Kept, change: Partial<FileRow>): Promise<void> {
    const row = { ...kept.row, ...change };
    await this.#config.rows.put(row);
    kept.row = row;
  }

  async #forget(kept: Kept): Promise<void> {
    await this.#config.rows.remove([kept.row]);
    this.#files = this.#files.filter((each) => each !== kept);
  }

  // --- letting go ----------------------------------------------------------------------------------------------------

  async #discard(kept: Kept): Promise<void> {
    await this.#letGo(kept);
    const name = safeName(kept.media.name);
    this.#config.say({ is: "discarded", name });
    this.#config.note(`${name} is let go of.`);
  }

  async #letGo(kept: Kept): Promise<void> {
    this.#files = this.#files.filter((each) => each !== kept);
    kept.end.abort();
    await kept.saving;
    await kept.media.discard();
    if (kept.row.into !== "") await removeBeside(besideOf(kept.row));
    await this.#config.rows.remove([kept.row]);
  }

  async #gone({ account, ids }: ClientEvents["disappear"] | ClientEvents["deleted"]): Promise<void> {
    const keys = ids.map((id) => keyOf({ account, id }));
    for (const line of this.#images.filter(({ key }) => keys.includes(key))) this.#hideImage(line);
    for (const kept of this.#files.filter(({ row }) => keys.includes(keyOf(row)))) await this.#letGo(kept);
  }

  // --- pictures ------------------------------------------------------------------------------------------------------

  #show(row: FileRow, bytes: Uint8Array): void {
    const { images, show } = this.#config;
    const image = images === undefined ? undefined : terminalImage(images, bytes, randomInt(1, MAX_IMAGE_ID));
    if (image === undefined) return;
    const line = { kind: "image", key: keyOf(row), image } as const;
    for (const before of this.#images.filter(({ key }) => key === line.key)) this.#hideImage(before);
    if (this.#images.length >= MAX_IMAGES) this.#hideImage(this.#images[0] as Line & { kind: "image" });
    this.#images.push(line);
    show(line);
  }

  #hideImage(line: Line & { kind: "image" }): void {
    this.#images.splice(this.#images.indexOf(line), 1);
    this.#config.hide(line);
  }
}

/** What it is called until all of it is there: no other file that is saved there is called so. */
function besideOf(row: FileRow): string {
  // An id alone may be another author's too, who wants this file's place.
  return `${row.into}.${createHash("sha256").update(keyOf(row)).digest("hex").slice(0, 16)}`;
}
