// Every cap and time of the links between nodes, with its reason.

/** One frame's body, bytes: seven of the largest envelopes. Below 2^24 (u24 length). */
export const MAX_LINK_FRAME_BYTES = 524_288;
/** One WebSocket message, bytes: a turn's frames, and never more than two of the largest. */
export const MAX_LINK_MESSAGE_BYTES = 1_048_576;
/** What is gathered goes out as one message before it is larger than this, bytes: one frame more still fits. */
export const FULL_MESSAGE_BYTES = MAX_LINK_MESSAGE_BYTES - MAX_LINK_FRAME_BYTES - 64;
/** Bytes read from somebody who has not proved the secret: the upgrade, and three small frames. */
export const MAX_UNPROVEN_BYTES = 8_192;
/** Connections that have not proved the secret, at once: every node of a large cluster coming back. */
export const MAX_UNPROVEN = 256;
/** Peers at once. */
export const MAX_PEERS = 1_024;
/** How long a link may take from its first byte until it stands, ms. */
export const OPENING_MS = 5_000;
/** How often a node says over each link that it is there, ms. */
export const HEARTBEAT_MS = 1_000;
/** Silence after which a link is broken, ms, looked at with each heartbeat: three are missed. */
export const SILENCE_MS = 3_000;
/** Bytes that may wait in a link's buffer; beyond it the link is broken, not waited for: 16 flows' largest. */
export const MAX_LINK_BUFFERED_BYTES = 32 * 1_048_576;
/** After a node could not be reached, how long it is not tried again, ms: what is for it is stored at once. */
export const UNREACHED_MS = 1_000;
/** A link address, bytes: `wss://`, a DNS name, a port. */
export const MAX_LINK_ADDRESS_BYTES = 300;
/** Addresses in one frame. */
export const MAX_ADDRESSES = 1_024;
/** Devices that one node may say are connected to it. */
export const MAX_PRESENT = 1_048_576;
