// Steps of people with files that hold for whoever is killed in the middle of them.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { ClientError, type ReceivedMedia, saveMedia } from "@lethe/client";
import { hashOfFile } from "./media-history.ts";

export type UploadEnd =
  | { readonly is: "sent" }
  /** It needed no source, and its message has gone out meanwhile. */
  | { readonly is: "out-of-sight" }
  | { readonly is: "refused"; readonly code: string };

export async function endOf(upload: () => Promise<unknown>): Promise<UploadEnd> {
  try {
    await upload();
    return { is: "sent" };
  } catch (error) {
    const code = error instanceof ClientError ? error.code : String(error);
    return code === "media-unknown-upload" ? { is: "out-of-sight" } : { is: "refused", code };
  }
}

export interface Noting {
  /** So many bytes of it are there when fetching begins. */
  readonly fetching: (from: number) => void;
  readonly saved: (hash: string) => void;
}

/** Saves it, has its SHA-256 noted, and takes it away again. */
export async function saveAndNote(media: ReceivedMedia, path: string, note: Noting): Promise<void> {
  let isFirst = true;
  const progress = (from: number): void => {
    if (isFirst) note.fetching(from);
    isFirst = false;
  };
  await saveMedia(media, path, { progress }).catch((error: unknown) => {
    // An earlier life has saved it, and was killed before it could write that down.
    if (!(error instanceof ClientError && error.code === "media-gone" && existsSync(path))) throw error;
  });
  note.saved(hashOfFile(readFileSync(path)));
  rmSync(path);
}
