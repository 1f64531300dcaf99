// What went wrong with a call to Redis, in the words of the store's interfaces.
import { StoreClosedError, StoreFailedError, type StoreFailure } from "../mailbox.ts";

/** Full memory, or a full disk under the append-only file: the two ways of having no room. */
const FULL = /^OOM\b|No space left on device/;

export function closedError(): StoreClosedError {
  return new StoreClosedError("the store is closed");
}

/** The error that a call rejects with. Redis's own words are kept: they name commands and settings, never people. */
export function storeError(error: unknown): StoreFailedError | StoreClosedError {
  if (error instanceof StoreFailedError || error instanceof StoreClosedError) return error;
  const message = error instanceof Error ? error.message : "not an error";
  return new StoreFailedError(FULL.test(message) ? "storage-full" : "storage-failed", message);
}

/** The answer that stands for an error of a call; that the store is closed is no answer and is thrown on. */
export function failureOf(error: unknown): StoreFailure {
  const known = storeError(error);
  if (known instanceof StoreClosedError) throw known;
  return { is: "failed", code: known.code };
}
