// All ratchets with one peer device: the one that is used for sending, and those that only receive until no mail on them
// can be under way. Pure: each step gives a new value. Always true: at most one is used for sending; one that was
// archived is never used for sending again, whatever arrives on it (Cremers, Jacomme, Naska, USENIX Security 2023).
import type { Time } from "@lethe/protocol";
import { MAX_ARCHIVED, RETENTION_MS, RETENTION_SLACK_MS } from "./limits.ts";
import { endAt, replacing } from "./replaced.ts";
import type { Ratchet, RatchetId, Replaced } from "./state.ts";

export interface ArchivedRatchet {
  readonly ratchet: Ratchet;
  /** When another took its place, or it was given up. */
  readonly since: Time;
  /** Whether our own counters in it may be believed: not those of a store that was restored. */
  readonly trusted: boolean;
}

export interface KeptRatchets {
  /** Undefined: a new one has to be started before anything is sent. */
  readonly sending: Ratchet | undefined;
  /** Newest first, at most `MAX_ARCHIVED`. */
  readonly archived: readonly ArchivedRatchet[];
}

export const NO_RATCHETS: KeptRatchets = { sending: undefined, archived: [] };

/** Every ratchet, the one used for sending first. */
export function ratchetsOf({ sending, archived }: KeptRatchets): Ratchet[] {
  const rest = archived.map(({ ratchet }) => ratchet);
  return sending === undefined ? rest : [sending, ...rest];
}

/** What a ratchet that is started now says that it replaces. */
export function replacement({ sending, archived }: KeptRatchets): Replaced | undefined {
  if (sending !== undefined) return replacing(sending, true);
  const last = archived[0];
  return last === undefined ? undefined : replacing(last.ratchet, last.trusted);
}

/** A ratchet of our own was started: it is used for sending from now on. */
export function keepOwn(kept: KeptRatchets, own: Ratchet, now: Time): KeptRatchets {
  return { sending: own, archived: archive(kept, now, true) };
}

/** A step of a ratchet that is kept, or the first message of one that the peer has started. */
export function keepHeard(kept: KeptRatchets, ratchet: Ratchet, now: Time): KeptRatchets {
  if (ratchetsOf(kept).some(({ id }) => id === ratchet.id)) return keepStep(kept, ratchet);
  const ended = end(kept, ratchet.replaces);
  if (isPassedOver(ended, ratchet)) {
    const { sending, archived } = ended;
    const passed: ArchivedRatchet = { ratchet, since: now, trusted: true };
    return { sending, archived: [passed, ...archived].slice(0, MAX_ARCHIVED) };
  }
  return { sending: ratchet, archived: archive(ended, now, true) };
}

/** One step further, at its place. */
export function keepStep(kept: KeptRatchets, ratchet: Ratchet): KeptRatchets {
  const { sending, archived } = kept;
  if (sending?.id === ratchet.id) return { sending: ratchet, archived };
  return {
    sending,
    archived: archived.map((each) => (each.ratchet.id === ratchet.id ? { ...each, ratchet } : each)),
  };
}

/** Nothing is sent on a ratchet any more until a new one was started. `trusted`: our own counters are right. */
export function giveUp(kept: KeptRatchets, now: Time, trusted: boolean): KeptRatchets {
  return { sending: undefined, archived: archive(kept, now, trusted) };
}

/** As `giveUp`, if it is the one of this id that is used for sending. */
export function giveUpOn(kept: KeptRatchets, id: RatchetId, now: Time): KeptRatchets {
  return kept.sending?.id === id ? giveUp(kept, now, true) : kept;
}

/** Archived ratchets on which no mail can be under way any more are gone. The same value where nothing is due. */
export function expireArchived(kept: KeptRatchets, now: Time): KeptRatchets {
  const archived = kept.archived.filter(({ since }) => now < since + RETENTION_MS + RETENTION_SLACK_MS);
  return archived.length === kept.archived.length ? kept : { ...kept, archived };
}

function archive({ sending, archived }: KeptRatchets, since: Time, trusted: boolean): ArchivedRatchet[] {
  if (sending === undefined) return archived.map((each) => (trusted ? each : { ...each, trusted }));
  return [{ ratchet: sending, since, trusted }, ...archived].slice(0, MAX_ARCHIVED);
}

/** The peer has said where it stopped sending on an older ratchet. */
function end(kept: KeptRatchets, replaces: Replaced | undefined): KeptRatchets {
  const old = ratchetsOf(kept).find(({ id }) => id === replaces?.id);
  return old === undefined ? kept : keepStep(kept, endAt(old, replaces?.end));
}

/**
 * Whether the peer's new ratchet is not to be used for sending. It is the same on both sides whatever the order of
 * arrival: of two that replace the same one, started by each side, `goesBefore` picks one; one that has a successor
 * already is not; otherwise the peer's newer one is.
 */
function isPassedOver({ sending, archived }: KeptRatchets, fresh: Ratchet): boolean {
  const newest = sending ?? archived[0]?.ratchet;
  if (newest === undefined) return false;
  const known = new Map(archived.map(({ ratchet }) => [ratchet.id, ratchet]));
  const before = ancestors(newest, known);
  const replaces = fresh.replaces?.id;
  if (before.includes(fresh.id)) return true;
  if (replaces === before[0])
    return sending !== undefined && sending.role === "initiator" && goesBefore(sending, fresh);
  return before.indexOf(replaces) > 0;
}

/** Of two ratchets that crossed: one whose initiator's store was restored goes first, for it may not know the other. */
function goesBefore(a: Ratchet, b: Ratchet): boolean {
  const isRestored = ({ replaces }: Ratchet): boolean => replaces !== undefined && replaces.end === undefined;
  return isRestored(a) === isRestored(b) ? a.id < b.id : isRestored(a);
}

/** What a ratchet replaces, what that replaces, ...; undefined at the end where the beginning is known. */
function ancestors(newest: Ratchet, known: ReadonlyMap<RatchetId, Ratchet>): (RatchetId | undefined)[] {
  const out: (RatchetId | undefined)[] = [];
  for (let at: Ratchet | undefined = newest; at !== undefined && out.length <= MAX_ARCHIVED; ) {
    const before: RatchetId | undefined = at.replaces?.id;
    out.push(before);
    at = before === undefined ? undefined : known.get(before);
  }
  return out;
}
