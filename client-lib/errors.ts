// What can go wrong towards the application: a stable code, and how it reads. The sentences are in `sentences.ts`.
import type { ProblemJson } from "@lethe/protocol";
import type { RefusalCode } from "./delivery/events.ts";
import { wordingOf } from "./edge/wording.ts";
import type { OwnCode } from "./sentences.ts";

/** Codes of this library, of the relay's table, and of the cryptography. */
export type ClientErrorCode = OwnCode | RefusalCode;

export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly code: ClientErrorCode;
  /** How long the relay asks to wait before another try, ms, where it says so. */
  readonly retryAfter: number | undefined;

  constructor(code: ClientErrorCode, detail?: string, retryAfter?: number) {
    super(wordingOf(code, detail));
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** Whether a value is what the relay answers instead of a success. */
export function isProblem(value: unknown): value is ProblemJson {
  return typeof value === "object" && value !== null && "code" in value && "now" in value && "says" in value;
}
