// What the applications of a crowd have seen, one append-only file of JSON lines each. A line is written with one call
// before its handler ends, so that a killed process leaves whole lines behind. Times: `wall` by the process's clock, ms
// since 1970; `mono` by the machine's monotonic clock, ms, the same for all processes.
import { appendFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** What an application sees. */
export type AppLine =
  /** A process has opened this person's store. */
  | { readonly is: "started"; readonly account: string }
  /** The application is about to give the library a message; `hash` is of its text. */
  | { readonly is: "sending"; readonly to: string; readonly seq: number; readonly hash: string }
  /** The library has it, durably. */
  | { readonly is: "queued"; readonly to: string; readonly seq: number; readonly id: string }
  /** The library would not take it. */
  | { readonly is: "not-queued"; readonly to: string; readonly seq: number; readonly code: string }
  /** The relay has accepted it. */
  | { readonly is: "sent"; readonly id: string }
  /** The other person's device says that it has it. */
  | { readonly is: "delivered"; readonly id: string }
  /** The application was handed a message. */
  | {
      readonly is: "handed";
      readonly from: string;
      readonly to: string;
      readonly seq: number;
      readonly id: string;
      readonly account: string;
      readonly late: boolean;
      readonly hash: string;
    }
  /** The relay asks to wait with a message. */
  | { readonly is: "waiting"; readonly id: string; readonly code: string }
  /** The library is online, connecting or offline. */
  | { readonly is: "connection"; readonly state: string }
  /** Everything that had waited has come, says the relay. */
  | { readonly is: "drained" }
  /** Work in the background met a relay in trouble, and is tried again. */
  | { readonly is: "put-off"; readonly code: string }
  /** The library told of something that must not happen here. */
  | { readonly is: "trouble"; readonly what: string };

/** What a member of groups sees. A group goes by its tag, the first word of its name; `number` is the second, which grows. */
export type GroupLine =
  /** Its admin is about to change it; nobody else does. */
  | ({ readonly is: "group-changing" } & GroupChange)
  /** The change is made, durably. */
  | ({ readonly is: "group-changed" } & GroupChange)
  /** It was not made. */
  | ({ readonly is: "group-unchanged"; readonly code: string } & GroupChange)
  /** What this person's device knows of it is another. */
  | { readonly is: "group"; readonly tag: string; readonly how: string; readonly number: number }
  /** The application is about to give the library a message; `members`: accounts, as its device knows them. */
  | {
      readonly is: "group-sending";
      readonly tag: string;
      readonly seq: number;
      readonly hash: string;
      readonly number: number;
      readonly members: readonly string[];
    }
  | { readonly is: "group-queued"; readonly tag: string; readonly seq: number; readonly id: string }
  | { readonly is: "group-not-queued"; readonly tag: string; readonly seq: number; readonly code: string }
  /** The relay holds it for everybody. */
  | { readonly is: "group-sent"; readonly id: string }
  | { readonly is: "group-refused"; readonly tag: string; readonly id: string; readonly code: string }
  /** A member's device says that it has it. */
  | { readonly is: "group-delivered"; readonly id: string; readonly user: string }
  | {
      readonly is: "group-handed";
      readonly from: string;
      readonly tag: string;
      readonly seq: number;
      readonly id: string;
      readonly account: string;
      readonly late: boolean;
      readonly hash: string;
    }
  /** Something that this device may not open. */
  | { readonly is: "quarantined"; readonly code: string }
  /** So many of somebody's messages are missing here. */
  | { readonly is: "group-gap"; readonly tag: string; readonly from: string; readonly missing: number };

/** Whom a file goes to: somebody, or a group as its sender's device knows it, with the accounts of all members. */
export type FileTarget =
  | { readonly user: string }
  | { readonly tag: string; readonly number: number; readonly members: readonly string[] };

/** What somebody with files sees. A file goes by its name, which no other has; `hash`: SHA-256, hexadecimal. */
export type FileLine =
  | {
      readonly is: "file-sending";
      readonly file: string;
      readonly hash: string;
      readonly to: FileTarget;
    }
  /** An upload of an earlier start goes on from its source. */
  | { readonly is: "file-resumed"; readonly file: string }
  /** The relay holds it, and its message for everybody. */
  | { readonly is: "file-sent"; readonly file: string }
  | { readonly is: "file-not-sent"; readonly file: string; readonly code: string }
  /** There is no upload of it after a start: its message went out, or it was never begun. */
  | { readonly is: "file-out-of-sight"; readonly file: string }
  /** A message has come; `ref`: with what it is fetched, base64url; `blob`: as what the relay keeps it, hexadecimal. */
  | {
      readonly is: "file-shown";
      readonly file: string;
      readonly id: string;
      readonly ref: string;
      readonly blob: string;
    }
  /** So many bytes of it are there when fetching begins. */
  | { readonly is: "file-fetching"; readonly file: string; readonly from: number }
  | { readonly is: "file-saved"; readonly file: string; readonly hash: string }
  /** It cannot be had. */
  | { readonly is: "file-not-saved"; readonly file: string; readonly code: string };

export interface GroupChange {
  readonly tag: string;
  readonly change: "create" | "add" | "remove" | "rename";
  /** Who is put in or taken out, by name. */
  readonly users: readonly string[];
  /** The group's number once it is made. */
  readonly number: number;
}

/** What passes on a person's sockets, receipts included; `connection` counts them within one start. */
export type WireLine =
  /** An envelope goes to the relay, once more each time; `mark` is of its ciphertext, hexadecimal. */
  | { readonly is: "submitted"; readonly id: string; readonly account: string; readonly mark: string }
  | { readonly is: "accepted"; readonly ids: readonly string[] }
  | { readonly is: "refused"; readonly ids: readonly string[]; readonly code: number }
  | { readonly is: "received"; readonly id: string; readonly connection: number }
  | { readonly is: "acknowledged"; readonly ids: readonly string[]; readonly connection: number }
  | {
      readonly is: "socket";
      readonly state: "opened" | "closed";
      readonly connection: number;
      readonly status?: number;
    };

export type Line = AppLine | GroupLine | FileLine | WireLine;
export type Stamped = Line & { readonly wall: number; readonly mono: number };

export type Histories<L extends Line = Line> = ReadonlyMap<string, readonly L[]>;

/** The machine's monotonic clock, ms. */
export const monotonic = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

export function historyFile(folder: string, name: string): string {
  return join(folder, `${name}.jsonl`);
}

export function writeLine(folder: string, name: string, line: Line): void {
  const stamped: Stamped = { wall: Date.now(), mono: monotonic(), ...line };
  appendFileSync(historyFile(folder, name), `${JSON.stringify(stamped)}\n`);
}

export async function readHistory(folder: string, name: string): Promise<Stamped[]> {
  const text = await readFile(historyFile(folder, name), "utf8").catch(() => "");
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new Error(`the history of ${name} ends within a line`);
  return lines.map((line) => JSON.parse(line) as Stamped);
}

export async function readHistories(folder: string, names: readonly string[]): Promise<Histories<Stamped>> {
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readHistory(folder, name)] as const)),
  );
}
