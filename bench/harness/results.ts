// What a run leaves behind: one JSON file a case, complete enough to be judged without this code.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BenchCase, Measured, Metric } from "./case.ts";
import type { Machine } from "./machine.ts";
import { type Summary, summary } from "./stats.ts";

export interface Figure extends Metric, Summary {}

export interface Result {
  readonly name: string;
  readonly title: string;
  readonly method: string;
  readonly machine: Machine;
  readonly figures: readonly Figure[];
}

export function resultOf(bench: BenchCase, repetitions: readonly Measured[], on: Machine): Result {
  const { name, title, method } = bench;
  const figures = bench.metrics.map((metric) => ({
    ...metric,
    ...summary(repetitions.map((measured) => round(measured[metric.name] ?? Number.NaN))),
  }));
  return { name, title, method, machine: on, figures };
}

/** Four significant digits: more would be noise. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}

export async function writeResult(folder: string, result: Result): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${result.name}.json`), `${JSON.stringify(result, undefined, 2)}\n`);
}

/** Every result in the folder, by name. */
export async function readResults(folder: string): Promise<ReadonlyMap<string, Result>> {
  const results = new Map<string, Result>();
  for (const file of (await readdir(folder)).filter((name) => name.endsWith(".json")).sort()) {
    const result = JSON.parse(await readFile(join(folder, file), "utf8")) as Result;
    results.set(result.name, result);
  }
  return results;
}

/** Whether the median keeps the bar; undefined where there is none. */
export function keepsBar({ bar, better, median }: Figure): boolean | undefined {
  if (bar === undefined || better === "neither") return undefined;
  return better === "less" ? median <= bar : median >= bar;
}
