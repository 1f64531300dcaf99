// For each code of the table of problems: where it is met, what the client library does by itself, and what is left to an
// application. Read by the generator of the specification alone; a test holds `library` against the library.
import type { ProblemCode } from "./problems.ts";

/**
 * `again`: tries again by itself, later. `mends`: changes what was wrong, then tries again. `told`: gives up and tells.
 * `ended`: tells, and does nothing more by itself.
 */
export type Reaction = "again" | "mends" | "told" | "ended";

export type Place =
  | "connection"
  | "message"
  | "look-up"
  | "registration"
  | "background"
  | "linking"
  | "media";

export interface Remedy {
  readonly met: Place;
  readonly library: Reaction;
  /** How the application hears of it; empty where it does not have to. */
  readonly tells: string;
  readonly application: string;
}

const met =
  (place: Place, library: Reaction, tells: string) =>
  (application: string): Remedy => ({ met: place, library, tells, application });

const reconnects = met("connection", "again", "`connection`");
const stops = met("connection", "ended", "`stopped`");
const waits = met("message", "again", "`waiting`");
const refuses = met("message", "told", "`refused`");
const throws = met("registration", "told", "`Client.create` throws");
const repeats = met("background", "again", "`error`");

const ends = met("linking", "told", "`linkDevice` or `Client.createLinked` throws");

const NOTHING = "Nothing.";
const REPORT = "Report it: library and relay disagree, or something between them changes bytes.";

const media = met("media", "told", "`sendMedia`, `save`, ... throw");

export const REMEDIES: Readonly<Record<ProblemCode, Remedy>> = {
  "malformed-frame": reconnects(REPORT),
  "unknown-frame": reconnects(REPORT),
  "unexpected-frame": reconnects(REPORT),
  "frame-too-large": reconnects(REPORT),
  "version-unsupported": stops("Bring a newer library, or ask the operator for a newer relay."),
  "authentication-failed": stops(
    "The relay does not know this device's key, perhaps since it lost its data: begin anew with another store.",
  ),
  "authentication-timeout": reconnects(NOTHING),
  displaced: met(
    "connection",
    "ended",
    "`displaced`",
  )("Say that a copy of this account took over; `reconnect()` takes it back, if the person wants that."),
  "epoch-behind": met(
    "connection",
    "mends",
    "`restored`",
  )("Nothing. The store is an older one: what your application keeps may be older too."),
  "device-removed": stops(
    "The account was removed, by the operator or for not being used: begin anew with another store.",
  ),
  "slow-reader": reconnects("Nothing. If it comes often, something keeps the event loop busy."),
  "ping-timeout": reconnects(NOTHING),
  "too-many-connections": reconnects(
    "Nothing. With many accounts behind one address, ask the operator for a higher limit.",
  ),
  "shutting-down": reconnects("Nothing. Where a relay has several addresses, give them all."),
  fenced: reconnects(NOTHING),
  "not-permitted": refuses(
    "Show it as not delivered. They may have blocked this account, or be gone; nobody is told which. The library has waited half a minute for a new access key before.",
  ),
  "unknown-name": met(
    "look-up",
    "told",
    "`send`, `accept`, ... throw `unknown-user`",
  )("Ask whether the name is spelled right."),
  "no-device": met("message", "mends", "`waiting`")(NOTHING),
  "stale-list": met("message", "mends", "")(NOTHING),
  "mailbox-full": waits("Show it as waiting. It goes when the recipient has been there, or expires."),
  expired: met(
    "message",
    "told",
    "`expired`",
  )("Send it anew if it still matters. If fresh messages expire, the device's clock is wrong."),
  "envelope-too-large": refuses("Send it in pieces. `/.well-known/lethe` says what this relay takes."),
  "rate-limited": waits("Nothing; send less. Where `Client.create` throws it: try again later."),
  "storage-full": waits("Nothing. If it lasts, tell the operator."),
  "storage-failed": waits("Nothing. If it lasts, tell the operator."),
  busy: waits(NOTHING),
  "repeated-id": refuses(REPORT),
  "bad-request": throws(REPORT),
  unauthorized: repeats(REPORT),
  "clock-skew": met(
    "background",
    "mends",
    "",
  )("Nothing. Where it is told all the same: set the device's clock."),
  replayed: repeats(NOTHING),
  "name-invalid": throws("Ask for another name."),
  "name-taken": throws("Ask for another name; or open the store that the name belongs to."),
  "account-exists": throws("Begin anew with another store."),
  "not-found": throws("Is it a relay's address? A proxy in front of it may leave paths out."),
  "list-conflict": repeats("Nothing. If it lasts, report it."),
  "too-many-prekeys": repeats(REPORT),
  "not-ready": throws("Try again in a few seconds."),
  "registration-closed": throws("Say that this relay takes nobody new."),
  "ticket-required": throws("Ask for an invite, or log in; give it as `ticket`."),
  "ticket-invalid": throws("Ask for another invite, or log in again."),
  "identity-unreachable": throws("Try again in a minute with the same ticket."),
  "linking-taken": ends("Say that the code was used already, and have the new device show another."),
  "linking-early": ends(REPORT),
  "linking-ended": ends(
    "Say that it took too long, or was given up, and have the new device show another code.",
  ),
  "media-off": media("Do not offer files at this relay: `/.well-known/lethe` says so."),
  "media-too-large": media("Say how large a file may be: `/.well-known/lethe` has it."),
  "media-quota": media("Say that earlier files wait for their recipients, and try again later."),
  "media-taken": media(REPORT),
  "media-gone": media("Say that the file is no longer there; ask the sender for it."),
  "media-unfinished": met("media", "mends", "")(NOTHING),
  "media-not-permitted": met(
    "media",
    "again",
    "`save`, ... throw after a while",
  )("Try again later; if it lasts, ask the sender for the file."),
  "media-part-wrong": media(REPORT),
  "media-range": media(REPORT),
  "media-closed": media(REPORT),
  internal: met("message", "again", "`waiting`")("Nothing. The operator has it in the log."),
};
