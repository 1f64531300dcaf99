// Every number of the end-to-end layer, with its reason. Key lifetimes on the receiving side are derived from R, the
// longest time that a relay keeps mail: a key that no undelivered message can need any more is destroyed.
import { MAX_GROUP_RECIPIENTS, MAX_TTL_MS } from "@lethe/protocol";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** R: the longest a relay keeps an envelope, ms. */
export const RETENTION_MS = MAX_TTL_MS;
/** What receiving keys live beyond R, ms: clocks that disagree, and the relay's grace for what it has pushed. */
export const RETENTION_SLACK_MS = 2 * DAY;

/** How long a device list may be used for sending after it was issued, ms. */
export const LIST_LIFETIME_MS = 35 * DAY;
/** From when on the primary device issues its list again, ms after the last issue. */
export const LIST_RENEW_MS = 14 * DAY;

/** How long peers may seal to a sealing key, ms. */
export const SEALING_LIFETIME_MS = 35 * DAY;
/** After how long a device makes itself a new sealing key, ms. */
export const SEALING_ROTATE_MS = 7 * DAY;
/** Sealing keys whose private half is kept: (35 d + R + 2 d) / 7 d, rounded up, and early rotations. */
export const MAX_SEALING_KEYS = 16;

/** How long the signed prekey and the last-resort KEM key may be used, ms: a device that is offline cannot rotate. */
export const SIGNED_PREKEY_LIFETIME_MS = 35 * DAY;
/** After how long a device replaces them, ms, give or take `SIGNED_PREKEY_JITTER_MS`. */
export const SIGNED_PREKEY_ROTATE_MS = 48 * HOUR;
export const SIGNED_PREKEY_JITTER_MS = 6 * HOUR;
/** One-time prekeys of X25519 a device keeps at the relay, and below how many it tops up. */
export const ONE_TIME_PREKEYS = 100;
export const ONE_TIME_PREKEYS_LOW = 50;
/** One-time prekeys of ML-KEM-768, and below how many it tops up. */
export const ONE_TIME_KEM_PREKEYS = 10;
export const ONE_TIME_KEM_PREKEYS_LOW = 5;
/** How long a one-time prekey may be handed out, ms; its owner replaces those that are older. */
export const ONE_TIME_LIFETIME_MS = 60 * DAY;

/** Chain steps that one message may ask for; 2,000 broke real clients, 25,000 cost about 0.15 s. */
export const MAX_JUMP = 25_000;
/** Keys of messages not arrived yet that a ratchet keeps, oldest out first. */
export const MAX_SKIPPED = 2_000;
/** How long such a key lives, ms. */
export const SKIPPED_LIFETIME_MS = RETENTION_MS + RETENTION_SLACK_MS;
/** Messages of the current receiving chain whose tags are remembered, to tell a repeat from a restored sender. */
export const TAG_RING = 64;
/** Past receiving chains that are remembered with their counts. */
export const MAX_PAST_CHAINS = 16;
/** Chains before those, remembered by name, 12 bytes each: a repeat does not look like a new ratchet key. */
export const MAX_OLDER_CHAINS = 1_024;
/** The highest message number of a chain: beyond it a new ratchet is needed. */
export const MAX_CHAIN = 0x7fff_ffff;

/** After how many messages without a reply, and after how long, a sender starts a new ratchet. */
export const RENEW_AFTER_MESSAGES = 2_000;
export const RENEW_AFTER_MS = 7 * DAY;

/** Ratchets with one peer device that only receive: weekly new ones from both sides within R leave up to that many. */
export const MAX_ARCHIVED = 8;

/** How long a linking code may be answered, and each side waits for the other, ms: time to fetch a phone, not to pass it on. */
export const LINKING_LIFETIME_MS = 120_000;
/** A linking code as text, characters: more than one with the longest relay name, 458, and no work for what is no code. */
export const MAX_LINKING_TEXT = 512;
export { MAX_LINKING_MESSAGE_BYTES } from "@lethe/protocol";
/** A contact link, characters: more than one with the longest relay name, 494, and no work for what is no link. */
export const MAX_CONTACT_LINK = 512;

/** The largest padding bucket, bytes. */
export const MAX_PADDED_BYTES = 65_536;
/** The longest plaintext, bytes: 1 KiB below, for a new sealing key, a new device list and the padding mark. */
export const MAX_PLAINTEXT_BYTES = MAX_PADDED_BYTES - 1_024;

/** A peer's clock may be ahead of ours by this much, ms, before what it issued counts as from the future. */
export const CLOCK_SKEW_MS = DAY;

/** Accounts in a group: what one submit to a group may name. */
export const MAX_GROUP_MEMBERS = MAX_GROUP_RECIPIENTS;
/** A group's name, bytes of UTF-8. */
export const MAX_GROUP_NAME_BYTES = 128;
/** A signed group state, bytes: with 1,024 members and the longest name, so that it fits into one message. */
export const MAX_GROUP_STATE_BYTES = 51_200;
/** Past epochs of a group whose seal keys are kept, for mail that is under way, newest kept. */
export const MAX_PAST_EPOCHS = 128;
/** How long they are kept after they ended, ms. */
export const PAST_EPOCH_LIFETIME_MS = RETENTION_MS + RETENTION_SLACK_MS;
/** Chains of one sending device that are kept: the current one, and two whose messages may be under way. */
export const MAX_SENDER_CHAINS = 3;
/** How long a chain is kept after its sender made another, ms. */
export const SENDER_CHAIN_LIFETIME_MS = RETENTION_MS + RETENTION_SLACK_MS;
/** After how many messages, and after how long, a sender makes a new chain: what a stolen one opens is bounded. */
export const ROTATE_AFTER_MESSAGES = 500;
export const ROTATE_AFTER_MS = 7 * DAY;
