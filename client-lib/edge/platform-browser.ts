// What the platform gives where the application gives nothing: a browser's half, in the place of `platform.ts`.
import { openIdbStore } from "../store/idb.ts";
import { type ClientStore, StoreError } from "../store/store.ts";
import type { OpenSocket } from "./socket.ts";
import { openBrowserSocket } from "./socket-browser.ts";

/** How much is done at a stretch: a page has to draw 60 times a second, and a message costs it about half a ms. */
export const STRETCH = { events: 1, ms: 8 } as const;

export async function platformSocket(): Promise<OpenSocket> {
  return openBrowserSocket;
}

/** A database of this origin. @throws StoreError */
export async function platformStore(name: string, passphrase: string | undefined): Promise<ClientStore> {
  if (passphrase !== undefined) throw new StoreError("passphrase-not-taken");
  return openIdbStore({ name });
}

/** For `fetch`. Which connection a request goes by is the browser's to say: nothing. */
export function ownConnections(): RequestInit {
  return {};
}
