/// <reference lib="dom" />
// One writer for a store in a browser: a Web Lock that the browser takes back when the tab is gone, however it ends.
// Always true: of all tabs and workers of an origin at most one holds it; whoever lost it is told.
import { StoreError } from "./store.ts";

/** How long a page that was closed or loaded anew may take to let go, ms: its successor is not refused for that. */
const LEAVING_MS = 500;

export interface Hold {
  release(): void;
}

export interface Taking {
  readonly name: string;
  /** While another tab has it: refuse, or wait until that tab lets go or ends. */
  readonly whenInUse: "refuse" | "wait";
  readonly signal: AbortSignal | undefined;
  /** Somebody took the lock away by force (Web Locks API, `steal`). */
  readonly lost: () => void;
}

/** @throws StoreError store-in-use, store-unreachable; what the signal says */
export function takeLock({ name, whenInUse, signal, lost }: Taking): Promise<Hold> {
  const { promise, resolve, reject } = Promise.withResolvers<Hold>();
  const held = Promise.withResolvers<void>();
  let holds = false;
  const granted = (): Promise<void> => {
    holds = true;
    resolve({
      release: () => {
        holds = false;
        held.resolve();
      },
    });
    return held.promise;
  };
  const limit = whenInUse === "wait" ? signal : AbortSignal.timeout(LEAVING_MS);
  const options = limit === undefined ? {} : { signal: limit };
  locks()
    .request(`lethe/store/${name}`, options, granted)
    .catch((error: unknown) => {
      if (holds) lost();
      else reject(whenInUse === "wait" ? error : new StoreError("store-in-use", "another tab"));
    });
  return promise;
}

function locks(): LockManager {
  // Absent outside secure contexts, whatever the types say.
  const found = (globalThis.navigator as Partial<Navigator> | undefined)?.locks;
  if (found === undefined) throw new StoreError("store-unreachable", "the page needs https, or localhost");
  return found;
}
