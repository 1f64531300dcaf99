// Small rules about owner records that every backend of one process shares.
import type { Time } from "@lethe/protocol";
import type { Claim, ClaimResult, Owner } from "../mailbox.ts";

const MINUTE_MS = 60_000;

export function sameOwner(a: Owner | undefined, b: Owner | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.node === b.node && a.session === b.session;
}

/** Presence is kept to the minute and not finer. */
export function minuteOf(now: Time): Time {
  return (now - (now % MINUTE_MS)) as Time;
}

/**
 * What the record says to a claim, undefined where it may go on to be made durable: M4's repeat succeeds and names
 * nobody to displace, M5 wants an epoch above the highest one seen.
 */
export function judgeClaim(
  record: { readonly owner: Owner | undefined; readonly epoch: number },
  claim: Claim,
): ClaimResult | undefined {
  if (claim.epoch === record.epoch && sameOwner(claim.owner, record.owner)) {
    return { is: "claimed", previous: undefined };
  }
  return claim.epoch > record.epoch ? undefined : { is: "behind", last: record.epoch };
}
