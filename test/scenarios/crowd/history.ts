// What the applications of a crowd have seen, one append-only file of JSON lines each. A line is written with one call
// before its handler ends, so that a killed process leaves whole lines behind.
import { appendFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

export type Line =
  /** A process has opened this person's store. */
  | { readonly is: "started"; readonly account: string }
  /** The application is about to give the library a message. */
  | { readonly is: "sending"; readonly to: string; readonly seq: number }
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
    }
  /** The library told of something that must not happen here. */
  | { readonly is: "trouble"; readonly what: string };

export type Histories = ReadonlyMap<string, readonly Line[]>;

export function historyFile(folder: string, name: string): string {
  return join(folder, `${name}.jsonl`);
}

export function writeLine(folder: string, name: string, line: Line): void {
  appendFileSync(historyFile(folder, name), `${JSON.stringify(line)}\n`);
}

export async function readHistory(folder: string, name: string): Promise<Line[]> {
  const text = await readFile(historyFile(folder, name), "utf8").catch(() => "");
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new Error(`the history of ${name} ends within a line`);
  return lines.map((line) => JSON.parse(line) as Line);
}

export async function readHistories(folder: string, names: readonly string[]): Promise<Histories> {
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readHistory(folder, name)] as const)),
  );
}
