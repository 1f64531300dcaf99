// The one table of everything that can be refused: code, wire number, HTTP status, WebSocket close status where the
// connection ends, and whether trying again can help. Numbers are never given to another code. Each code's sentence is in
// `sentences.ts`: a page loads this table, and does without them.
import { SENTENCES } from "./sentences.ts";

export type Retry = "never" | "later" | "after-change";

export interface Problem {
  /** Number in `refused`, `answer`, `goaway` and `error` frames. */
  readonly number: number;
  /** HTTP status where the code is an HTTP answer. */
  readonly http: number;
  /** WebSocket close status where the connection ends with it, else undefined. */
  readonly close: number | undefined;
  readonly retry: Retry;
}

function problem(number: number, http: number, close: number | undefined, retry: Retry): Problem {
  return { number, http, close, retry };
}

export const PROBLEMS = {
  "malformed-frame": problem(1, 400, 4400, "never"),
  "unknown-frame": problem(2, 400, 4400, "never"),
  "unexpected-frame": problem(3, 400, 4400, "never"),
  "frame-too-large": problem(4, 413, 4413, "never"),
  "version-unsupported": problem(5, 400, 4426, "never"),
  "authentication-failed": problem(6, 401, 4401, "never"),
  "authentication-timeout": problem(7, 408, 4408, "later"),
  displaced: problem(8, 409, 4409, "never"),
  "epoch-behind": problem(9, 409, 4410, "after-change"),
  "device-removed": problem(10, 404, 4404, "never"),
  "slow-reader": problem(11, 408, 4411, "later"),
  "ping-timeout": problem(12, 408, 4412, "later"),
  "too-many-connections": problem(13, 429, 4429, "later"),
  "shutting-down": problem(14, 503, 1012, "later"),
  fenced: problem(15, 503, 4503, "later"),
  "not-permitted": problem(20, 403, undefined, "never"),
  "unknown-name": problem(21, 404, undefined, "never"),
  "no-device": problem(22, 404, undefined, "after-change"),
  "stale-list": problem(23, 409, undefined, "after-change"),
  "mailbox-full": problem(24, 507, undefined, "later"),
  expired: problem(25, 410, undefined, "never"),
  "envelope-too-large": problem(26, 413, undefined, "never"),
  "rate-limited": problem(27, 429, undefined, "later"),
  "storage-full": problem(28, 507, undefined, "later"),
  "storage-failed": problem(29, 503, undefined, "later"),
  busy: problem(30, 503, undefined, "later"),
  "repeated-id": problem(31, 400, undefined, "never"),
  "bad-request": problem(40, 400, undefined, "never"),
  unauthorized: problem(41, 401, undefined, "never"),
  "clock-skew": problem(42, 401, undefined, "after-change"),
  replayed: problem(43, 401, undefined, "never"),
  "name-invalid": problem(44, 400, undefined, "never"),
  "name-taken": problem(45, 409, undefined, "never"),
  "account-exists": problem(46, 409, undefined, "never"),
  "not-found": problem(47, 404, undefined, "never"),
  "list-conflict": problem(48, 409, undefined, "after-change"),
  "too-many-prekeys": problem(49, 413, undefined, "never"),
  "not-ready": problem(50, 503, undefined, "later"),
  "registration-closed": problem(52, 403, undefined, "never"),
  "ticket-required": problem(53, 401, undefined, "after-change"),
  "ticket-invalid": problem(54, 403, undefined, "after-change"),
  "identity-unreachable": problem(55, 503, undefined, "later"),
  "linking-taken": problem(60, 409, undefined, "never"),
  "linking-early": problem(61, 409, undefined, "after-change"),
  "linking-ended": problem(62, 410, undefined, "never"),
  internal: problem(51, 500, 1011, "later"),
} as const satisfies Record<string, Problem>;

export type ProblemCode = keyof typeof PROBLEMS;

const byNumber = new Map<number, ProblemCode>(
  (Object.keys(PROBLEMS) as ProblemCode[]).map((code) => [PROBLEMS[code].number, code]),
);
const byClose = new Map<number, ProblemCode>();
for (const code of Object.keys(PROBLEMS) as ProblemCode[]) {
  const close = PROBLEMS[code].close;
  if (close !== undefined && !byClose.has(close)) byClose.set(close, code);
}

/** The code of a wire number; a number of a later version is undefined. */
export function problemOf(number: number): ProblemCode | undefined {
  return byNumber.get(number);
}

/** The (first) code whose connection ends with this WebSocket close status. */
export function problemOfClose(status: number): ProblemCode | undefined {
  return byClose.get(status);
}

/** Something that was refused, with its stable code. The message is the table's sentence, with an optional detail. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: ProblemCode;
  /** Milliseconds to wait before another try, where the relay said so. */
  readonly retryAfter: number | undefined;

  constructor(code: ProblemCode, detail?: string, retryAfter?: number) {
    super(detail === undefined ? SENTENCES[code] : `${SENTENCES[code]} (${detail})`);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}
