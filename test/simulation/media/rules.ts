// The rules that the promises of media rest on, to be left out one at a time: each must be missed. All are left out around the
// real code: in what it asks of others, what it hears from them, and what it keeps.

export const MEDIA_RULES = [
  /** What the ledger has answered survives a failover. */
  "ledger.durable",
  /** An upload that is not ready in time ends. */
  "ledger.unfinished",
  /** Every blob ends at its time. */
  "ledger.expiry",
  /** A release strikes the token that was shown, and no other. */
  "ledger.ownToken",
  /** A blob whose list is open does not end by releases. */
  "ledger.openList",
  /** An upload is ready only when all its parts are there. */
  "relay.allParts",
  /** After a part was put the relay looks whether it is still wanted. */
  "relay.lookAgain",
  /** Blobs that no ledger knows are looked for. */
  "relay.sweepOrphans",
  /** The ledger forgets a blob after its bytes were removed. */
  "relay.forgetAfterRemove",
  /** What has ended is collected from time to time, and not only at once. */
  "relay.chore",
  /** A message goes after the relay has said that its file is ready. */
  "uploader.sayAfterReady",
  /** Tokens are added for devices that were added meanwhile. */
  "uploader.addAdded",
  /** Tokens of devices that are gone are struck. */
  "uploader.strikeRemoved",
  /** The list is closed only when the message is settled. */
  "uploader.closeSettled",
  /** Where a part ends is durable before the part is sent. */
  "uploader.positions",
  /** That a blob is to be withdrawn is durable. */
  "uploader.withdrawalKept",
  /** A device releases a file only when it has all of it. */
  "recipient.releaseAfterDigest",
  /** A release is owed, durably, until it was answered. */
  "recipient.releaseOwed",
] as const;

export type MediaRule = (typeof MEDIA_RULES)[number];

/** @throws RangeError for a name that is no rule. */
export function mediaRule(name: string): MediaRule {
  const rule = MEDIA_RULES.find((each) => each === name);
  if (rule === undefined)
    throw new RangeError(`no rule of media is called ${name}; there are ${MEDIA_RULES.join(", ")}`);
  return rule;
}
