// Every cap and time of media at the client, each with its reason. Always true: memory does not grow with a file's size, but
// with the parts that are under way.

/** Uploads under way at once; further ones wait for their turn. */
export const MAX_ACTIVE_UPLOADS = 2;
/** Parts of one upload under way: enough to fill a line while the next one is sealed. */
export const PARTS_IN_FLIGHT = 2;
/** Positions of one upload that are kept: so many parts may be sealed while the oldest of them is on its way. */
export const MAX_POSITIONS = 64;
/** Parts of one download that are fetched before they are wanted. */
export const PARTS_AHEAD = 1;
/** Uploads in the store, those that wait for their messages to settle included. */
export const MAX_UPLOADS = 1_000;
/** Parts that a sink takes between two positions: what a crash costs at most, against a write to the disk for each. */
export const PARTS_PER_POSITION = 8;
/** Where parts come slowly, a position is kept after the first one that ends so long after the last position, ms. */
export const MS_PER_POSITION = 1_000;

/** A small picture in the message itself, bytes. */
export const MAX_THUMBNAIL_BYTES = 16_384;
/** A caption, bytes: with the thumbnail well under a message's body. */
export const MAX_CAPTION_BYTES = 16_384;
/** A file's name, bytes: what file systems take. */
export const MAX_NAME_BYTES = 255;
/** A media type (RFC 6838, 4.2: twice 127 characters). */
export const MAX_TYPE_BYTES = 255;
/** What an application finds a source again by, bytes: a path. */
export const MAX_RESUME_BYTES = 4_096;
/** What tells that a source has changed, bytes. */
export const MAX_STAMP_BYTES = 255;

/** A part may take so long on its way up, ms: 2 MiB at 60 kbit/s. */
export const PUT_MS = 300_000;
/** A download that brings nothing for so long is cut, ms. */
export const SILENCE_MS = 30_000;
/** Answers in JSON, ms. */
export const ASK_MS = 30_000;
/** Trying again: full jitter under base × 2^tries, never above the cap, ms. */
export const PAUSE_BASE_MS = 1_000;
export const PAUSE_CAP_MS = 60_000;
/** How long a release token may be refused before that is believed, ms: the sender may be registering it. */
export const NOT_PERMITTED_MS = 120_000;
/** A release is tried so long, ms: no relay keeps media longer. */
export const RELEASE_MS = 30 * 24 * 3_600_000;
/** How long the client's end waits for releases that are under way, and for sinks to keep what they have, ms. */
export const STOP_MS = 1_000;
/** How often parts that the relay has lost are sent again before the upload is given up; and asked for, before they are missing. */
export const MAX_REPAIRS = 3;
/** What happens in the outbox is looked at once in so long, ms, while messages with media are in it. */
export const SETTLE_MS = 250;
/** Downloads whose positions are remembered; the oldest goes first, and is begun anew. */
export const MAX_DOWNLOADS = 1_000;
