// What is true of a blob, as it follows from what the ledger was asked and has answered. Always true: it is computed from the log
// of those verbs alone, so that what a failover forgets is forgotten here too.
import type { CapabilityMark, MediaId, MediaUpload, TokenChange } from "@lethe/queue";

export interface Facts {
  readonly upload: MediaUpload;
  isReady: boolean;
  isClosed: boolean;
  isWithdrawn: boolean;
  /** Release tokens, and whether each is struck. */
  readonly marks: Map<CapabilityMark, boolean>;
}

/** A verb of the ledger that was executed. */
export interface Executed {
  /** By the ledger's clock. */
  readonly at: number;
  readonly verb: string;
  readonly args: readonly unknown[];
  readonly result: unknown;
}

export type AllFacts = Map<MediaId, Facts>;

/** Takes one more verb into account. */
export function learn(all: AllFacts, { at, verb, args, result }: Executed): void {
  if (verb === "begin" && result === "begun") {
    const upload = args[0] as MediaUpload;
    all.set(upload.media, { upload, isReady: false, isClosed: false, isWithdrawn: false, marks: new Map() });
  }
  if (verb === "forget") for (const media of args[0] as readonly MediaId[]) forget(all, media, at);
  const facts = all.get(args[0] as MediaId);
  if (facts === undefined) return;
  if (verb === "finish" && result === "ready") facts.isReady = true;
  if (verb === "withdraw" && result === "ended") facts.isWithdrawn = true;
  if (verb === "release" && (result === "released" || result === "last"))
    facts.marks.set(args[1] as CapabilityMark, true);
  if (verb === "tokens" && result === "done") learnTokens(facts, args[2] as TokenChange);
}

function forget(all: AllFacts, media: MediaId, at: number): void {
  const facts = all.get(media);
  if (facts !== undefined && endOf(facts, at) !== undefined) all.delete(media);
}

function learnTokens(facts: Facts, { add, strike, close }: TokenChange): void {
  const { marks } = facts;
  facts.isClosed ||= close;
  for (const mark of add) if (!marks.has(mark)) marks.set(mark, false);
  for (const mark of strike) if (marks.has(mark)) marks.set(mark, true);
}

export type End = "withdrawn" | "released" | "expired" | "unfinished";

/** Why it may be collected; undefined: it may not. */
export function endOf(facts: Facts, now: number): End | undefined {
  if (facts.isWithdrawn) return "withdrawn";
  if (now >= facts.upload.expires) return "expired";
  if (!facts.isReady && now >= facts.upload.unfinished) return "unfinished";
  if (facts.isClosed && [...facts.marks.values()].every((isStruck) => isStruck)) return "released";
  return undefined;
}
