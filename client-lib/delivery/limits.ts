// Every cap and time of the client's delivery, each with its reason. Always true: no list, map or row count of the
// machines in this folder grows past one of these.
import { MAX_TTL_MS } from "@lethe/protocol";

/** Envelopes submitted on one connection and not answered: one round trip's worth, well under what a flow holds. */
export const MAX_IN_FLIGHT = 128;
/** Their ciphertext, bytes: never more than one full WebSocket message and its successor. */
export const MAX_IN_FLIGHT_BYTES = 1_048_576;
/** Envelopes in the outbox: days of writing while offline. */
export const MAX_OUTBOX_ITEMS = 10_000;
/** Their ciphertext, bytes: what a phone holds without pain. */
export const MAX_OUTBOX_BYTES = 67_108_864;
/** Messages that wait for the recipient's keys, all recipients together. */
export const MAX_UNSEALED = 1_000;

/** Inbox entries that the application has not settled. More are left at the relay, unacknowledged. */
export const MAX_UNSETTLED = 1_000;
/** Early arrivals held back, all senders together; over it, the gap of the one that is over is reported at once. */
export const MAX_HELD = 1_000;
/** Their bodies, bytes, all senders together; over it, the oldest gap is reported at once. */
export const MAX_HELD_BYTES = 16_777_216;
/** Pushes that wait for room in the inbox: the relay's push window and as much again. */
export const MAX_WAITING_PUSHES = 256;
/** Their ciphertext, bytes. A relay that sends more is disconnected. */
export const MAX_WAITING_BYTES = 4_194_304;
/** Messages of one stranger kept until the person decides; further ones are acknowledged and dropped. Room for all that
 *  comes while an application that accepts at once asks for the stranger's name. */
export const MAX_REQUEST_MESSAGES = 500;
/** Their bodies, bytes: a few large ones, or as many lines of text as may be kept. */
export const MAX_REQUEST_BYTES = 262_144;
/** Strangers kept waiting for a decision; mail of further ones is acknowledged and dropped. */
export const MAX_REQUESTS = 200;
/** Envelopes that could not be opened, kept to look at; the oldest goes first. */
export const MAX_QUARANTINED = 100;
/** Remembered envelope and message ids; the oldest goes first. Two stand for each message: 200,000 messages in a month. */
export const MAX_SEEN = 400_000;
/** Sent messages whose receipts are still believed; the oldest goes first. */
export const MAX_SENT = 100_000;
/** Sending streams remembered for one sending device: after a restore it begins a new one. */
export const MAX_STREAMS = 4;
/** Message ids in one receipt: the largest that fits a padding bucket of 2 KiB. */
export const MAX_RECEIPT_IDS = 100;
/** Messages that wait to be named in a receipt. */
export const MAX_RECEIPTS_DUE = 10_000;
/** Questions to the relay that are not answered. */
export const MAX_ASKS = 256;
/** Bytes of one message body: what the largest padding bucket holds with its header. */
export const MAX_BODY_BYTES = 63_488;
/** Bytes of a message as it was opened, header included: what the largest padding bucket holds. */
export const MAX_CONTENT_BYTES = 65_536;

/** How long an envelope whose access key was refused waits for the recipient's new one, ms; and how often it is tried
 *  meanwhile: the recipient may have told us before the relay. */
export const KEY_WAIT_MS = 30_000;
export const KEY_RETRY_MS = 3_000;
/** Accounts whose access key was refused for good; over it all may wait once more. */
export const MAX_DENIED = 1_000;
/** Messages kept to be sent again, until their device confirms them or they expire; the oldest goes first. */
export const MAX_RESENDABLE = 10_000;
/** Their bodies, bytes: as much as the outbox holds. */
export const MAX_RESENDABLE_BYTES = 67_108_864;
/** How often one message is sent again to one device. */
export const MAX_RESENDS = 3;
/** Envelopes named in one request for them: what the smallest padding bucket holds. */
export const MAX_RESEND_IDS = 10;
/** Envelopes of one device that are asked for together: as many requests as are answered in a minute. */
export const MAX_FAILED = 100;
/** Devices whose failures are remembered. */
export const MAX_RECOVERING = 1_000;
/** The breaker: so many requests in so long, ms, all devices together; asking and answering each. */
export const MAX_RECOVERIES = 10;
export const BREAKER_MS = 60_000;
/** What fails within this long is asked for together, ms. */
export const RECOVERY_GATHER_MS = 1_000;
/** Between two new ratchets with one device: this long, then twice as long each time, never above the cap, ms. */
export const RECOVERY_WAIT_MS = 3_600_000;
export const RECOVERY_WAIT_CAP_MS = 86_400_000;
/** After so long without a failure the waiting begins from the start, ms. */
export const RECOVERY_FORGET_MS = 7 * 86_400_000;

/** How long an early arrival is held back, ms, from the later of its arrival and `drained`. */
export const HOLD_MS = 10_000;
/** How long an id is remembered, ms: as long as anything can be under way, and a day. */
export const REMEMBER_MS = MAX_TTL_MS + 86_400_000;
/** How often what is remembered is looked through for what is too old, ms. */
export const SWEEP_MS = 3_600_000;
/** Life of an envelope where the application names none, ms. */
export const DEFAULT_TTL_MS = 14 * 86_400_000;

/** A connection that is not usable after this is given up, ms: TCP, TLS, proof. */
export const HANDSHAKE_MS = 10_000;
/** A submit or question without an answer is sent again after this, ms; longer than a relay's offer and append. */
export const ANSWER_MS = 30_000;
/** Reconnect: full jitter under base × 2^attempts, never above the cap, ms. */
export const RECONNECT_BASE_MS = 500;
export const RECONNECT_CAP_MS = 30_000;
/** A connection that lived this long proves that the relay is well: attempts count from 0 again, ms. */
export const STEADY_MS = 5_000;
/** After `goaway` answers under way may still come for this long, ms. */
export const LINGER_MS = 2_000;
/** An anonymous connection without use is closed after this, ms. */
export const ANONYMOUS_IDLE_MS = 60_000;
/** The connection that watches is closed this long after nobody is watched, ms: turning to another conversation takes less. */
export const WATCH_IDLE_MS = 5_000;
/** It is opened at random up to this long after somebody is to be watched, ms, so that it does not come with another one. */
export const WATCH_SPREAD_MS = 500;
/** What was heard of somebody is believed this long after their watch was lost, ms: most reconnects take less. */
export const UNKNOWN_AFTER_MS = 10_000;
/** Whoever was online before a reconnect and is not after it is told to be gone after this, ms: it may have been their
 *  reconnect as well. */
export const OFFLINE_AFTER_MS = 4_000;
/** A refused envelope, or question, is tried again with full jitter under base × 2^tries, ms. */
export const RETRY_BASE_MS = 1_000;
export const RETRY_CAP_MS = 60_000;
/** A list that is older than the known one is asked for again for so long, ms: nodes of a relay keep one for 10 s. */
export const OLDER_LIST_MS = 20_000;
/** Contacts in one note to one's own devices, and ids of messages: with their names and keys well under a message's body. */
export const MAX_NOTED_CONTACTS = 200;
export const MAX_NOTED_IDS = 1_000;
/** Keys that only a receipt waits for are asked for at most so often, ms. */
export const ASK_AGAIN_MS = 300_000;
/** Our own list, where it could not be had, is asked for again after this, ms. */
export const OWN_LIST_MS = 60_000;
/** Receipts for what another device has sent and not told of yet; and how long they are kept, ms: a device may be away. */
export const MAX_EARLY = 1_000;
export const EARLY_MS = 7 * 86_400_000;
/** Receipts wait up to this long, ms: it takes more of them to find whom one answers (attack 43), and one names many. */
export const RECEIPT_JITTER_MS = 5_000;
/** Mail for one's own other devices waits up to this long, ms, so that it does not tell when mail went to somebody. */
export const OWN_JITTER_MS = 5_000;
/** The shortest ping time-out believed, ms: a relay cannot make a client ping without rest. */
export const MIN_PING_MS = 1_000;

/** How long a signal may wait for its connection, ms: one that comes later says nothing that is still true. */
export const UNSAID_MS = 3_000;
/** People to whom one waits at once. */
export const MAX_UNSAID = 16;
/** Messages that are to disappear, and conversations that have a timer: as many messages as are remembered of a busy month
 *  that nobody reads. */
export const MAX_DISAPPEARING = 20_000;
export const MAX_TIMERS = 5_000;
/** Messages that are told to be over at once: as many as a receipt's list may name. */
export const MAX_DISAPPEARED_IDS = 255;
/** A timer that was set later than this from now was set by a clock that is wrong, ms. */
export const MAX_CLOCK_AHEAD_MS = 86_400_000;
