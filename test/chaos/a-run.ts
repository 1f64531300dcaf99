// A chaos run as a test has it: small, in a folder that goes away, with what it leaves behind looked at.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { aFolder } from "../support/folder.ts";
import { type Options, optionsOf } from "./options.ts";
import { words } from "./report/words.ts";
import { type Finished, run, type Telling } from "./run.ts";

const silent: Telling = { begun() {}, struck() {}, healed() {}, at() {} };

export const options = (...args: string[]): Options => optionsOf(args, 1) as Options;
export const SMALL = ["--people", "8", "--processes", "2", "--rate", "10"];

export async function ran(
  chosen: Options,
  look: (finished: Finished) => void | Promise<void>,
): Promise<void> {
  await using folder = await aFolder();
  const finished = await run(chosen, folder.path, silent);
  process.stdout.write(`${words(finished.verdict, chosen, finished.lacks)}\n`);
  await look(finished);
  expect(existsSync(join(folder.path, "nemeses.jsonl"))).toBe(true);
  expect(existsSync(join(folder.path, "people", "person-0.jsonl"))).toBe(true);
}
