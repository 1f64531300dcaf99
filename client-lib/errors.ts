// What can go wrong towards the application: a stable code, one sentence, and what to do where something can be done.
import { PROBLEMS, type ProblemCode, type ProblemJson } from "@lethe/protocol";
import type { RefusalCode } from "./delivery/events.ts";

const OWN = {
  "relay-unreachable": "The relay does not answer: is it running, and is its address right?",
  "name-invalid": "A name is 3 to 32 of a-z, 0-9, dot, underscore and hyphen.",
  "name-taken": "The name belongs to somebody else: take another.",
  "store-of-another": "The store belongs to another name: use that name, or another store.",
  "unknown-user": "Nobody has this name at this relay.",
  "account-key-changed": "The account behind this name has another key than before: nothing is sent to it.",
  "keys-unknown": "This account's keys are not known yet: exchange a message first.",
  "safety-number-differs": "The code belongs to another pair of accounts: somebody may stand in between.",
  "not-sealable": "The recipient's keys could not be had.",
  "no-other-device": "A note to oneself goes to this account's other devices, and there are none.",
  "outbox-full": "Too much is waiting to be sent: try again later.",
  "body-too-large": "The message is too long.",
  blocked: "This account is blocked.",
  expired: "The message expired before the relay took it.",
  "not-a-contact": "Only contacts are watched: accept them, and have a message of theirs.",
  "too-many-watched": "So many people cannot be watched at once: stop watching others.",
  "policy-malformed": "What the relay says of itself is not what a relay says.",
  stopped: "The relay does not let this device in any more.",
  closed: "The client is closed.",
} as const;

/** Codes of this library, of the relay's table, and of the cryptography. */
export type ClientErrorCode = keyof typeof OWN | RefusalCode;

export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly code: ClientErrorCode;
  /** How long the relay asks to wait before another try, ms, where it says so. */
  readonly retryAfter: number | undefined;

  constructor(code: ClientErrorCode, detail?: string, retryAfter?: number) {
    const says = sentenceOf(code);
    super(detail === undefined ? says : `${says} (${detail})`);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

function sentenceOf(code: string): string {
  if (code in OWN) return OWN[code as keyof typeof OWN];
  if (code in PROBLEMS) return PROBLEMS[code as ProblemCode].says;
  return `Refused: ${code}.`;
}

/** Whether a value is what the relay answers instead of a success. */
export function isProblem(value: unknown): value is ProblemJson {
  return typeof value === "object" && value !== null && "code" in value && "now" in value && "says" in value;
}
