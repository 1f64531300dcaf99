// What the platform gives where the application gives nothing: Node's half. A bundle for browsers has
// `platform-browser.ts` in its place (package.json, `browser`), so that nothing of Node is in it.
import type { ClientStore } from "../store/store.ts";
import type { OpenSocket } from "./socket.ts";

/** How much is done at a stretch: in Node all of it, in the fewest commits. */
export const STRETCH = { events: Number.POSITIVE_INFINITY, ms: Number.POSITIVE_INFINITY } as const;

// Loaded only where they are needed: an application may bring its own.
export async function platformSocket(): Promise<OpenSocket> {
  return (await import("./socket.ts")).openNodeSocket;
}

/** A file. @throws StoreError */
export async function platformStore(file: string, passphrase: string | undefined): Promise<ClientStore> {
  const { openSqliteStore } = await import("../store/sqlite.ts");
  return openSqliteStore({ file, ...(passphrase === undefined ? {} : { passphrase }) });
}

/** What Node's `fetch` sends with stands under this name, so that it can be replaced (undici, `setGlobalDispatcher`). */
const DISPATCHER = Symbol.for("undici.globalDispatcher.1");

/** For `fetch`: connections that no other request shares. Nothing where the application has put a proxy in the dispatcher's place. */
export function ownConnections(): RequestInit {
  void Headers; // loads `fetch`, and with it the dispatcher
  const shared = (globalThis as Record<symbol, unknown>)[DISPATCHER];
  const Agent = shared?.constructor;
  return Agent?.name === "Agent" ? ({ dispatcher: new (Agent as new () => object)() } as RequestInit) : {};
}
