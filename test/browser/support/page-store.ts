// A store that lives in a page of Chromium, as the contract's tests want one in their own process.
// Always true: calls reach the page in the order in which they are made; refusals come back with their code.
import type { Page } from "playwright-core";
import type { ClientStore } from "@lethe/client";
import type { Page as Library } from "../page/page.ts";

declare global {
  var lethe: Library;
  var stores: Map<number, ClientStore>;
}

export interface Refused {
  readonly code: string;
}
type Answer<T> = { readonly value: T } | Refused;
interface Call {
  readonly store: number;
  readonly method: "get" | "list" | "commit" | "close";
  readonly arguments: unknown[];
}

let opened = 0;

/** Opens the page's store of this name, or rejects with its code. */
export async function openInPage(page: Page, name: string): Promise<ClientStore> {
  const store = ++opened;
  const open = await page.evaluate(
    async ({ store, name }): Promise<Answer<true>> => {
      globalThis.stores ??= new Map();
      try {
        globalThis.stores.set(store, await lethe.client.openIdbStore({ name }));
        return { value: true };
      } catch (error) {
        return { code: error instanceof lethe.client.StoreError ? error.code : String(error) };
      }
    },
    { store, name },
  );
  value(open);
  const call = async <T>(method: Call["method"], ...given: unknown[]): Promise<T> =>
    value(await page.evaluate(inPage, { store, method, arguments: given })) as T;
  return {
    get: (table, key) => call("get", table, key),
    list: (table) => call("list", table),
    commit: (writes) => call("commit", writes),
    close: () => call("close"),
  };
}

async function inPage({ store, method, arguments: given }: Call): Promise<Answer<unknown>> {
  const found = stores.get(store);
  if (found === undefined) return { code: "no such store in the page" };
  try {
    const run = found[method] as (...all: unknown[]) => Promise<unknown>;
    return { value: await run.apply(found, given) };
  } catch (error) {
    return { code: error instanceof lethe.client.StoreError ? error.code : String(error) };
  }
}

function value<T>(answer: Answer<T>): T {
  if ("value" in answer) return answer.value;
  throw Object.assign(new Error(answer.code), { code: answer.code });
}
