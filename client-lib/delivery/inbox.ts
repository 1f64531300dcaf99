// What has arrived: put in order, kept until the application has settled it, remembered so that it is handed over once.
// Always true: an entry is durable before it is acknowledged, and acknowledged before or while it is handed over; the
// entries of one stream are handed over in the order of their numbers, except those that are marked late; what is
// missing between them is an entry of its own, durable in the commit that gives it up.
import {
  type AccountId,
  accountOf,
  decodeAll,
  type DeviceAddress,
  encode,
  type EnvelopeId,
  type Time,
} from "@lethe/protocol";
import type { GroupId } from "@lethe/crypto";
import type { CipherOutcome, Entry, MessageId, OpenedContent, StoredRows, StreamId } from "./events.ts";
import {
  HOLD_MS,
  MAX_HELD,
  MAX_HELD_BYTES,
  MAX_SEEN,
  MAX_STREAMS,
  MAX_UNSETTLED,
  REMEMBER_MS,
} from "./limits.ts";
import { ownNote } from "./own-notes.ts";
import { Requests } from "./requests.ts";
import {
  disappearBody,
  gapBody,
  gapRow,
  groupBody,
  groupGapBody,
  type InboxRow,
  inboxRow,
  orderKey,
  orderOf,
  ownBody,
  put,
  readTable,
  receiptBody,
  remove,
  seenRow,
  streamInRow,
} from "./rows.ts";
import type { Turn } from "./turn.ts";

/** `group`: that it was said to. */
export type OpenedEnvelope = CipherOutcome & { readonly outcome: "ok"; readonly group?: GroupId };

interface Held {
  readonly order: number;
  readonly row: InboxRow;
}

interface Stream {
  readonly key: string;
  readonly from: DeviceAddress;
  readonly id: StreamId;
  /** Undefined: of mail to this account alone. */
  readonly group: GroupId | undefined;
  next: number;
  at: Time;
  readonly held: Map<number, Held>;
}

export interface Expected {
  readonly from: DeviceAddress;
  readonly group: GroupId;
  readonly stream: StreamId;
  readonly next: number;
}

/** An entry whose turn has come: the core decides between handing it over and keeping it as a request. */
export interface Ready {
  readonly order: number;
  readonly row: InboxRow;
}

export class Inbox {
  readonly #seen = new Map<string, Time>();
  readonly #streams = new Map<string, Stream>();
  /** Entries of strangers. */
  readonly requests = new Requests();
  /** Entries handed over, or to be, that the application has not settled, with account and message of each. */
  readonly #unsettled = new Map<number, string>();
  #heldBytes = 0;
  #heldCount = 0;
  #nextOrder = 1;
  /** When the mailbox was found empty on this connection; while it is not, nothing is given up. */
  #drainedAt: Time | undefined;
  #toHand: Ready[] = [];

  constructor(rows: StoredRows) {
    for (const [id, { at }] of readTable(rows, "seen", seenRow).sort((a, b) => a[1].at - b[1].at))
      this.#seen.set(id, at);
    for (const [key, { next, at }] of readTable(rows, "stream-in", streamInRow))
      this.#streams.set(key, { key, ...streamOf(key), next, at, held: new Map() });
    for (const [key, row] of readTable(rows, "inbox", inboxRow)) this.#restore({ order: orderOf(key), row });
  }

  #restore(held: Held): void {
    const { order, row } = held;
    this.#nextOrder = Math.max(this.#nextOrder, order + 1);
    if (row.state === "held" && row.place !== undefined)
      // It came before this process's `drained`, whatever the clock says by now.
      this.#hold(this.#stream(row.from, groupOf(row), row.place.stream, row.arrivedAt), row.place.sequence, {
        order,
        row: { ...row, arrivedAt: 0 as Time },
      });
    else if (row.state === "request") this.requests.add(held);
    else {
      this.#unsettled.set(order, nameOf(row));
      this.#toHand.push(held);
    }
  }

  /** What was not settled when the process ended, in order. Once. */
  takeUnsettled(): Ready[] {
    const out = this.#toHand;
    this.#toHand = [];
    return out;
  }

  /** What is held back has a cap of its own: were it counted, a full inbox could keep the missing message out. */
  get hasRoom(): boolean {
    return this.#unsettled.size < MAX_UNSETTLED;
  }

  hasSeen(id: EnvelopeId): boolean {
    return this.#seen.has(id);
  }

  /** Remembers an envelope and its message. False: the message had arrived before, under another envelope's id. */
  remember(turn: Turn, id: EnvelopeId, from: DeviceAddress, message: MessageId): boolean {
    const known = this.#seen.has(accountOf(from) + message);
    for (const key of [id, accountOf(from) + message]) {
      this.#seen.delete(key);
      this.#seen.set(key, turn.now);
      turn.stage(put("seen", key, seenRow, { at: turn.now }));
    }
    for (const key of this.#seen.keys()) {
      if (this.#seen.size <= MAX_SEEN) break;
      this.#seen.delete(key);
      turn.stage(remove("seen", key));
    }
    return !known;
  }

  /** Takes a new message's content; gives what may go on by it, in order. */
  arrive(turn: Turn, opened: OpenedEnvelope): Ready[] {
    const { content, from, message, place, sentAt } = opened;
    if (content.kind === "signal") return [];
    const row: InboxRow = {
      ...keptOf(content, opened),
      from,
      message,
      sentAt,
      arrivedAt: turn.now,
      place,
      state: "new",
      late: "no",
    };
    const order = this.#nextOrder++;
    if (place === undefined) return [{ order, row }];
    return this.#place(
      turn,
      { order, row },
      place.sequence,
      this.#stream(from, opened.group, place.stream, turn.now, turn),
    );
  }

  #place(turn: Turn, held: Held, sequence: number, stream: Stream): Ready[] {
    stream.at = turn.now;
    if (sequence < stream.next) return [{ order: held.order, row: { ...held.row, late: "yes" } }];
    // Two messages under one number: the sender's store went back. The second is handed over, marked late.
    if (stream.held.has(sequence)) return [{ order: held.order, row: { ...held.row, late: "yes" } }];
    if (sequence > stream.next) {
      const row: InboxRow = { ...held.row, state: "held" };
      turn.stage(put("inbox", orderKey(held.order), inboxRow, row));
      this.#hold(stream, sequence, { order: held.order, row });
      return this.#relieve(turn, stream);
    }
    stream.next += 1;
    const ready = [{ order: held.order, row: held.row }, ...this.#release(turn, stream)];
    this.#writeStream(turn, stream);
    return ready;
  }

  #hold(stream: Stream, sequence: number, held: Held): void {
    stream.held.set(sequence, held);
    this.#heldCount += 1;
    this.#heldBytes += held.row.body.length;
  }

  /** What follows without a gap. Its rows get new numbers: by their own they would come before what they waited for. */
  #release(turn: Turn, stream: Stream): Ready[] {
    const out: Ready[] = [];
    for (;;) {
      const held = stream.held.get(stream.next);
      if (held === undefined) return out;
      stream.held.delete(stream.next);
      this.#heldCount -= 1;
      this.#heldBytes -= held.row.body.length;
      stream.next += 1;
      turn.stage(remove("inbox", orderKey(held.order)));
      out.push({ order: this.#nextOrder++, row: { ...held.row, state: "new" } });
    }
  }

  #relieve(turn: Turn, stream: Stream): Ready[] {
    if (this.#heldCount <= MAX_HELD && this.#heldBytes <= MAX_HELD_BYTES) return [];
    return this.#giveUp(turn, stream);
  }

  /** The gap before what is held takes its place in the order, and what is behind it goes on. */
  #giveUp(turn: Turn, stream: Stream): Ready[] {
    const lowest = Math.min(...stream.held.keys());
    const { from, id, group } = stream;
    const row = gapRow({ from, stream: id, group, first: stream.next, last: lowest - 1, now: turn.now });
    const gap = { order: this.#nextOrder++, row };
    stream.next = lowest;
    const ready = [gap, ...this.#release(turn, stream)];
    this.#writeStream(turn, stream);
    return ready;
  }

  #stream(
    from: DeviceAddress,
    group: GroupId | undefined,
    id: StreamId,
    at: Time,
    turn?: Turn,
    next = 1,
  ): Stream {
    const key = from + (group ?? "") + id;
    const known = this.#streams.get(key);
    if (known !== undefined) return known;
    const stream: Stream = { key, from, id, group, next, at, held: new Map() };
    this.#streams.set(key, stream);
    if (turn !== undefined) this.#forgetStreams(turn, stream);
    return stream;
  }

  /** The first number to expect of a device in a group, which it has told: what was before is not for this device. */
  expect(turn: Turn, { from, group, stream, next }: Expected): void {
    if (this.#streams.has(from + group + stream)) return;
    this.#writeStream(turn, this.#stream(from, group, stream, turn.now, turn, next));
  }

  /** This device has left a group: nothing is expected there until its members tell what is next. What is held waits on. */
  left(turn: Turn, group: GroupId): void {
    for (const { key, group: of, held } of this.#streams.values()) {
      if (of !== group || held.size > 0) continue;
      this.#streams.delete(key);
      turn.stage(remove("stream-in", key));
    }
  }

  /** A sender begins a new stream when its store was restored: only the newest few are remembered. */
  #forgetStreams(turn: Turn, { from, group, key }: Stream): void {
    const own = [...this.#streams.values()].filter(
      (s) => s.from === from && s.group === group && s.key !== key && s.held.size === 0,
    );
    own.sort((a, b) => a.at - b.at);
    for (const old of own.slice(0, Math.max(0, own.length + 1 - MAX_STREAMS))) {
      this.#streams.delete(old.key);
      turn.stage(remove("stream-in", old.key));
    }
  }

  #writeStream(turn: Turn, { key, next, at }: Stream): void {
    turn.stage(put("stream-in", key, streamInRow, { next, at }));
  }

  /** Keeps an entry as the application's next: handed over once that is durable. */
  keepForApplication(turn: Turn, { order, row }: Ready): void {
    const kept: InboxRow = { ...row, state: "new" };
    turn.stage(put("inbox", orderKey(order), inboxRow, kept));
    this.#unsettled.set(order, nameOf(row));
    turn.afterwards({ next: "hand", entry: entryOf({ order, row: kept }) });
  }

  /** An entry of this device's own, for the application. */
  tell(turn: Turn, from: DeviceAddress, said: Pick<InboxRow, "kind" | "body">): void {
    const order = this.#nextOrder++;
    const message = orderKey(order).repeat(2) as MessageId;
    const row = { ...said, from, message, sentAt: turn.now, arrivedAt: turn.now, place: undefined } as const;
    this.keepForApplication(turn, { order, row: { ...row, state: "new", late: "no" } });
  }

  /** Keeps an entry until the person has decided about its sender. */
  keepAsRequest(turn: Turn, { order, row }: Ready): void {
    const kept: InboxRow = { ...row, state: "request" };
    turn.stage(put("inbox", orderKey(order), inboxRow, kept));
    this.requests.add({ order, row: kept });
  }

  /** An entry that is not kept after all: its row, if it had one, goes. */
  drop(turn: Turn, { order }: Ready): void {
    turn.stage(remove("inbox", orderKey(order)));
  }

  /** Everything held of an account that was blocked goes. */
  dropHeld(turn: Turn, account: AccountId): void {
    for (const stream of this.#streams.values()) {
      if (accountOf(stream.from) !== account || stream.group !== undefined) continue;
      for (const [sequence, held] of stream.held) {
        stream.held.delete(sequence);
        this.#heldCount -= 1;
        this.#heldBytes -= held.row.body.length;
        turn.stage(remove("inbox", orderKey(held.order)));
      }
    }
  }

  /** Messages that a person has removed are handed over no more, nor kept until their sender is decided about. */
  forget(turn: Turn, account: AccountId, messages: readonly MessageId[]): void {
    const names = new Set(messages.map((message) => account + message));
    const gone = [...this.#unsettled].filter(([, name]) => names.has(name)).map(([order]) => order);
    for (const order of gone) this.settled(turn, order);
    for (const ready of this.requests.forget(account, messages)) this.drop(turn, ready);
  }

  settled(turn: Turn, order: number): void {
    if (!this.#unsettled.delete(order)) return;
    turn.stage(remove("inbox", orderKey(order)));
  }

  drained(now: Time): void {
    this.#drainedAt = now;
  }

  /** Not connected: what is missing may lie in the mailbox, so nothing is given up. */
  disconnected(): void {
    this.#drainedAt = undefined;
  }

  /** What has been held back long enough, and the gaps before it, in order. */
  tick(turn: Turn): Ready[] {
    const ready: Ready[] = [];
    for (const stream of this.#streams.values())
      while (stream.held.size > 0 && this.#dueAt(stream) <= turn.now)
        ready.push(...this.#giveUp(turn, stream));
    return ready;
  }

  /** 10 s from the later of `drained` and the earliest arrival of what is held. */
  #dueAt(stream: Stream): number {
    if (this.#drainedAt === undefined) return Number.POSITIVE_INFINITY;
    let first = Number.POSITIVE_INFINITY;
    for (const { row } of stream.held.values()) first = Math.min(first, row.arrivedAt);
    return Math.max(this.#drainedAt, first) + HOLD_MS;
  }

  nextAt(): number {
    if (this.#heldCount === 0) return Number.POSITIVE_INFINITY;
    let at = Number.POSITIVE_INFINITY;
    for (const stream of this.#streams.values())
      if (stream.held.size > 0) at = Math.min(at, this.#dueAt(stream));
    return at;
  }

  /** Forgets ids that nothing under way can carry any more. */
  sweep(turn: Turn): void {
    for (const [id, at] of this.#seen) {
      if (turn.now - at < REMEMBER_MS) return;
      this.#seen.delete(id);
      turn.stage(remove("seen", id));
    }
  }
}

/** The entry as the application gets it. */
export function entryOf({ order, row }: Ready): Entry {
  const { from, message, sentAt } = row;
  return { entry: order, from, message, sentAt, late: row.late === "yes", content: contentOf(row) };
}

function keptOf(
  content: Exclude<OpenedContent, { readonly kind: "signal" }>,
  { conversation, group }: OpenedEnvelope,
): Pick<InboxRow, "kind" | "body"> {
  if (content.kind === "receipt") {
    const { kind, delivered, read } = content;
    return { kind, body: encode(receiptBody, { delivered: [...delivered], read: [...read] }) };
  }
  if (group !== undefined && content.kind !== "note")
    return {
      kind: content.kind === "message" ? "group" : "group-silent",
      body: encode(groupBody, { group, body: content.body }),
    };
  if (conversation === undefined || content.kind === "note") return content;
  return { kind: "own", body: encode(ownBody, { conversation, body: content.body }) };
}

function nameOf({ from, message, kind }: InboxRow): string {
  return kind === "message" || kind === "unknown" || kind === "update" ? accountOf(from) + message : "";
}

function contentOf({ kind, body }: InboxRow): Entry["content"] {
  if (kind === "note") {
    const note = decodeAll(ownNote, body);
    if (note.kind !== "read" && note.kind !== "deleted") throw new Error(); // a note that is for the library
    const { conversation, messages } = note;
    return { kind: note.kind === "read" ? "read-elsewhere" : "deleted-elsewhere", conversation, messages };
  }
  if (kind === "own") return { kind, ...decodeAll(ownBody, body) };
  if (kind === "receipt") return { kind, ...decodeAll(receiptBody, body) };
  if (kind === "gap") return { kind, ...decodeAll(gapBody, body) };
  if (kind === "group-gap") return { kind: "gap", ...decodeAll(groupGapBody, body) };
  if (kind === "disappear") return { kind, ...decodeAll(disappearBody, body) };
  if (kind === "group" || kind === "group-silent") return { kind, ...decodeAll(groupBody, body) };
  return { kind, body };
}

/** The parts of a stream's key: a device, in a group the group, the stream. */
function streamOf(key: string): Pick<Stream, "from" | "group" | "id"> {
  const [from, group, id] = [key.slice(0, 18), key.slice(18, -8), key.slice(-8)];
  const known = group === "" ? undefined : (group as GroupId);
  return { from: from as DeviceAddress, group: known, id: id as StreamId };
}

function groupOf({ kind, body }: InboxRow): GroupId | undefined {
  return kind === "group" || kind === "group-silent" ? decodeAll(groupBody, body).group : undefined;
}
