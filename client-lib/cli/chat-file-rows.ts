// What the chat keeps of files that have come and are not saved: rows of the client's own store, which is encrypted, for whoever has
// such a row can fetch the file. Always true: what does not decode is refused; there are no more rows than the cap.
import { bytes, decodeAll, encode, type Of, oneOf, optional, struct, text, time } from "@lethe/protocol";
import type { ClientStore } from "../store/store.ts";

const TABLE = "chat-file";
/** Rows; the oldest goes first. */
export const MAX_FILES = 1_000;
/** No relay keeps a file longer, ms. */
const LIFE_MS = 30 * 24 * 3_600_000;

const row = struct({
  format: oneOf({ one: 1 }),
  /** When it came. */
  at: time,
  /** Its message: the author's account and the id, hexadecimal. */
  account: text(32),
  id: text(32),
  user: optional(text(64)),
  group: optional(text(32)),
  /** Who sent it, as it was shown. */
  from: text(1_024),
  /** `ReceivedMedia.ref`: a caption of 16 KiB, names, key. */
  ref: bytes(32_768),
  /** `moving`: all of it is there, and gets its name. */
  stage: oneOf({ kept: 0, saving: 1, moving: 2 }),
  /** Where it is to be saved; "" while nobody has said. */
  into: text(8_192),
});
export type FileRow = Omit<Of<typeof row>, "format">;

export function keyOf({ account, id }: { readonly account: string; readonly id: string }): string {
  return account + id;
}

export class FileRows {
  readonly #store: ClientStore;

  constructor(store: ClientStore) {
    this.#store = store;
  }

  /** Oldest first. What the relay has no longer is forgotten. */
  async read(now: number): Promise<FileRow[]> {
    const rows = (await this.#store.list(TABLE)).map(({ value }) => decodeAll(row, value));
    const old = rows.filter(({ at }) => now - at > LIFE_MS);
    await this.remove(old);
    return rows.filter((each) => !old.includes(each)).sort((a, b) => a.at - b.at);
  }

  put(file: FileRow): Promise<void> {
    const value = encode(row, { format: "one", ...file });
    return this.#store.commit([{ table: TABLE, key: keyOf(file), value }]);
  }

  remove(files: readonly FileRow[]): Promise<void> {
    return this.#store.commit(files.map((file) => ({ table: TABLE, key: keyOf(file), value: undefined })));
  }
}
