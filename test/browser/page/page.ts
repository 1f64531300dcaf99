// A page that is nothing but the library, for tests to call; and every task of it that was longer than 50 ms.
import * as client from "../../../client-lib/browser.ts";

/** What tests find in the page's global scope. */
export interface Page {
  readonly client: typeof client;
  /** ms each (Long Tasks API). */
  readonly longTasks: number[];
  /** The library in a worker. */
  worker(): Worker;
}

const longTasks: number[] = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longTasks.push(duration);
}).observe({ type: "longtask" });

const worker = (): Worker => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const page: Page = { client, longTasks, worker };
Object.assign(globalThis, { lethe: page });
