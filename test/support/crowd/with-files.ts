// The files of one person of the crowd: sent to a peer or a group, and saved where they come. Always true: a note stands in the
// history before the library is asked, and another when it has answered; a process that was killed goes on with what it had begun.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { bytesSource, type Client, ClientError, type Group, type ReceivedMedia } from "@lethe/client";
import { decodeRef } from "../../../client-lib/media/media-ref.ts";
import type { Chance } from "../chance.ts";
import { endOf, saveAndNote } from "./file-steps.ts";
import type { FileLine, FileTarget, Line } from "./history.ts";
import { namedIn } from "./in-groups.ts";
import { contentOf, fileName, hashOfFile } from "./media-history.ts";
import { WorkQueue } from "./work-queue.ts";

const AT_ONCE = 2;
/** Uploads of one person that have not ended: more are not begun. */
const MOST_UPLOADS = 4;
/** Of ten files, so many are up to so long, bytes. */
const SIZES = [
  [6, 4_096],
  [3, 262_144],
  [1, 5 * 1_048_576],
] as const;

export interface WithFilesParts {
  readonly client: Client;
  readonly chance: Chance;
  /** For what comes, until it is looked at; nothing else is in it. */
  readonly folder: string;
  readonly write: (line: Line) => void;
  /** Something went on. */
  readonly moved: () => void;
}

export class WithFiles {
  readonly #parts: WithFilesParts;
  readonly #uploads: WorkQueue;
  readonly #downloads: WorkQueue;
  /** Files that are saved, or about to be. */
  readonly #known: Set<string>;
  #begun: number;

  constructor(parts: WithFilesParts, history: readonly Line[]) {
    this.#parts = parts;
    mkdirSync(parts.folder, { recursive: true });
    const failed = (error: unknown): void => parts.write({ is: "trouble", what: `a file: ${String(error)}` });
    this.#uploads = new WorkQueue({ atOnce: AT_ONCE, changed: parts.moved, failed });
    this.#downloads = new WorkQueue({ atOnce: AT_ONCE, changed: parts.moved, failed });
    this.#known = filesThat(history, "file-saved");
    for (const file of this.#known) rmSync(join(parts.folder, file), { force: true });
    this.#begun = filesThat(history, "file-sending").size;
    for (const line of history)
      if (line.is === "file-shown") this.#save(parts.client.media.open(Buffer.from(line.ref, "base64url")));
    const ends = (["file-sent", "file-not-sent", "file-out-of-sight"] as const).map((is) =>
      filesThat(history, is),
    );
    for (const file of filesThat(history, "file-sending"))
      if (!ends.some((files) => files.has(file))) this.#uploads.add(() => this.#goOn(file));
  }

  /** To this user, or this group. */
  send(to: string | Group): void {
    if (this.#uploads.size >= MOST_UPLOADS) return;
    const { client, write } = this.#parts;
    const file = fileName(client.user, this.#begun++, this.#size());
    this.#uploads.add(async () => {
      const bytes = contentOf(file);
      write({ is: "file-sending", file, hash: hashOfFile(bytes), to: this.#targetOf(to) });
      const source = bytesSource(bytes, { name: file });
      await this.#end(file, () =>
        typeof to === "string" ? client.sendMedia(to, source) : client.groups.sendMedia(to.id, source),
      );
    });
  }

  /** A group as it is known now. */
  #targetOf(to: string | Group): FileTarget {
    if (typeof to === "string") return { user: to };
    const group = this.#parts.client.groups.get(to.id);
    return { ...namedIn(group), members: group.members.map(({ account }) => account) };
  }

  #size(): number {
    const { chance } = this.#parts;
    const [, most] = chance.pick(SIZES.flatMap((each) => Array.from({ length: each[0] }, () => each)));
    return chance.between(1, most);
  }

  async #end(file: string, upload: () => Promise<unknown>): Promise<void> {
    const end = await endOf(upload);
    if (end.is === "refused") this.#parts.write({ is: "file-not-sent", file, code: end.code });
    else this.#parts.write({ is: `file-${end.is}`, file });
  }

  /** An upload that an earlier life has begun, to its end. */
  async #goOn(file: string): Promise<void> {
    const { client, write } = this.#parts;
    const upload = (await client.media.unfinished()).find(({ name }) => name === file);
    if (upload === undefined) return write({ is: "file-out-of-sight", file });
    write({ is: "file-resumed", file });
    await this.#end(file, () => client.media.resume(upload.id, bytesSource(contentOf(file), { name: file })));
  }

  shown(id: string, media: ReceivedMedia): void {
    const ref = Buffer.from(media.ref).toString("base64url");
    const blob = Buffer.from(decodeRef(media.ref).id).toString("hex");
    this.#parts.write({ is: "file-shown", file: media.name, id, ref, blob });
    this.#save(media);
  }

  #save(media: ReceivedMedia): void {
    const { name: file } = media;
    const { folder, write } = this.#parts;
    if (this.#known.has(file)) return;
    this.#known.add(file);
    const note = {
      fetching: (from: number) => write({ is: "file-fetching", file, from }),
      saved: (hash: string) => write({ is: "file-saved", file, hash }),
    };
    this.#downloads.add(async () => {
      await saveAndNote(media, join(folder, file), note).catch((error: unknown) => {
        if (!(error instanceof ClientError)) throw error;
        write({ is: "file-not-saved", file, code: error.code });
      });
    });
  }
}

function filesThat(history: readonly Line[], is: FileLine["is"]): Set<string> {
  return new Set(history.flatMap((line) => (line.is === is && "file" in line ? [line.file] : [])));
}
