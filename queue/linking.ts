// Linking mailboxes: three slots in which an account's primary device and a new one leave sealed messages for one another,
// for minutes. Whose they are is not kept, nor is anything of them in a file of this process.

declare const brand: unique symbol;
/** 16 random bytes that a new device has made up, one character a byte. */
export type LinkingMailboxId = string & { readonly [brand]: "LinkingMailboxId" };

export const LINKING_SLOTS = ["offer", "join", "grant"] as const;
export type LinkingSlot = (typeof LINKING_SLOTS)[number];

/** Linking mailboxes at once, at most, ended ones included: 25 MB where every slot is full. */
export const MAX_LINKING_MAILBOXES = 4_096;

/**
 * `taken`: other bytes stand there. `early`: the slot before is empty. `ended`: there is none, or it is over.
 * `full`: there are as many as may be.
 */
export type LinkingPut = "kept" | "taken" | "early" | "ended" | "full";
export type LinkingGet =
  | { readonly is: "message"; readonly message: Uint8Array }
  /** Nothing stands in the slot. */
  | { readonly is: "empty" }
  /** There is no such mailbox yet; where it was, it is `ended`. */
  | { readonly is: "none" | "ended" };

/**
 * Promises:
 * - B1 once: the first bytes of a slot stay as they are. The same again are `kept`, others `taken`.
 * - B2 order: an offer makes the mailbox, a join needs the offer, a grant the join.
 * - B3 time: it is gone `LINKING_MAILBOX_MS` after its offer. Ended before, it has no messages any more, and its name
 *   stays ended until then.
 * - B4 cap: there are at most `MAX_LINKING_MAILBOXES`; those that are there are not touched by who comes then.
 * - B5 everywhere: every node of the store sees the same.
 * - B6 closed: as the mailbox's M13.
 *
 * What could not be done rejects with a StoreFailedError. Nothing here need outlive its process.
 */
export interface LinkingMailboxes {
  put(mailbox: LinkingMailboxId, slot: LinkingSlot, message: Uint8Array): Promise<LinkingPut>;
  get(mailbox: LinkingMailboxId, slot: LinkingSlot): Promise<LinkingGet>;
  /** Both devices have what they need, or have given up. Does nothing where there is none. */
  end(mailbox: LinkingMailboxId): Promise<void>;
}

/** The slot that must be filled before this one. */
export function slotBefore(slot: LinkingSlot): LinkingSlot | undefined {
  return LINKING_SLOTS[LINKING_SLOTS.indexOf(slot) - 1];
}
