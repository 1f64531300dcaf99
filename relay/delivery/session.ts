// The owning side: one session for each connected device. claiming -> draining <-> live -> closed.
// Always true: in `live` everything in the mailbox has been pushed on this connection; an offer is answered exactly
// once; a delivered-ack settles every copy of its id here; nothing is answered `stored` before the store has said so.
import type { EnvelopeId, Position, ProblemCode } from "@lethe/protocol";
import type { ClaimResult, Entry, Envelope, LookResult, OwnerAppendResult, ReadResult } from "@lethe/queue";
import {
  liveWindow,
  measure,
  NOTHING,
  type Offered,
  type Offerer,
  type Session,
  type SessionPort,
} from "./session-state.ts";
import { type DeliveryLimits, type Instant, sameOwner } from "./types.ts";
import { Window } from "./window.ts";

export { newSession } from "./session-state.ts";
export type { Offered, Offerer, Phase, Session, SessionPort } from "./session-state.ts";

export function claimed(s: Session, result: ClaimResult, port: SessionPort): void {
  if (s.phase === "closed") {
    port.appendAndRelease(s, []); // the claim took effect after its session had ended: give the mailbox free again
    return;
  }
  switch (result.is) {
    case "claimed":
      port.welcome(s);
      if (result.previous !== undefined && !sameOwner(result.previous, s.me))
        port.displace(s, result.previous);
      s.phase = "draining";
      drain(s, port);
      return;
    case "behind":
      port.epochBehind(s, result.last);
      close(s, "epoch-behind", port);
      return;
    case "no-device":
      close(s, "device-removed", port);
      return;
    case "failed":
      close(s, result.code, port);
      return;
  }
}

/** Envelopes offered by a flow. The offerer has checked that this session is the owner it means. */
export function offered(s: Session, envelopes: readonly Envelope[], from: Offerer, port: SessionPort): void {
  for (const envelope of envelopes) {
    if (isUnderWay(s, envelope.id, from, port)) continue;
    const item: Offered = { envelope, from: [from], pushedAt: port.now, acked: false };
    if (s.phase === "live" && s.waiting.size === 0 && mayPushLive(s, envelope, port)) pushLive(s, item, port);
    else s.waiting.set(envelope.id, item);
  }
  if (s.waiting.size > 0) spill(s, port);
}

/** The same envelope, offered again or by another node: its one answer goes to everybody who waits for it. */
function isUnderWay(s: Session, id: EnvelopeId, from: Offerer, port: SessionPort): boolean {
  const known = s.inFlight.get(id) ?? s.waiting.get(id) ?? s.appending.get(id);
  if (known === undefined) return false;
  if (known.acked) port.answer(s, [{ ...known, from: [from] }], "delivered");
  else if (!known.from.includes(from)) known.from.push(from);
  return true;
}

function mayPushLive(s: Session, envelope: Envelope, port: SessionPort): boolean {
  return (
    port.rules.liveFirst &&
    port.limits.liveStart > 0 &&
    hasRoom(s, envelope, port) &&
    !s.unacked.has(envelope.id)
  );
}

function hasRoom(s: Session, envelope: Envelope, port: SessionPort): boolean {
  const pushed = s.unacked.size;
  if (pushed === 0 || !port.rules.window) return true;
  return (
    pushed < port.limits.pushEnvelopes && s.unackedBytes + envelope.ciphertext.length <= port.limits.pushBytes
  );
}

function push(s: Session, envelope: Envelope, port: SessionPort): void {
  if (!s.unacked.has(envelope.id)) pushNew(s, envelope, port);
  else port.push(s, envelope);
}

/** What is not among the unacknowledged. */
function pushNew(s: Session, envelope: Envelope, port: SessionPort): void {
  s.unackedBytes += envelope.ciphertext.length;
  s.unacked.add(envelope.id, envelope.ciphertext.length);
  port.push(s, envelope);
}

function pushLive(s: Session, item: Offered, port: SessionPort): void {
  item.pushedAt = port.now;
  s.inFlight.set(item.envelope.id, item);
  push(s, item.envelope, port);
}

/** Durable first: what is in flight keeps its place ahead of what waits; then the drain pushes the rest. */
export function spill(s: Session, port: SessionPort): void {
  if (s.busy || isClosed(s) || s.phase === "claiming" || s.retryAt !== undefined) return;
  const pushed = s.inFlight.values();
  const batch = [...pushed, ...s.waiting.values()];
  if (batch.length === 0) return;
  s.inFlight = new Window();
  s.waiting = new Window();
  s.appending = new Map(batch.map((item) => [item.envelope.id, item]));
  s.phase = "draining";
  s.busy = true;
  port.spilled(s, batch.length);
  if (!port.rules.storedAfterAppend) answerEarly(s, batch, port);
  port.appendAsOwner(s, batch, pushed.length);
}

function answerEarly(s: Session, batch: readonly Offered[], port: SessionPort): void {
  port.answer(s, batch, "stored");
  for (const item of batch) item.from.length = 0;
}

/** The answer to `spill`'s append; the first `pushed` of the batch had been pushed already. */
export function appendedAsOwner(
  s: Session,
  batch: Offered[],
  pushed: number,
  result: OwnerAppendResult,
  port: SessionPort,
): void {
  s.appending = NOTHING;
  s.busy = false;
  if (result.is === "stored") {
    storedBatch(s, batch, pushed, result.outcomes, port);
    if (!isClosed(s)) proceed(s, port);
    return;
  }
  if (result.is === "failed") {
    refusedBatch(s, batch, pushed, result.code, port);
    return;
  }
  const code = result.is === "no-device" ? "device-removed" : "fenced";
  port.answer(
    s,
    batch.filter((item) => !item.acked),
    result.is === "no-device" ? "no-device" : "not-owner",
  );
  if (!isClosed(s)) close(s, code, port);
}

function storedBatch(
  s: Session,
  batch: Offered[],
  pushed: number,
  outcomes: Extract<OwnerAppendResult, { is: "stored" }>["outcomes"],
  port: SessionPort,
): void {
  const gone: { position: Position; id: EnvelopeId }[] = [];
  batch.forEach((item, i) => {
    const outcome = outcomes[i];
    const { id } = item.envelope;
    if (typeof outcome === "number") {
      if (item.acked) gone.push({ position: outcome, id });
      else if (i < pushed && !isClosed(s)) note(s, outcome, id);
      if (!item.acked) port.answer(s, [item], "stored");
      return;
    }
    if (!item.acked) port.answer(s, [item], outcome ?? "storage-failed");
  });
  if (gone.length > 0) port.remove(s, gone);
}

// A store that takes nothing: what is pushed stays in memory and may still be acknowledged; what waits is refused. The
// append may have been executed all the same, so the mailbox is read from the start.
function refusedBatch(
  s: Session,
  batch: Offered[],
  pushed: number,
  code: "storage-full" | "storage-failed",
  port: SessionPort,
): void {
  const kept = batch.slice(0, pushed).filter((item) => !item.acked);
  const waiting = batch.slice(pushed).filter((item) => !item.acked);
  if (isClosed(s)) {
    port.answer(s, [...kept, ...waiting], "not-owner");
    return;
  }
  const newer = s.inFlight;
  s.inFlight = new Window(kept.map((item) => [item.envelope.id, item]));
  for (const item of newer.values()) s.inFlight.set(item.envelope.id, item);
  for (const item of kept) item.pushedAt = port.now;
  port.answer(s, waiting, code);
  s.cursor = 0 as Position;
  s.retryAt = port.now + port.limits.retryEvery;
}

function isClosed(s: Session): boolean {
  return s.phase === "closed";
}

function note(s: Session, position: Position, id: EnvelopeId): void {
  const known = s.stored.get(id);
  if (known === undefined) s.stored.set(id, [position]);
  else known.push(position);
}

/** Reads on, if there is room to push what comes. */
export function drain(s: Session, port: SessionPort): void {
  if (s.busy || isClosed(s) || s.phase === "claiming" || s.retryAt !== undefined) return;
  const entries = port.limits.pushEnvelopes - s.unacked.size;
  const bytes = port.limits.pushBytes - s.unackedBytes;
  const idle = s.unacked.size === 0;
  // A page a window's half at a time: asking for each freed place alone would cost a read an envelope.
  if (!idle && (entries < port.limits.pushEnvelopes / 2 || bytes <= 0)) return;
  if (s.rescan) {
    s.rescan = false;
    s.cursor = 0 as Position;
  }
  s.busy = true;
  port.read(s, Math.max(entries, 1), Math.max(bytes, 1));
}

export function page(s: Session, result: ReadResult, port: SessionPort): void {
  s.busy = false;
  if (isClosed(s)) return;
  if (result.is === "failed") {
    s.retryAt = port.now + port.limits.retryEvery;
    return;
  }
  if (result.is === "no-device") {
    close(s, "device-removed", port);
    return;
  }
  if (!sameOwner(result.owner, s.me)) {
    close(s, "fenced", port);
    return;
  }
  pushPage(s, result.entries, port);
  const more = result.entries.length > 0 && port.rules.liveOnEmptyRead;
  if (more || s.rescan) proceed(s, port);
  else becomeLive(s, port);
}

/** What the device acknowledged after the page was asked for is not pushed again: such copies go. */
function pushPage(s: Session, entries: readonly Entry[], port: SessionPort): void {
  const acked = s.ackedInRead;
  s.ackedInRead = undefined;
  const gone: { position: Position; id: EnvelopeId }[] = [];
  for (const entry of entries) {
    if (acked?.has(entry.id) !== true) pushStored(s, entry, port);
    else {
      if (entry.position > s.cursor) s.cursor = entry.position;
      gone.push({ position: entry.position, id: entry.id });
    }
  }
  if (gone.length > 0 && port.rules.removeOnAck) port.remove(s, gone);
}

function pushStored(s: Session, entry: Entry, port: SessionPort): void {
  if (entry.position > s.cursor) s.cursor = entry.position;
  // Position and id together: after a failover a position may come to belong to another envelope.
  const places = s.stored.get(entry.id);
  if (places === undefined) s.stored.add(entry.id, [entry.position]);
  else if (places.includes(entry.position)) return;
  else places.push(entry.position);
  if (!s.unacked.has(entry.id)) pushNew(s, entry, port);
  // A copy of what is pushed already: the one acknowledgement removes both.
  else if (!port.rules.pushOnce) push(s, entry, port);
}

/** What waits keeps its place behind what is being read. */
function proceed(s: Session, port: SessionPort): void {
  if (s.waiting.size > 0) spill(s, port);
  else drain(s, port);
}

function becomeLive(s: Session, port: SessionPort): void {
  s.phase = "live";
  if (!s.drainedSaid) {
    s.drainedSaid = true;
    port.drained(s);
  }
  for (const item of s.waiting.values()) {
    if (!mayPushLive(s, item.envelope, port)) break;
    s.waiting.take(item.envelope.id);
    pushLive(s, item, port);
  }
  if (s.waiting.size > 0) spill(s, port);
}

/** The device holds these ids durably: every copy of them in this session is done. Unknown ids are ignored. */
export function acked(s: Session, ids: readonly EnvelopeId[], port: SessionPort): void {
  const delivered: Offered[] = [];
  const gone: { position: Position; id: EnvelopeId }[] = [];
  for (const id of ids) {
    const live = s.inFlight.take(id);
    if (live !== undefined) {
      measure(s, port.now - live.pushedAt);
      delivered.push(live);
    }
    const pushed = s.unacked.take(id);
    s.unackedBytes -= pushed ?? 0;
    if (s.busy && pushed !== undefined) (s.ackedInRead ??= new Set()).add(id);
    settleCopies(s, id, delivered, pushed !== undefined);
    const positions = s.stored.take(id);
    if (positions !== undefined) for (const position of positions) gone.push({ position, id });
  }
  if (delivered.length > 0) port.answer(s, delivered, "delivered");
  if (gone.length > 0 && port.rules.removeOnAck) port.remove(s, gone);
  if (s.phase === "draining" && !s.busy) proceed(s, port);
}

// A copy that waits counts only if this id was pushed on this connection.
function settleCopies(s: Session, id: EnvelopeId, delivered: Offered[], pushed: boolean): void {
  const appending = s.appending.get(id);
  if (appending !== undefined && !appending.acked) {
    appending.acked = true;
    delivered.push(appending);
  }
  const waiting = pushed ? s.waiting.take(id) : undefined;
  if (waiting !== undefined) delivered.push(waiting);
}

/** False for most of those that are connected, at any time. */
export function mayBeDue(s: Session): boolean {
  return s.inFlight.size > 0 || s.retryAt !== undefined;
}

/** Time has passed: spill what was not acknowledged in time, try again what failed. Returns how many envelopes it spilled. */
export function tick(s: Session, port: SessionPort): number {
  if (isClosed(s) || s.phase === "claiming") return 0;
  if (s.retryAt !== undefined && port.now >= s.retryAt) {
    s.retryAt = undefined;
    s.phase = "draining";
    drain(s, port); // reads before it appends: a mailbox that is empty needs no store to go live again
  }
  if (s.retryAt !== undefined) return 0;
  const { oldest } = s.inFlight;
  if (oldest === undefined || port.now - oldest.pushedAt < liveWindow(s, port.limits)) return 0;
  const held = s.inFlight.size + s.waiting.size;
  spill(s, port);
  return held;
}

/** Mail was appended past this session, or may have been: read from the start. */
export function wake(s: Session, port: SessionPort): void {
  if (isClosed(s) || s.phase === "claiming") return;
  s.rescan = true;
  if (s.phase === "live") s.phase = "draining";
  drain(s, port);
}

/** When `tick` has something to do for it; a look is the node's. */
export function dueAt(s: Session, limits: DeliveryLimits): Instant {
  if (isClosed(s) || s.phase === "claiming") return Number.POSITIVE_INFINITY;
  if (s.retryAt !== undefined) return s.retryAt;
  if (s.busy) return Number.POSITIVE_INFINITY;
  const { oldest } = s.inFlight;
  return oldest === undefined ? Number.POSITIVE_INFINITY : oldest.pushedAt + liveWindow(s, limits);
}

export function looked(s: Session, result: LookResult, port: SessionPort): void {
  if (isClosed(s) || s.phase === "claiming" || result.is === "failed") return;
  if (result.is === "no-device") close(s, "device-removed", port);
  else if (!sameOwner(result.owner, s.me)) close(s, "fenced", port);
  else if (result.waiting > 0) wake(s, port);
}

/** The connection is gone or must go. In one step: append what is in flight, and release. */
export function close(s: Session, code: ProblemCode | undefined, port: SessionPort): void {
  if (isClosed(s)) return;
  const was = s.phase;
  s.phase = "closed";
  if (code !== undefined) port.end(s, code);
  const rest = [...s.inFlight.values(), ...s.waiting.values()];
  s.inFlight = new Window();
  s.waiting = new Window();
  // Order: what is being appended comes first, so the rest goes back to its origin.
  if (was === "claiming" || s.appending.size > 0 || !port.rules.spillOnClose) {
    port.answer(s, rest, port.rules.spillOnClose ? "not-owner" : "stored");
    port.appendAndRelease(s, []);
  } else port.appendAndRelease(s, rest);
  port.closed(s);
}

/** The answer to `close`'s append. */
export function released(s: Session, batch: Offered[], result: OwnerAppendResult, port: SessionPort): void {
  if (batch.length === 0) return;
  if (result.is !== "stored") {
    port.answer(s, batch, result.is === "no-device" ? "no-device" : "not-owner");
    return;
  }
  batch.forEach((item, i) => {
    const outcome = result.outcomes[i];
    port.answer(s, [item], typeof outcome === "number" ? "stored" : (outcome ?? "storage-failed"));
  });
}
