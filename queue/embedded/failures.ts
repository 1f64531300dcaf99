// What a store says of something that it could not do.
import { StoreFailedError, type StoreFailure } from "../mailbox.ts";

/** The failure that an error of the directory's worker stands for. */
export function failureOf(error: unknown): StoreFailure {
  return { is: "failed", code: error instanceof StoreFailedError ? error.code : "storage-failed" };
}
