// What a file system's errors mean for a blob. Always true: of an error only its code is kept, for its words name the file.
import { codeOf, isNoRoom } from "../embedded/files.ts";
import { BlobError } from "../media.ts";

export function blobError(error: unknown): BlobError {
  if (error instanceof BlobError) return error;
  return new BlobError(isNoRoom(error) ? "full" : "failed", { cause: codeOf(error) });
}

/** What there is, or undefined where the file or folder is not there. */
export async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
