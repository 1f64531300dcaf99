// From an error to what a person can do about it. Always true: every code that `lethe chat` can meet at its start has
// a sentence that says what is wrong and one that says what to do.
import { ClientError } from "../errors.ts";
import { OperatorError } from "./operator.ts";
import { StoreError } from "../store/store.ts";

const ADVICE: Readonly<Record<string, string>> = {
  "relay-unreachable": "Start one with `lethe relay`, or name another with --relay URL.",
  "name-taken":
    "Take another name; or, if it is yours, give the store that you used before with --store FILE.",
  "name-invalid": "For example: lethe chat anna",
  "store-of-another": "Give another store with --store FILE, or use that name.",
  "unknown-user": "Is it spelled right? They have to have been at this relay once.",
  "wrong-passphrase": "Look at the first line of the file that you gave with --passphrase-file.",
  "passphrase-needed": "Put it on the first line of a file, and give that with --passphrase-file FILE.",
  "key-file-missing":
    "Without it nothing in the store can be read. To begin anew, give another store with --store FILE and another name.",
  "key-file-open": "For example: chmod 600 FILE.key",
  "store-in-use": "Is `lethe chat` running in another terminal with the same name?",
  "store-damaged": "Put back a copy of the whole store, or begin anew with --store FILE and another name.",
  "store-version": "Use a newer version of lethe.",
  "store-unreachable": "Is the folder there, and may you write to it?",
  "store-failed": "Is the disk full?",
  "authentication-failed":
    "The relay does not know this device's key: was its data folder removed? Begin anew with another store.",
  "device-removed": "The relay does not know this device any more. Begin anew with another store.",
  "ticket-required": "Ask the relay's operator for one, and give it with --ticket.",
  "ticket-invalid": "Is it whole? It may have been used, or be over: ask the relay's operator for another.",
  "registration-closed": "Use another relay, or a name that you have there already.",
  "identity-unreachable": "Try again in a minute.",
  "link-malformed": "It begins with lethe:contact? and is one word: was all of it copied?",
  "link-other-version": "The newer of the two programs made it: update the other one.",
  "link-other-relay": "They have to be at the same relay.",
  "link-refused": "They get it by /contact, or by lethe contact.",
  "primary-only": "Use the device that you began with.",
  "own-device": "To leave for good, begin anew on another device.",
  "not-listed": "`lethe devices USER` lists what there is.",
  "too-many-devices": "Remove one first: lethe devices USER remove N.",
  "linking-under-way": "Wait for its end, two and a half minutes at most.",
  "linking-expired": "Begin again: lethe link USER on the new device.",
  "linking-cancelled": "Begin again: lethe link USER on the new device.",
  "linking-ended": "It was given up, or took too long. Begin again: lethe link USER on the new device.",
  "linking-taken": "Was it yours? Begin again with another code: lethe link USER on the new device.",
  "linking-unfinished": "Was the new device stopped? Begin again: lethe link USER there.",
  "linking-version": "Use the same version of lethe on both devices.",
  "linking-other-relay": "Give both devices the same --relay URL.",
  "linking-other-account": "Somebody else has answered it. Begin again, and show the code to nobody.",
  "linking-refused": "Is the code whole? If it is, begin again, on another network if you can.",
  "rate-limited": "Wait a little and try again.",
  "media-off": "Use another relay, or another way for this file.",
  "media-too-large": "Send it in pieces, or ask the relay's operator for more room.",
  "media-quota": "Earlier files wait for their recipients: try again when they have been fetched.",
  "media-gone": "Ask whoever has sent it to send it again.",
  "media-not-saved": "Is the disk full, or the folder gone? /save takes another.",
  "media-source-changed": "/send it again.",
};

export function adviceFor(error: unknown): { says: string; advice: string | undefined } {
  if (error instanceof OperatorError) return { says: error.message, advice: error.advice };
  if (error instanceof ClientError || error instanceof StoreError)
    return { says: error.message, advice: ADVICE[error.code] };
  return { says: error instanceof Error ? error.message : String(error), advice: undefined };
}
