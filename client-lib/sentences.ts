// The sentence of each code that an application can meet: this library's own, a store's, and the relay's. Always true: only
// Node's half (`edge/wording.ts`) takes them by itself; a page that shows none of them does not load them.
import { SENTENCES } from "@lethe/protocol";

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
  "content-invalid":
    "A part of the message is too long, or is none that may be said: see its options in the documentation.",
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
  "media-source-invalid": "The source of a file is not as the documentation has it.",
  "media-source-changed": "The file is not what it was when its upload began: send it anew.",
  "media-cancelled": "The upload was given up.",
  "media-under-way": "It is under way already.",
  "media-unknown-upload": "There is no such upload that could be gone on with.",
  "media-too-many-uploads": "Too many files are on their way: try again later.",
  "media-too-many-devices": "A file can be sent to no more than 4,096 devices.",
  "media-corrupt": "The file at the relay is not what was sent: something has changed it.",
  "media-truncated": "The file at the relay is not whole.",
  "media-too-long": "At the relay is more than the file that was sent.",
  "media-size-differs": "The file is not of the size that its message says.",
  "media-digest-differs": "The file at the relay is another than its message names.",
  "media-over-cap": "The file is larger than is to be taken.",
  "media-ref-malformed": "This names no file.",
  "media-not-saved": "The file could not be written.",
  stopped: "The relay does not let this device in any more.",
  closed: "The client is closed.",
} as const;

export type OwnCode = keyof typeof OWN;

export const STORE_ERRORS = {
  "wrong-passphrase": "The store does not open with this passphrase.",
  "passphrase-needed": "The store was made with a passphrase: give it.",
  "passphrase-unknown":
    "The store was made without a passphrase: its key is in the key file, and a passphrase would protect nothing.",
  "key-file-missing": "The store's key file is not there: put it back, or begin with a new store.",
  "key-file-open":
    "The store's key file can be read by others: make it readable by its owner alone (chmod 600).",
  "store-in-use": "Another process has the store open, or another tab: end it, or use another store.",
  "store-evicted":
    "The browser has removed the store and its keys with it: remove what is left of it (removeIdbStore), and begin with a new account.",
  "passphrase-not-taken": "A store in a browser takes no passphrase: its key is one that no script can read.",
  "store-damaged": "The store's content does not verify: it was damaged, or a part of it was exchanged.",
  "store-version": "The store was made by a later version of this library.",
  "store-failed": "The store could not write.",
  "store-unreachable": "The store's file cannot be opened.",
  "store-closed": "The store is closed.",
} as const;

export type StoreErrorCode = keyof typeof STORE_ERRORS;

/** What the code of a `ClientError` or a `StoreError` says in one sentence. */
export function sentenceOf(code: string): string {
  const all: Readonly<Record<string, string>> = { ...SENTENCES, ...STORE_ERRORS, ...OWN };
  return Object.hasOwn(all, code) ? (all[code] as string) : `Refused: ${code}.`;
}
