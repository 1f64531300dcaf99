// What people with files write down of themselves, one line each, and what follows from that. Always true: a line is in its file
// before anything else happens; a file's name tells what is in it.
import { createCipheriv, createHash } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";

export type MediaLine =
  | { readonly is: "sending"; readonly file: string; readonly to: string }
  /** An upload of an earlier life goes on from its source. */
  | { readonly is: "resumed"; readonly file: string }
  /** The relay holds it, and its message. */
  | { readonly is: "sent"; readonly file: string }
  | { readonly is: "refused"; readonly file: string; readonly code: string }
  /** Its sender was killed in the middle, and has no upload of it any more: its message went out, or it was never begun. */
  | { readonly is: "out-of-sight"; readonly file: string }
  /** A message has come; `ref`: with what it is fetched, base64url. */
  | { readonly is: "shown"; readonly file: string; readonly id: string; readonly ref: string }
  /** So many bytes of it are there when fetching begins. */
  | { readonly is: "fetching"; readonly file: string; readonly from: number }
  | { readonly is: "saved"; readonly file: string; readonly hash: string }
  | { readonly is: "trouble"; readonly what: string };

/** To everybody in the group. */
export const GROUP = "the group";

const historyFile = (folder: string, name: string): string => join(folder, `${name}.jsonl`);

export function writeMediaLine(folder: string, name: string, line: MediaLine): void {
  appendFileSync(historyFile(folder, name), `${JSON.stringify(line)}\n`);
}

export function readMediaHistory(folder: string, name: string): MediaLine[] {
  let text: string;
  try {
    text = readFileSync(historyFile(folder, name), "utf8");
  } catch {
    return [];
  }
  // Whoever writes may be within a line.
  const lines = text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .slice(0, -1);
  return lines.map((line) => JSON.parse(line) as MediaLine);
}

export function fileName(from: string, seq: number, size: number): string {
  return `${from}-${seq}-${size}.bin`;
}

/** Bytes of a file of this name: the same for everybody, and like nothing else. */
export function contentOf(file: string): Buffer {
  const size = Number(/-(\d+)\.bin$/.exec(file)?.[1]);
  const key = createHash("sha256").update(file).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

export function hashOfFile(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export interface MediaVerdict {
  readonly files: number;
  readonly bytes: number;
  readonly sent: number;
  /** Codes. */
  readonly refused: readonly string[];
  readonly outOfSight: number;
  readonly resumedUploads: number;
  /** Fetched on from the middle. */
  readonly resumedDownloads: number;
  readonly saved: number;
  /** Files whose sender waits, and files that somebody has not saved yet who should. */
  readonly missing: readonly string[];
  /** What must not be. */
  readonly faults: readonly string[];
}

/** @param histories of everybody; all are in the group. */
export function judgeMedia(histories: ReadonlyMap<string, readonly MediaLine[]>): MediaVerdict {
  const lines = [...histories.values()].flat();
  const filesThat = (is: MediaLine["is"]): Set<string> =>
    new Set(lines.flatMap((line) => (line.is === is && "file" in line ? [line.file] : [])));
  const [sent, refused, outOfSight] = [filesThat("sent"), filesThat("refused"), filesThat("out-of-sight")];
  const missing: string[] = [];
  const faults = lines.flatMap((line) => (line.is === "trouble" ? [line.what] : []));
  for (const [from, own] of histories)
    for (const line of own) {
      if (line.is !== "sending") continue;
      const { file, to } = line;
      const recipients = to === GROUP ? [...histories.keys()].filter((name) => name !== from) : [to];
      const without = recipients.filter((name) => !hasSaved(histories.get(name) ?? [], file));
      if (sent.has(file) && without.length > 0) missing.push(`${file} at ${without.join(", ")}`);
      else if (outOfSight.has(file) && without.length > 0 && without.length < recipients.length)
        missing.push(`${file} at some: ${without.join(", ")}`);
      else if (![sent, refused, outOfSight].some((files) => files.has(file)))
        missing.push(`the end of ${file}`);
    }
  for (const [name, own] of histories) faults.push(...faultsOf(name, own));
  const sending = [...filesThat("sending")];
  return {
    files: sending.length,
    bytes: sending.reduce((sum, file) => sum + contentLength(file), 0),
    ...{ sent: sent.size, outOfSight: outOfSight.size, missing, faults },
    refused: lines.flatMap((line) => (line.is === "refused" ? [line.code] : [])),
    resumedUploads: lines.filter(({ is }) => is === "resumed").length,
    resumedDownloads: lines.filter((line) => line.is === "fetching" && line.from > 0).length,
    saved: lines.filter(({ is }) => is === "saved").length,
  };
}

const contentLength = (file: string): number => Number(/-(\d+)\.bin$/.exec(file)?.[1]);

function hasSaved(history: readonly MediaLine[], file: string): boolean {
  return history.some((line) => line.is === "saved" && line.file === file);
}

/** Files that are not what was sent, or were shown as two messages. */
function faultsOf(name: string, history: readonly MediaLine[]): string[] {
  const faults: string[] = [];
  const ids = new Map<string, string>();
  for (const line of history) {
    if (line.is === "saved" && line.hash !== hashOfFile(contentOf(line.file)))
      faults.push(`${line.file} is another at ${name}`);
    if (line.is !== "shown") continue;
    if ((ids.get(line.file) ?? line.id) !== line.id) faults.push(`${line.file} came twice to ${name}`);
    ids.set(line.file, line.id);
  }
  return faults;
}
