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
  "link-malformed": "This is no contact link, or a part of it is missing.",
  "link-other-version": "The contact link is of another version of this program.",
  "link-other-relay": "The contact link is of somebody at another relay.",
  "link-own": "This is your own contact link: it is for others.",
  "link-refused":
    "The relay refuses the contact link's key: it was replaced since, or they have blocked this account. Ask them for a new link.",
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
  "unknown-group": "This device knows no such group.",
  "not-a-member": "This account is not in the group.",
  "not-admin": "Only an admin of the group may do this.",
  "not-allowed": "Only admins write in this group.",
  "already-member": "Somebody to be added is in the group already.",
  "unknown-member": "Somebody named is not in the group.",
  "group-full": "A group has no more than 1,024 members.",
  "last-admin": "A group needs an admin: promote somebody before.",
  "name-too-long": "A group's name is 1 to 128 bytes.",
  "too-many-groups": "This device is in as many groups as it can hold.",
  unchanged: "It is so already.",
  "policy-malformed": "What the relay says of itself is not what a relay says.",
  "primary-only": "Only the account's first device, which holds the account key, links and removes others.",
  "own-device": "The first device cannot be removed: delete the account instead.",
  "not-listed": "The account has no such device.",
  "too-many-devices": "The account has as many devices as it may have.",
  "linking-under-way": "A device is being linked already.",
  "linking-expired": "It took too long: have the new device show another code.",
  "linking-cancelled": "The linking was given up.",
  "linking-version": "The code is of another version of this program.",
  "linking-other-relay": "The code is of a device at another relay.",
  "linking-other-account": "The code was answered for another account.",
  "linking-refused":
    "The code, or what was answered to it, is not as it was made: somebody may stand in between.",
  "linking-unfinished": "The new device did not come in time, and was taken out of the account again.",
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
