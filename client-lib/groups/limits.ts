// Every cap and time of groups in the client, each with its reason.

/** Groups that one device is in, or was asked into: each may cost 100 KB of memory. */
export const MAX_GROUPS = 500;
/** Of these, groups that strangers have put this account into and it has not decided about. */
export const MAX_INVITATIONS = 20;
/** Envelopes that wait for a chain; the oldest is quarantined first. A burst behind a rotation is that long. */
export const MAX_GROUP_WAITING = 1_000;
export const MAX_GROUP_WAITING_BYTES = 16_777_216;
/** Room of their own for envelopes that wait for a state, and for what is told of it: anybody may send either. The oldest
 *  goes first, so that what was sent once keeps nobody out for long. And what one account tells. */
export const MAX_UNKNOWN_WAITING = 300;
export const MAX_UNKNOWN_WAITING_BYTES = 4_194_304;
export const MAX_TOLD_WAITING = 64;
/** How long a chain may be missing before its sender is asked for it, ms. */
export const MISSING_CHAIN_MS = 30_000;
/** How long it waits, ms: whoever tells has gone online again by then, or is asked in vain. */
export const GROUP_WAITING_MS = 7 * 86_400_000;
/** Messages that wait for members' keys. */
export const MAX_GROUP_UNSEALED = 1_000;
/** How long a message waits for members' keys while the relay answers nothing, ms; it goes on without them. */
export const MEMBER_WAIT_MS = 30_000;
/** How long it is not tried again to reach a member in vain, ms. */
export const UNREACHED_MS = 600_000;
/** How long who is in a group is believed without looking at the age of lists again, ms: they end after 35 days. */
export const ROSTER_MS = 60_000;
/** Uploads that are not settled: 36 MB of the largest; and how many are under way at once. */
export const MAX_GROUP_OUT = 500;
export const MAX_UPLOADS = 8;
/** Their envelopes, over which no more is taken in: each is remembered in about 400 bytes. */
export const MAX_GROUP_OUT_ENVELOPES = 100_000;
/** Pairwise tellings that one step seals: 64 cost about 30 ms. */
export const MAX_TELLINGS = 64;
/** Sent messages whose receipts are counted; the oldest goes first. */
export const MAX_GROUP_SENT = 5_000;
/** The largest group that is told that somebody is writing, devices: each costs an envelope. */
export const MAX_TYPING_DEVICES = 64;
/** How often one device is asked, or answers, about one group, ms. */
export const ASK_AGAIN_MS = 600_000;
/** States of a group that are kept for members who have missed one: 200 KB of 256 members. */
export const MAX_HISTORY = 16;
