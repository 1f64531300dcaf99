// What can become of a group's envelope on the receiving side: one table of codes, and for each what the client decides.
// Every outcome is acknowledged to the relay; what may be opened once something else has come is kept aside first.

/** What the client does with a group's envelope of this outcome, besides acknowledging it. */
export interface GroupPolicy {
  /** `deliver`: to the application; `silent`: nothing; `quarantine`: a row that says that something was lost. */
  readonly inbox: "deliver" | "silent" | "quarantine";
  /** Whether it may open later, when a state or a chain that is under way has come. */
  readonly wait: boolean;
}

export const GROUP_OUTCOMES = {
  /** Opened: the plaintext and the advanced chains are committed together. */
  ok: { inbox: "deliver", wait: false },
  /** One's own message, which the relay gives back to its sender. */
  "own-copy": { inbox: "silent", wait: false },
  /** Opened before. */
  duplicate: { inbox: "silent", wait: false },
  /** Not a group envelope, or not one inside its seal. */
  malformed: { inbox: "quarantine", wait: false },
  /** Decrypted, and the content is no content: the chains in the outcome are committed all the same. */
  "malformed-content": { inbox: "quarantine", wait: false },
  /** Of an epoch that is not known here, or not any more: this device is behind, or the group is split. */
  "unknown-seal-key": { inbox: "quarantine", wait: true },
  /** The seal does not open with the key that it names. */
  "not-sealed-for-us": { inbox: "quarantine", wait: false },
  /** The id that the relay gave is not that of this group envelope for this device (clause D-GROUP-ID). */
  "wrong-envelope-id": { inbox: "quarantine", wait: false },
  /** The sender's account is not in the current state. */
  "not-a-member": { inbox: "quarantine", wait: false },
  /** The sender's device is not in its account's newest list, as far as is known: a newer one may name it. */
  "untrusted-device": { inbox: "quarantine", wait: true },
  /** The sender names another state than the seal key is of. */
  "wrong-state": { inbox: "quarantine", wait: false },
  /** No chain of that id is known of that device in that group. */
  "unknown-chain": { inbox: "quarantine", wait: true },
  /** The chain's key has not signed it. */
  "bad-signature": { inbox: "quarantine", wait: false },
  /** In a state behind a removal, on a chain from before it: who was removed could read it. */
  "stale-chain": { inbox: "quarantine", wait: false },
  /** Only admins write in this group. */
  "not-allowed": { inbox: "quarantine", wait: false },
  /** The message key was dropped, or the chain was told from a later position. */
  "key-expired": { inbox: "quarantine", wait: false },
  /** More chain steps than `MAX_JUMP`. */
  "too-far": { inbox: "quarantine", wait: false },
  /** The same message number came before with another tag: the sender's store was restored or copied. */
  forked: { inbox: "quarantine", wait: false },
  /** Signed by the chain's key, and the body does not decrypt. */
  "aead-fail": { inbox: "quarantine", wait: false },
} as const satisfies Readonly<Record<string, GroupPolicy>>;

export type GroupOutcomeCode = keyof typeof GROUP_OUTCOMES;

/** As the table has it, without the table: a page that receives needs no more. */
export function mayOpenLater(code: GroupOutcomeCode): boolean {
  return code === "unknown-seal-key" || code === "unknown-chain" || code === "untrusted-device";
}

/** As the table has it: neither handed over nor lost. */
export function isSilentInGroup(code: GroupOutcomeCode): boolean {
  return code === "own-copy" || code === "duplicate";
}
