// Judges what a crowd has seen of its files. Always true: a file is owed to whom a message to its user or group would be; it may be
// left at the relay only where somebody who was in its group while it was sent has not had it, and needs not.
import { changesIn, type Change, namesIn, owedOf } from "./group-judge.ts";
import type { FileTarget, Histories, Stamped } from "./history.ts";
import type { Fault, Say } from "./judge.ts";

export interface FileVerdict {
  readonly faults: readonly Fault[];
  /** Begun. */
  readonly files: number;
  readonly sent: number;
  readonly notSent: number;
  /** Their sender was killed in the middle, and has no upload of them any more. */
  readonly outOfSight: number;
  readonly resumedUploads: number;
  /** Fetched on from the middle. */
  readonly resumedDownloads: number;
  readonly saved: number;
  readonly savedBytes: number;
  /** Of the files that were sent, one for each file and recipient. */
  readonly owed: number;
  /** Of these, those that are not saved yet, and files whose end is not known: what a run that is not over waits for. */
  readonly missing: number;
  /** Files that the relay may still hold, by what it keeps them as; undefined: a file that came to nobody. */
  readonly mayStay: readonly (string | undefined)[];
}

interface Sending {
  readonly file: string;
  readonly from: string;
  readonly hash: string;
  readonly to: FileTarget;
  readonly sending: number;
  /** Infinite where the relay did not say so. */
  sent: number;
  end: "sent" | "not-sent" | "out-of-sight" | undefined;
  readonly savedBy: Set<string>;
  blob: string | undefined;
}

interface Known {
  readonly names: ReadonlyMap<string, string>;
  readonly changes: ReadonlyMap<string, readonly Change[]>;
}

export function judgeFiles(histories: Histories<Stamped>): FileVerdict {
  const faults: Fault[] = [];
  const say: Say = (kind, says, about) => void faults.push({ kind, says, about });
  const known = { names: namesIn(histories), changes: changesIn(histories) };
  const files = filesIn(histories);
  for (const [at, lines] of histories) received(at, lines, files, say);
  refusals(histories, files, { known, say });
  const all = [...files.values()];
  const ended = (end: Sending["end"]): number => all.filter((file) => file.end === end).length;
  const lines = [...histories.values()].flat();
  return {
    files: all.length,
    sent: ended("sent"),
    notSent: ended("not-sent"),
    outOfSight: ended("out-of-sight"),
    resumedUploads: lines.filter(({ is }) => is === "file-resumed").length,
    resumedDownloads: lines.filter((line) => line.is === "file-fetching" && line.from > 0).length,
    saved: all.reduce((sum, { savedBy }) => sum + savedBy.size, 0),
    savedBytes: all.reduce((sum, { file, savedBy }) => sum + savedBy.size * sizeOf(file), 0),
    ...arrival(all, known, say),
    mayStay: all.filter((file) => mayStay(file, known)).map(({ blob }) => blob),
    faults,
  };
}

const sizeOf = (file: string): number => Number(/-(\d+)\.bin$/.exec(file)?.[1]);

function filesIn(histories: Histories<Stamped>): Map<string, Sending> {
  const files = new Map<string, Sending>();
  for (const [from, lines] of histories)
    for (const line of lines) {
      if (line.is === "file-sending") {
        const { file, hash, to, mono } = line;
        const fresh = { end: undefined, savedBy: new Set<string>(), blob: undefined };
        const sent = Number.POSITIVE_INFINITY;
        files.set(file, { file, from, hash, to, sending: mono, sent, ...fresh });
      }
      if (line.is !== "file-sent" && line.is !== "file-not-sent" && line.is !== "file-out-of-sight") continue;
      const sending = files.get(line.file);
      if (sending === undefined) continue;
      sending.end = line.is.slice("file-".length) as Sending["end"];
      if (line.is === "file-sent") sending.sent = line.mono;
    }
  return files;
}

/** Whatever came was sent, to whom it came, and has the bytes that were sent; its message comes again only after a start. */
function received(
  at: string,
  lines: readonly Stamped[],
  files: ReadonlyMap<string, Sending>,
  say: Say,
): void {
  const seen = new Map<string, { readonly id: string; readonly run: number }>();
  let run = 0;
  for (const line of lines) {
    if (line.is === "started") run++;
    if (line.is !== "file-shown" && line.is !== "file-saved") continue;
    const { file } = line;
    const sending = files.get(file);
    if (sending === undefined) say("phantom", `${file} came to ${at} and was never sent`, line);
    else if ("user" in sending.to && sending.to.user !== at)
      say("phantom", `${file} for ${sending.to.user} came to ${at}`, line);
    if (line.is === "file-saved") {
      sending?.savedBy.add(at);
      if (sending !== undefined && sending.hash !== line.hash)
        say("phantom", `${file} came to ${at} with other bytes`, { file });
      continue;
    }
    if (sending !== undefined) sending.blob = line.blob;
    const before = seen.get(file);
    if (before !== undefined && before.id !== line.id)
      say("duplicated", `${file} came to ${at} under two ids`, { file });
    else if (before?.run === run) say("duplicated", `${file} came to ${at} twice within one start`, { file });
    seen.set(file, { id: line.id, run });
  }
}

/** A file is refused only to somebody who was taken out; what the application was told is not sent is had by nobody. */
function refusals(
  histories: Histories<Stamped>,
  files: ReadonlyMap<string, Sending>,
  { known, say }: { known: Known; say: Say },
): void {
  for (const [name, lines] of histories)
    for (const line of lines) {
      if (line.is !== "file-not-sent") continue;
      const { file, code } = line;
      const sending = files.get(file);
      if (sending === undefined) continue;
      if (sending.savedBy.size > 0) say("refused-and-delivered", `${file} of ${name} (${code})`, { file });
      const isOut = code === "not-a-member" && owedTo(sending, known).length === 0;
      // Its recipient is asked for first.
      if (!isOut && code !== "relay-unreachable")
        say("trouble", `${file} of ${name} was refused: ${code}`, { file });
    }
}

/** The names of those who have to have it. */
function owedTo({ to, from, sending, sent }: Sending, { names, changes }: Known): readonly string[] {
  if ("user" in to) return [to.user];
  const members = to.members.map((account) => names.get(account) ?? account);
  return owedOf({ from, sending, sent, number: to.number, members }, changes.get(to.tag));
}

function arrival(files: readonly Sending[], known: Known, say: Say): { owed: number; missing: number } {
  let owed = 0;
  let missing = 0;
  for (const sending of files) {
    const { file, from, end, savedBy } = sending;
    if (end === undefined) {
      missing++;
      say("lost", `nobody has told ${from} of the end of ${file}`, { file });
    }
    const recipients = owedTo(sending, known);
    const without = recipients.filter((name) => !savedBy.has(name));
    if (end === "sent") owed += recipients.length;
    // What has got to one of them has been sent.
    else if (!(end === "out-of-sight" && without.length < recipients.length)) continue;
    missing += without.length;
    for (const name of without)
      say("lost", `${file} of ${from} was sent and never came to ${name}`, { file });
  }
  return { owed, missing };
}

function mayStay({ to, from, sending, sent, savedBy, end }: Sending, { names, changes }: Known): boolean {
  if ("user" in to || end === "not-sent") return false;
  const list = changes.get(to.tag) ?? [];
  if (!list.some(({ change }) => change === "remove")) return false;
  const added = list.filter(({ change, begun, done }) => change === "add" && begun < sent && done > sending);
  const members = [
    ...to.members.map((account) => names.get(account) ?? account),
    ...added.flatMap(({ users }) => users),
  ];
  return members.some((name) => name !== from && !savedBy.has(name));
}
