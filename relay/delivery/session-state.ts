// What a session knows, what it asks of its node, and how long its device takes to answer.
// Always true: fields that a phase does not use hold nothing; times are the node's monotonic clock.
import type { DeviceAddress, EnvelopeId, Position, ProblemCode } from "@lethe/protocol";
import type { Envelope, NodeId, Owner } from "@lethe/queue";
import type { Answer, Connection, DeliveryLimits, DeliveryRules, Instant } from "./types.ts";
import { Window } from "./window.ts";

/** Who offered: this node's own flow, or another node over its link. */
export type Offerer = NodeId | "here";

/** An envelope that somebody offered and that is not answered yet. */
export interface Offered {
  readonly envelope: Envelope;
  /** Everybody who waits for the answer: a retry may come by another node. */
  readonly from: Offerer[];
  pushedAt: Instant;
  /** Acknowledged while its append was under way. */
  acked: boolean;
}

/** Nothing is being appended. */
export const NOTHING: ReadonlyMap<EnvelopeId, Offered> = new Map();

export type Phase = "claiming" | "draining" | "live" | "closed";

export interface Session {
  readonly me: Owner;
  readonly address: DeviceAddress;
  readonly connection: Connection;
  readonly epoch: number;
  phase: Phase;
  /** Pushed, held in memory alone, not acknowledged; oldest first. */
  inFlight: Window<Offered>;
  /** Offered while the mailbox is being read: appended behind it, or pushed when it turns out to be empty. */
  waiting: Window<Offered>;
  /** The append under way, if any. */
  appending: ReadonlyMap<EnvelopeId, Offered>;
  /** Pushed on this connection and not acknowledged, with their bytes: the push window, wherever their copies are. */
  readonly unacked: Window<number>;
  unackedBytes: number;
  /** Places in the mailbox of what is not acknowledged: one acknowledgement removes every copy. */
  readonly stored: Window<Position[]>;
  /** Acknowledged while a read was under way, whose page may still show them; at most a push window of them. */
  ackedInRead: Set<EnvelopeId> | undefined;
  cursor: Position;
  /** A read or append is under way. */
  busy: boolean;
  /** Read again from the start: a wake came, or a look found mail. */
  rescan: boolean;
  drainedSaid: boolean;
  /** Not before this: a read that failed is tried again then. */
  retryAt: Instant | undefined;
  lookAt: Instant;
  smoothed: number | undefined;
  deviation: number;
}

/** What a session asks of its node. */
export interface SessionPort {
  readonly limits: DeliveryLimits;
  readonly rules: DeliveryRules;
  readonly now: Instant;
  claim(session: Session): void;
  appendAsOwner(session: Session, batch: Offered[], pushed: number): void;
  appendAndRelease(session: Session, batch: Offered[]): void;
  read(session: Session, maxEntries: number, maxBytes: number): void;
  remove(session: Session, entries: { position: Position; id: EnvelopeId }[]): void;
  welcome(session: Session): void;
  epochBehind(session: Session, last: number): void;
  displace(session: Session, previous: Owner): void;
  push(session: Session, envelope: Envelope): void;
  drained(session: Session): void;
  end(session: Session, code: ProblemCode): void;
  answer(session: Session, items: readonly Offered[], how: Answer): void;
  spilled(session: Session, count: number): void;
  closed(session: Session): void;
}

export function newSession(
  me: Owner,
  address: DeviceAddress,
  connection: Connection,
  epoch: number,
  lookAt: Instant,
): Session {
  return {
    me,
    address,
    connection,
    epoch,
    phase: "claiming",
    inFlight: new Window(),
    waiting: new Window(),
    appending: NOTHING,
    unacked: new Window(),
    unackedBytes: 0,
    stored: new Window(),
    ackedInRead: undefined,
    cursor: 0 as Position,
    busy: false,
    rescan: false,
    drainedSaid: false,
    retryAt: undefined,
    lookAt,
    smoothed: undefined,
    deviation: 0,
  };
}

// Smoothed push-to-ack time and its deviation, RFC 6298 section 2.
export function measure(s: Session, took: number): void {
  if (s.smoothed === undefined) {
    s.smoothed = took;
    s.deviation = took / 2;
    return;
  }
  s.deviation += (Math.abs(took - s.smoothed) - s.deviation) / 4;
  s.smoothed += (took - s.smoothed) / 8;
}

/** How long a push may stay unacknowledged in memory alone, ms. */
export function liveWindow(s: Session, limits: DeliveryLimits): number {
  if (s.smoothed === undefined) return limits.liveStart;
  return Math.min(limits.liveMax, Math.max(limits.liveMin, s.smoothed + 4 * s.deviation));
}
