// How long pages' main threads were busy at a stretch, as Chromium's own trace has it: CPU time, so that what else the
// machine does counts for nothing. Chromium's own pages (its surface is made of some) are left out.
import type { Browser, Page } from "playwright-core";

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Thread time, µs. */
  readonly tdur?: number;
}

const CATEGORIES = ["toplevel", "blink.user_timing"];
/** What the pages write into the trace, by which their threads are known. */
const MARK = "a page under test";

/** The tasks of these pages' main threads while `during` ran, ms of CPU time each, longest first. */
export async function tasksWhile(
  browser: Browser,
  pages: readonly Page[],
  during: () => Promise<unknown>,
): Promise<number[]> {
  await browser.startTracing(undefined, { categories: CATEGORIES });
  await during();
  for (const page of pages) await page.evaluate((mark) => void performance.mark(mark), MARK);
  const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
  const thread = ({ pid, tid }: TraceEvent): string => `${pid}/${tid}`;
  const theirs = new Set(trace.traceEvents.filter(({ name }) => name === MARK).map(thread));
  if (theirs.size === 0) throw new Error("the trace knows no page");
  return trace.traceEvents
    .filter((event) => event.name.endsWith("RunTask") && theirs.has(thread(event)))
    .flatMap(({ tdur }) => (tdur === undefined ? [] : [tdur / 1_000]))
    .sort((a, b) => b - a);
}
