// Every cap of the wire, with its reason. The relay's own, configurable limits start from these and never exceed them.

/** One sealed envelope, bytes: 64 KiB of padded text, and room for sealing, certificate and device list. */
export const MAX_ENVELOPE_BYTES = 73_728;
/** One frame's body, bytes: five devices' largest envelopes, or a group's with its recipients. Below 2^24 (u24 length). */
export const MAX_FRAME_BYTES = 524_288;
/** One WebSocket message, bytes: a full turn's frames and never more than two of the largest. */
export const MAX_MESSAGE_BYTES = 1_048_576;
/** Frames before the proof, bytes: nobody unknown makes the relay hold more. */
export const MAX_UNPROVEN_BYTES = 4_096;
/** Devices of an account. */
export const MAX_DEVICES = 16;
/** Accounts in one group submit. */
export const MAX_GROUP_RECIPIENTS = 1_024;
/** Envelope ids in one frame. */
export const MAX_IDS = 1_024;
/** A relay's name, bytes: a DNS name. */
export const MAX_RELAY_NAME_BYTES = 255;
/** A prekey's public bytes with signature and times: an ML-KEM-768 key is 1,184. */
export const MAX_PREKEY_BYTES = 2_048;
/** One-time prekeys of one kind that a relay keeps for a device. */
export const MAX_ONE_TIME_PREKEYS = 200;
/** A signed device list, bytes: 16 devices. */
export const MAX_DEVICE_LIST_BYTES = 4_096;
/** A device certificate, bytes. */
export const MAX_CERTIFICATE_BYTES = 1_024;
/** A user's name, bytes. */
export const MAX_USER_NAME_BYTES = 32;
/** Hard cap of an envelope's life, ms: 30 days. Key lifetimes at receivers are derived from it. */
export const MAX_TTL_MS = 30 * 24 * 3_600_000;
/** One message of a linking, bytes: the longest has the list of 16 devices, about 1,000. */
export const MAX_LINKING_MESSAGE_BYTES = 2_048;
/** How long a linking mailbox lives, ms: 120 s until the offer is answered, and as long until the grant. */
export const LINKING_MAILBOX_MS = 240_000;
/** Watches of one anonymous connection. */
export const MAX_WATCHES = 1_024;
/** One part of a blob, bytes: 32 chunks of 64 KiB with 17 bytes each. Only a blob's last part is shorter. */
export const MEDIA_PART_BYTES = 2_097_696;
/** The largest blob, bytes: 64 GiB, in 32,760 parts; what a relay takes is its own, smaller setting. */
export const MAX_MEDIA_BYTES = 68_719_476_736;
/** Release tokens of one blob, struck ones included: 256 accounts with 16 devices each. */
export const MAX_MEDIA_TOKENS = 4_096;
/** Release tokens in one request. */
export const MAX_TOKENS_AT_ONCE = 1_024;
