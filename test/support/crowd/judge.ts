// Judges the histories of a crowd: what was lost, came twice, out of order or from nowhere. Always true: a message may
// come a second time only after its recipient's process was started again, under the same id, at most once a start.
import type { Histories, Line } from "./history.ts";

export type FaultKind =
  | "lost"
  | "duplicated"
  | "reordered"
  | "phantom"
  | "forged"
  | "refused-and-delivered"
  | "receipt-without-delivery"
  | "late"
  | "gap"
  | "not-a-member"
  | "trouble"
  | "resealed"
  | "pushed-twice";

/** A message, an envelope or message by its id, or a file by its name: what a timeline can be had of. */
export type About =
  | { readonly from: string; readonly to: string; readonly seq: number }
  | { readonly id: string }
  | { readonly file: string }
  | { readonly person: string };

export interface Fault {
  readonly kind: FaultKind;
  readonly says: string;
  readonly about: About;
}

export interface Verdict {
  readonly faults: readonly Fault[];
  readonly sending: number;
  readonly queued: number;
  readonly sent: number;
  /** Messages handed over, repeats not counted. */
  readonly handed: number;
  /** Hand-overs repeated after a restart. */
  readonly repeated: number;
  /** Queued and not handed over yet: what a run that is not over waits for. */
  readonly missing: number;
}

export type Of<K extends Line["is"]> = Extract<Line, { is: K }>;

/** What a hand-over says, in a group or not. */
type HandedLine = Pick<Of<"handed">, "id" | "seq" | "late">;

export interface Handed<L extends HandedLine = Of<"handed">> {
  readonly line: L;
  readonly at: string;
  /** What is in order: its sender to its recipient, in a group or not. */
  readonly conversation: string;
  /** The recipient's start within which it came. */
  readonly run: number;
}

export function judge(histories: Histories): Verdict {
  const faults: Fault[] = [];
  const say: Say = (kind, says, about) => void faults.push({ kind, says, about });
  const handed = handedIn(histories, "handed", ({ from, to }) => `${from} to ${to}`).filter(
    ({ line, at, conversation }) => {
      if (line.to !== at) say("phantom", `${conversation} #${line.seq} came to ${at}`, line);
      return line.to === at;
    },
  );
  const { first, repeated } = once(handed, say);
  order(first, say);
  origin(histories, first, say);
  const missing = arrival(histories, first, say);
  refusals(histories, first, say);
  for (const [name, lines] of histories)
    for (const line of lines)
      if (line.is === "trouble") say("trouble", `${name}: ${line.what}`, { person: name });
  const count = (is: Line["is"]): number =>
    sum(histories, (lines) => lines.filter((l) => l.is === is).length);
  const files = filesShown(histories);
  return {
    faults,
    sending: count("sending"),
    queued: count("queued"),
    sent: sum(histories, (lines) => lines.filter((l) => l.is === "sent" && !files.has(l.id)).length),
    handed: first.length,
    repeated,
    missing,
  };
}

/** Ids of messages that brought a file: the library tells of them as of others. */
export function filesShown(histories: Histories): Set<string> {
  const ids = new Set<string>();
  for (const lines of histories.values())
    for (const line of lines) if (line.is === "file-shown") ids.add(line.id);
  return ids;
}

export type Say = (kind: FaultKind, says: string, about: About) => void;

const keyOf = (from: string, to: string, seq: number): string => `${from} to ${to} #${seq}`;

function sum(histories: Histories, of: (lines: readonly Line[]) => number): number {
  let total = 0;
  for (const lines of histories.values()) total += of(lines);
  return total;
}

export function handedIn<L extends Line, K extends "handed" | "group-handed">(
  histories: Histories<L>,
  kind: K,
  conversationOf: (line: Extract<L, { is: K }>, at: string) => string,
): Handed<Extract<L, { is: K }>>[] {
  const isOne = (line: L): line is Extract<L, { is: K }> => line.is === kind;
  const out: Handed<Extract<L, { is: K }>>[] = [];
  for (const [at, lines] of histories) {
    let run = 0;
    for (const line of lines) {
      if (line.is === "started") run++;
      if (isOne(line)) out.push({ line, at, run, conversation: conversationOf(line, at) });
    }
  }
  return out;
}

/** The first hand-over of every message, in the order of each history. */
export function once<L extends HandedLine>(
  handed: readonly Handed<L>[],
  say: Say,
): { first: Handed<L>[]; repeated: number } {
  const seen = new Map<string, Handed<L>>();
  const first: Handed<L>[] = [];
  let repeated = 0;
  for (const each of handed) {
    const { line, run, conversation } = each;
    const key = `${conversation} #${line.seq}`;
    const before = seen.get(key);
    seen.set(key, each);
    if (before === undefined) first.push(each);
    else if (before.line.id !== line.id) say("duplicated", `${key} under two ids`, line);
    else if (before.run === run) say("duplicated", `${key} twice within one start`, line);
    else repeated++;
  }
  return { first, repeated };
}

/** Numbers of one conversation only grow; where something `mayBeLate` they need not. */
export function order<L extends HandedLine>(
  first: readonly Handed<L>[],
  say: Say,
  mayBeLate: (handed: Handed<L>) => boolean = () => false,
): void {
  const last = new Map<string, number>();
  for (const handed of first) {
    const { line, conversation } = handed;
    const before = last.get(conversation) ?? -1;
    last.set(conversation, Math.max(before, line.seq));
    if (mayBeLate(handed)) continue;
    if (line.seq < before) say("reordered", `${conversation}: #${line.seq} after #${before}`, line);
    if (line.late) say("late", `${conversation} #${line.seq}`, line);
  }
}

/** Whatever came was sent by the one who is said to have sent it, under that id. */
function origin(histories: Histories, first: readonly Handed[], say: Say): void {
  const accounts = new Map<string, string>();
  const attempted = new Map<string, string>();
  const ids = new Map<string, string>();
  for (const [name, lines] of histories)
    for (const line of lines) {
      if (line.is === "started") accounts.set(name, line.account);
      if (line.is === "sending") attempted.set(keyOf(name, line.to, line.seq), line.hash);
      if (line.is === "queued") ids.set(keyOf(name, line.to, line.seq), line.id);
    }
  for (const { line } of first) {
    const key = keyOf(line.from, line.to, line.seq);
    const hash = attempted.get(key);
    if (hash === undefined) say("phantom", `${key} was never sent`, line);
    else if (hash !== line.hash) say("phantom", `${key} came with another text`, line);
    const id = ids.get(key);
    if (id !== undefined && id !== line.id) say("phantom", `${key} came under another id`, line);
    if (accounts.get(line.from) !== line.account) say("forged", `${key} came from another account`, line);
  }
}

/** Whatever the library took or the relay accepted arrived; a receipt says nothing that is not so. */
function arrival(histories: Histories, first: readonly Handed[], say: Say): number {
  const arrived = filesShown(histories);
  for (const { line } of first) arrived.add(line.id);
  let missing = 0;
  for (const [name, lines] of histories)
    for (const line of lines) {
      if (line.is !== "queued" && line.is !== "sent" && line.is !== "delivered") continue;
      if (arrived.has(line.id)) continue;
      if (line.is === "queued") missing++;
      if (line.is === "queued")
        say("lost", `${keyOf(name, line.to, line.seq)} was taken and never came`, { ...line, from: name });
      if (line.is === "sent") say("lost", `${line.id} of ${name} was accepted and never came`, line);
      if (line.is === "delivered") say("receipt-without-delivery", `${line.id} of ${name}`, line);
    }
  return missing;
}

/** What the application was told is not sent does not come. */
function refusals(histories: Histories, first: readonly Handed[], say: Say): void {
  const arrived = new Set(first.map(({ line }) => keyOf(line.from, line.to, line.seq)));
  for (const [name, lines] of histories)
    for (const line of lines) {
      if (line.is !== "not-queued") continue;
      const key = keyOf(name, line.to, line.seq);
      if (arrived.has(key)) say("refused-and-delivered", `${key} (${line.code})`, { ...line, from: name });
    }
}
