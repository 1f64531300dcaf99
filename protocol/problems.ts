// The one table of everything that can be refused: code, wire number, HTTP status, WebSocket close status where the
// connection ends, whether trying again can help, and one sentence. Numbers are never given to another code.

export type Retry = "never" | "later" | "after-change";

export interface Problem {
  /** Number in `refused`, `answer`, `goaway` and `error` frames. */
  readonly number: number;
  /** HTTP status where the code is an HTTP answer. */
  readonly http: number;
  /** WebSocket close status where the connection ends with it, else undefined. */
  readonly close: number | undefined;
  readonly retry: Retry;
  readonly says: string;
}

function problem(
  number: number,
  http: number,
  close: number | undefined,
  retry: Retry,
  says: string,
): Problem {
  return { number, http, close, retry, says };
}

export const PROBLEMS = {
  "malformed-frame": problem(1, 400, 4400, "never", "The bytes are not a frame of this protocol."),
  "unknown-frame": problem(
    2,
    400,
    4400,
    "never",
    "The opcode is not in the frame table of the agreed version.",
  ),
  "unexpected-frame": problem(
    3,
    400,
    4400,
    "never",
    "This side may not send this frame, or not on this connection or not now.",
  ),
  "frame-too-large": problem(4, 413, 4413, "never", "A frame or WebSocket message is over its size limit."),
  "version-unsupported": problem(5, 400, 4426, "never", "No protocol version is spoken by both sides."),
  "authentication-failed": problem(
    6,
    401,
    4401,
    "never",
    "The proof does not fit the challenge and the registered device key.",
  ),
  "authentication-timeout": problem(7, 408, 4408, "later", "The connection did not prove itself in time."),
  displaced: problem(8, 409, 4409, "never", "Another connection of the same device took over."),
  "epoch-behind": problem(
    9,
    409,
    4410,
    "after-change",
    "The connection epoch is not above the last one seen: the store may have been restored.",
  ),
  "device-removed": problem(10, 404, 4404, "never", "The device is not registered, or no longer."),
  "slow-reader": problem(11, 408, 4411, "later", "The connection does not read what is sent to it."),
  "ping-timeout": problem(
    12,
    408,
    4412,
    "later",
    "Nothing was heard from the connection for the ping time-out.",
  ),
  "too-many-connections": problem(13, 429, 4429, "later", "A limit of connections is reached."),
  "shutting-down": problem(
    14,
    503,
    1012,
    "later",
    "The node is closing; connect again, to another one if there is one.",
  ),
  fenced: problem(15, 503, 4503, "later", "The node is no longer the owner of this mailbox; connect again."),
  "not-permitted": problem(
    20,
    403,
    undefined,
    "never",
    "Wrong access key, unknown account or blocked: they are not told apart.",
  ),
  "unknown-name": problem(21, 404, undefined, "never", "No account has this name."),
  "no-device": problem(22, 404, undefined, "after-change", "The recipient's device does not exist any more."),
  "stale-list": problem(
    23,
    409,
    undefined,
    "after-change",
    "The recipient's device list has another version.",
  ),
  "mailbox-full": problem(24, 507, undefined, "later", "The recipient's mailbox is full."),
  expired: problem(25, 410, undefined, "never", "The envelope's expiry has passed."),
  "envelope-too-large": problem(26, 413, undefined, "never", "The envelope is over the relay's size limit."),
  "rate-limited": problem(27, 429, undefined, "later", "Too many requests; try again after the time given."),
  "storage-full": problem(
    28,
    507,
    undefined,
    "later",
    "The relay has no room to keep mail; nothing that was accepted is affected.",
  ),
  "storage-failed": problem(
    29,
    503,
    undefined,
    "later",
    "The relay's storage fails; nothing that was accepted is affected.",
  ),
  busy: problem(30, 503, undefined, "later", "Too much is under way for this recipient; try again."),
  "repeated-id": problem(31, 400, undefined, "never", "An envelope id or device stands twice in one submit."),
  "bad-request": problem(40, 400, undefined, "never", "The request does not have the documented shape."),
  unauthorized: problem(41, 401, undefined, "never", "The request's signature does not fit."),
  "clock-skew": problem(
    42,
    401,
    undefined,
    "after-change",
    "The request's time is too far from the relay's; use the time in the answer.",
  ),
  replayed: problem(43, 401, undefined, "never", "The request was seen before."),
  "name-invalid": problem(
    44,
    400,
    undefined,
    "never",
    "A name is 3 to 32 of a-z, 0-9, dot, underscore and hyphen.",
  ),
  "name-taken": problem(45, 409, undefined, "never", "The name belongs to another account."),
  "account-exists": problem(46, 409, undefined, "never", "The account id is registered with other keys."),
  "not-found": problem(47, 404, undefined, "never", "There is nothing at this path."),
  "list-conflict": problem(
    48,
    409,
    undefined,
    "after-change",
    "The device list is not the successor of the one on record.",
  ),
  "too-many-prekeys": problem(
    49,
    413,
    undefined,
    "never",
    "More one-time prekeys than the relay keeps for a device.",
  ),
  "not-ready": problem(50, 503, undefined, "later", "The relay is starting or closing."),
  "registration-closed": problem(52, 403, undefined, "never", "This relay takes no new accounts."),
  "ticket-required": problem(
    53,
    401,
    undefined,
    "after-change",
    "Registering here takes a ticket: an invite, or a token of the operator's own login.",
  ),
  "ticket-invalid": problem(
    54,
    403,
    undefined,
    "after-change",
    "The ticket is unknown, used up, expired, or for another name.",
  ),
  "identity-unreachable": problem(
    55,
    503,
    undefined,
    "later",
    "The relay cannot check the ticket: its keys cannot be had at the moment.",
  ),
  "linking-taken": problem(
    60,
    409,
    undefined,
    "never",
    "Something else stands in this slot of the linking mailbox: its code was used.",
  ),
  "linking-early": problem(
    61,
    409,
    undefined,
    "after-change",
    "The message before this one is not in the linking mailbox yet.",
  ),
  "linking-ended": problem(62, 410, undefined, "never", "There is no such linking mailbox, or it has ended."),
  internal: problem(51, 500, 1011, "later", "The relay has a fault; it has been logged."),
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
    super(detail === undefined ? PROBLEMS[code].says : `${PROBLEMS[code].says} (${detail})`);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}
