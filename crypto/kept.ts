// All ratchets with one peer device: the one that is used for sending, and those that only receive until no mail on them
// can be under way. Pure: each step gives a new value. Always true: at most one is used for sending; one that was
// archived is never used for sending again, whatever arrives on it (Cremers, Jacomme, Naska, USENIX Security 2023).
import type { Time } from "@lethe/protocol";
import { MAX_ARCHIVED, RETENTION_MS, RETENTION_SLACK_MS } from "./limits.ts";
import { endAt, generationOf, replacing } from "./replaced.ts";
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
  const generation = Math.max(0, ...ratchetsOf({ sending, archived }).map(generationOf));
  if (sending !== undefined) return replacing(sending, generation, true);
  const last = archived[0];
  return last === undefined ? undefined : replacing(last.ratchet, generation, last.trusted);
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

/** Whether the peer's new ratchet is not to be used for sending: a later one is, or was until it was given up. */
function isPassedOver(kept: KeptRatchets, fresh: Ratchet): boolean {
  const known = kept.sending === undefined ? ratchetsOf(kept) : [kept.sending];
  return known.some((ratchet) => goesBefore(ratchet, fresh));
}

/**
 * A total order over what both sides know: the higher generation, then the lower id. Whatever the order in which they
 * arrive, both sides come to use the same.
 */
function goesBefore(a: Ratchet, b: Ratchet): boolean {
  const [one, other] = [generationOf(a), generationOf(b)];
  return one === other ? a.id < b.id : one > other;
}
