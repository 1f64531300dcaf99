// The one table of everything that can be refused: code, wire number, WebSocket close status where the connection ends, and
// whether trying again can help. Numbers are never given to another code. Each code's sentence is in `sentences.ts`, its
// HTTP status in `statuses.ts`: a page loads this table, and does without them.
import { SENTENCES } from "./sentences.ts";

export type Retry = "never" | "later" | "after-change";

export interface Problem {
  /** Number in `refused`, `answer`, `goaway` and `error` frames. */
  readonly number: number;
  /** WebSocket close status where the connection ends with it, else undefined. */
  readonly close: number | undefined;
  readonly retry: Retry;
}

function problem(number: number, retry: Retry, close?: number): Problem {
  return { number, close, retry };
}

export const PROBLEMS = {
  "malformed-frame": problem(1, "never", 4400),
  "unknown-frame": problem(2, "never", 4400),
  "unexpected-frame": problem(3, "never", 4400),
  "frame-too-large": problem(4, "never", 4413),
  "version-unsupported": problem(5, "never", 4426),
  "authentication-failed": problem(6, "never", 4401),
  "authentication-timeout": problem(7, "later", 4408),
  displaced: problem(8, "never", 4409),
  "epoch-behind": problem(9, "after-change", 4410),
  "device-removed": problem(10, "never", 4404),
  "slow-reader": problem(11, "later", 4411),
  "ping-timeout": problem(12, "later", 4412),
  "too-many-connections": problem(13, "later", 4429),
  "shutting-down": problem(14, "later", 1012),
  fenced: problem(15, "later", 4503),
  "not-permitted": problem(20, "never"),
  "unknown-name": problem(21, "never"),
  "no-device": problem(22, "after-change"),
  "stale-list": problem(23, "after-change"),
  "mailbox-full": problem(24, "later"),
  expired: problem(25, "never"),
  "envelope-too-large": problem(26, "never"),
  "rate-limited": problem(27, "later"),
  "storage-full": problem(28, "later"),
  "storage-failed": problem(29, "later"),
  busy: problem(30, "later"),
  "repeated-id": problem(31, "never"),
  "bad-request": problem(40, "never"),
  unauthorized: problem(41, "never"),
  "clock-skew": problem(42, "after-change"),
  replayed: problem(43, "never"),
  "name-invalid": problem(44, "never"),
  "name-taken": problem(45, "never"),
  "account-exists": problem(46, "never"),
  "not-found": problem(47, "never"),
  "list-conflict": problem(48, "after-change"),
  "too-many-prekeys": problem(49, "never"),
  "not-ready": problem(50, "later"),
  "registration-closed": problem(52, "never"),
  "ticket-required": problem(53, "after-change"),
  "ticket-invalid": problem(54, "after-change"),
  "identity-unreachable": problem(55, "later"),
  "linking-taken": problem(60, "never"),
  "linking-early": problem(61, "after-change"),
  "linking-ended": problem(62, "never"),
  "media-off": problem(70, "never"),
  "media-too-large": problem(71, "never"),
  "media-quota": problem(72, "later"),
  "media-taken": problem(73, "never"),
  "media-gone": problem(74, "never"),
  "media-unfinished": problem(75, "after-change"),
  "media-not-permitted": problem(76, "after-change"),
  "media-part-wrong": problem(77, "never"),
  "media-range": problem(78, "never"),
  "media-closed": problem(79, "never"),
  internal: problem(51, "later", 1011),
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
