import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "@lethe/client";
import { storeContract } from "../client/contracts/store.ts";
import { RelayProcess } from "../client/support/relay-process.ts";
import {
  ARGUMENTS,
  bundle,
  chromiumPath,
  launchChromium,
  openPage,
  Pages,
  projectPath,
} from "./support/chromium.ts";
import { eventually } from "../support/waiting.ts";
import { openInPage } from "./support/page-store.ts";

let browser: Browser;
let pages: Pages;
let relay: RelayProcess;
let context: BrowserContext;
const errors: string[] = [];

beforeAll(async () => {
  relay = await RelayProcess.start();
  pages = await Pages.of(await bundle(projectPath("test/browser/page")));
  browser = await launchChromium();
}, 240_000);
afterAll(async () => {
  await browser.close();
  await pages[Symbol.asyncDispose]();
  await relay[Symbol.asyncDispose]();
});
beforeEach(async () => {
  errors.length = 0;
  context = await browser.newContext();
});
afterEach(async () => {
  await context.close();
  expect(errors).toEqual([]);
});

const row = (value: number) => ({ table: "ratchet", key: "ben", value: Uint8Array.of(value) });

async function tab(of: BrowserContext = context): Promise<Page> {
  const page = await openPage(of, pages.url, errors);
  await page.waitForFunction(() => "lethe" in globalThis);
  return page;
}

let contracts = 0;
/** One page for all of the contract: a store of its own for each test. */
let ground: Promise<Page> | undefined;
storeContract("idb, in Chromium", () => {
  const name = `contract-${++contracts}`;
  const page = (ground ??= browser.newContext().then(tab));
  return {
    open: async () => openInPage(await page, name),
    survives: true,
    cleanUp: async () => (await page).evaluate((name) => lethe.client.removeIdbStore(name), name),
  };
});

describe("attack 27: two tabs and one store", () => {
  it("have one writer: the second tab is refused, and may have it once the first is gone", async () => {
    const [first, second] = [await tab(), await tab()];
    const store = await openInPage(first, "shared");
    await expect(openInPage(second, "shared")).rejects.toMatchObject({ code: "store-in-use" });
    await store.commit([row(1)]);
    await first.close();
    const taken = await openInPage(second, "shared");
    expect(await taken.get("ratchet", "ben")).toEqual(Uint8Array.of(1));
  });

  it("let a waiting tab take over when the first one crashes", async () => {
    const [first, second] = [await tab(), await tab()];
    const store = await openInPage(first, "shared");
    await store.commit([row(2)]);
    const waiting = second.evaluate(async () => {
      const store = await lethe.client.openIdbStore({ name: "shared", whenInUse: "wait" });
      const value = await store.get("ratchet", "ben");
      await store.close();
      return value?.[0];
    });
    await second.waitForFunction(async () => {
      const { pending = [] } = await navigator.locks.query();
      return pending.length === 1;
    });
    const crashed = first.waitForEvent("crash");
    first.goto("chrome://crash").catch(() => undefined);
    await crashed;
    expect(await waiting).toBe(2);
  });

  it("end a wait by its signal", async () => {
    const [first, second] = [await tab(), await tab()];
    await openInPage(first, "shared");
    const why = second.evaluate(() => {
      const wait = { whenInUse: "wait", signal: AbortSignal.timeout(50) } as const;
      return lethe.client.openIdbStore({ name: "shared", ...wait }).catch((error: Error) => error.name);
    });
    expect(await why).toBe("TimeoutError");
  });

  it("leave nothing to a tab whose lock was taken by force: neither commit nor read", async () => {
    const [first, second] = [await tab(), await tab()];
    const store = await openInPage(first, "shared");
    await store.commit([row(1)]);
    await second.evaluate(() => {
      const { promise, resolve } = Promise.withResolvers<void>();
      void navigator.locks.request("lethe/store/shared", { steal: true }, () => {
        resolve();
        return new Promise(() => undefined);
      });
      return promise;
    });
    // The browser tells the loser in its own time; the thief has written nothing, so until then no token stands in the way.
    const refusal = await eventually(10_000, "the loss of the lock to be noticed", () =>
      store.commit([row(9)]).then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    expect(refusal).toMatchObject({ code: "store-in-use" });
    await expect(store.commit([row(9)])).rejects.toMatchObject({ code: "store-in-use" });
    await expect(store.get("ratchet", "ben")).rejects.toMatchObject({ code: "store-in-use" });
  });

  it("are fenced also where no lock is noticed: a commit that finds another writer's token does nothing", async () => {
    const page = await tab();
    const store = await openInPage(page, "shared");
    await store.commit([row(1)]);
    // What another opening writes first, without its lock.
    await page.evaluate(() => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const opening = indexedDB.open("lethe/shared");
      opening.onsuccess = () => {
        const turn = opening.result.transaction("plain", "readwrite");
        turn.objectStore("plain").put(new Uint8Array(16), "writer");
        turn.oncomplete = () => (opening.result.close(), resolve());
        turn.onerror = reject;
      };
      return promise;
    });
    await expect(store.commit([row(9)])).rejects.toMatchObject({ code: "store-in-use" });
    await page.reload();
    const again = await openInPage(page, "shared");
    expect(await again.get("ratchet", "ben")).toEqual(Uint8Array.of(1));
  });

  it("let the loser advance no ratchet: its client stops, and the winner's goes on where the store stood", async () => {
    const [anna, ben, thief] = [await tab(), await tab(), await tab()];
    const create = (page: Page, user: string): Promise<string> =>
      page.evaluate(
        async ({ user, relay }) => {
          try {
            const options = { relay, user, store: user, requests: "accept", receiptJitterMs: 20 } as const;
            const client = await lethe.client.Client.create(options);
            const got: string[] = [];
            client.on("message", ({ text }) => void got.push(text ?? ""));
            Object.assign(globalThis, { client, got });
            return "open";
          } catch (error) {
            return error instanceof lethe.client.StoreError ? error.code : String(error);
          }
        },
        { user, relay: relay.url },
      );
    const say = (page: Page, to: string, text: string): Promise<string> =>
      page.evaluate(
        async ({ to, text }) => {
          const { client } = globalThis as unknown as {
            client: Client;
          };
          try {
            await (await client.send(to, text)).delivered;
            return "delivered";
          } catch (error) {
            return error instanceof Error && "code" in error ? String(error.code) : String(error);
          }
        },
        { to, text },
      );
    expect(await create(anna, "anna")).toBe("open");
    expect(await create(ben, "ben")).toBe("open");
    expect(await say(anna, "ben", "one")).toBe("delivered");
    expect(await create(thief, "anna")).toBe("store-in-use");
    await thief.evaluate(() => {
      void navigator.locks.request("lethe/store/anna", { steal: true }, () => Promise.resolve());
    });
    await thief.waitForFunction(async () => {
      const { held = [] } = await navigator.locks.query();
      return held.every(({ name }) => name !== "lethe/store/anna");
    });
    expect(await create(thief, "anna")).toBe("open");
    expect(await say(anna, "ben", "from the loser")).toBe("storage-failed");
    expect(await say(thief, "ben", "two")).toBe("delivered");
    const got = await ben.evaluate(() => (globalThis as unknown as { got: string[] }).got);
    expect(got).toEqual(["one", "two"]);
  });
});

describe("a store that the browser has removed", () => {
  const evict = async (page: Page): Promise<void> => {
    const session = await context.newCDPSession(page);
    const origin = new URL(pages.url).origin;
    await session.send("Storage.clearDataForOrigin", { origin, storageTypes: "indexeddb" });
  };

  it("is noticed while it is open and when it is opened, and can be begun anew", async () => {
    const page = await tab();
    const store = await openInPage(page, "evicted");
    await store.commit([row(1)]);
    await evict(page);
    await expect(store.commit([row(2)])).rejects.toMatchObject({ code: "store-evicted" });
    await page.reload();
    await expect(openInPage(page, "evicted")).rejects.toMatchObject({ code: "store-evicted" });
    await page.evaluate(() => lethe.client.removeIdbStore("evicted"));
    const anew = await openInPage(page, "evicted");
    expect(await anew.list("ratchet")).toEqual([]);
  });
});

describe("a browser that has no room", () => {
  it("refuses a commit whole, and takes the next one when there is room again", async () => {
    const page = await tab();
    const session = await context.newCDPSession(page);
    const origin = new URL(pages.url).origin;
    const store = await openInPage(page, "full");
    await store.commit([row(1)]);
    await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1_000 });
    const large = { table: "inbox", key: "large", value: new Uint8Array(300_000) };
    await expect(store.commit([row(2), large])).rejects.toMatchObject({ code: "store-failed" });
    expect(await store.get("ratchet", "ben")).toEqual(Uint8Array.of(1));
    await session.send("Storage.overrideQuotaForOrigin", { origin });
    await store.commit([row(3)]);
    await store.close();
    const again = await openInPage(page, "full");
    expect(await again.get("ratchet", "ben")).toEqual(Uint8Array.of(3));
    expect(await again.list("inbox")).toEqual([]);
  });
});

describe("a worker", () => {
  it("runs the library as a page does, and shares its lock", async () => {
    const page = await tab();
    const heard = await page.evaluate(
      async ({ relay }) => {
        const worker = lethe.worker();
        const heard: string[] = [];
        const next = (): Promise<void> => {
          const { promise, resolve } = Promise.withResolvers<void>();
          worker.onmessage = ({ data }: MessageEvent<string>) => (heard.push(data), resolve());
          worker.onerror = ({ message }) => (heard.push(message), resolve());
          return promise;
        };
        worker.postMessage({ relay, user: "wanda" });
        await next();
        if (heard[0] !== "open") return heard;
        const { Client, openIdbStore } = lethe.client;
        heard.push(await openIdbStore({ name: "wanda" }).then(String, (e: { code: string }) => e.code));
        const willy = await Client.create({ relay, user: "willy", store: "willy" });
        const text = next();
        await (await willy.send("wanda", "hello, worker")).delivered;
        await text;
        return heard;
      },
      { relay: relay.url },
    );
    expect(heard).toEqual(["open", "store-in-use", "hello, worker"]);
  });
});

describe("a store that somebody else removes", () => {
  it("lets it go, and says so", async () => {
    const [page, other] = [await tab(), await tab()];
    const store = await openInPage(page, "deleted");
    await store.commit([row(1)]);
    await other.evaluate(() => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const removing = indexedDB.deleteDatabase("lethe/deleted");
      removing.onsuccess = () => resolve();
      removing.onerror = reject;
      return promise;
    });
    await expect(store.commit([row(2)])).rejects.toMatchObject({ code: "store-evicted" });
    await store.close();
    await expect(openInPage(other, "deleted")).rejects.toMatchObject({ code: "store-evicted" });
  });

  it("lets whoever took its lock by force remove it", async () => {
    const [page, thief] = [await tab(), await tab()];
    const store = await openInPage(page, "stolen");
    await store.commit([row(1)]);
    await thief.evaluate(() =>
      navigator.locks.request("lethe/store/stolen", { steal: true }, () => Promise.resolve()),
    );
    await thief.evaluate(() => lethe.client.removeIdbStore("stolen"));
    await expect(store.commit([row(2)])).rejects.toMatchObject({ code: "store-in-use" });
    const anew = await openInPage(thief, "stolen");
    expect(await anew.list("ratchet")).toEqual([]);
  });
});

/** Chromium as a process that can be killed, on a profile that stays. */
class Profile implements AsyncDisposable {
  readonly folder: string;
  #process: ChildProcess | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<Profile> {
    return new Profile(await mkdtemp(join(tmpdir(), "lethe-profile-")));
  }

  async start(): Promise<Browser> {
    const more = ["--headless", "--remote-debugging-port=0", `--user-data-dir=${this.folder}`, "about:blank"];
    const child = spawn(await chromiumPath(), [...ARGUMENTS, ...more], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#process = child;
    for await (const line of createInterface(child.stderr)) {
      const address = /listening on (ws:\S+)/.exec(line)?.[1];
      if (address !== undefined) {
        child.stderr.resume();
        return chromium.connectOverCDP(address);
      }
    }
    throw new Error("Chromium did not start");
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, maxRetries: 20 });
  }
}

describe("a browser that is killed", () => {
  it("has kept every commit that had resolved, and no text or key of it in any file", async () => {
    await using profile = await Profile.make();
    const MARK = "a text that must not be found in any file";
    const mark = new TextEncoder().encode(MARK);
    const open = async (): Promise<Page> => {
      const running = await profile.start();
      return tab(running.contexts()[0]);
    };
    const store = await openInPage(await open(), "killed");
    await store.commit([{ table: "inbox", key: "secret-key-of-the-row", value: mark }]);
    for (let i = 0; i < 20; i++) await store.commit([row(i)]);
    await profile.kill();

    const files = await readdir(profile.folder, { recursive: true, withFileTypes: true });
    let searched = 0;
    for (const file of files.filter((entry) => entry.isFile())) {
      const content = await readFile(join(file.parentPath, file.name));
      if (file.parentPath.includes("IndexedDB")) searched += content.length;
      for (const text of [MARK, "secret-key-of-the-row"])
        for (const encoding of ["latin1", "utf16le"] as const)
          expect(content.includes(Buffer.from(text, encoding)), file.name).toBe(false);
    }
    expect(searched).toBeGreaterThan(2_000);

    const page = await open();
    const again = await openInPage(page, "killed");
    expect(await again.get("ratchet", "ben")).toEqual(Uint8Array.of(19));
    expect(await again.get("inbox", "secret-key-of-the-row")).toEqual(mark);
  });

  it("lets no script read the wrapping key", async () => {
    const page = await tab();
    await openInPage(page, "wrapped");
    const why = await page.evaluate(async () => {
      const { promise, resolve } = Promise.withResolvers<CryptoKey>();
      const opening = indexedDB.open("lethe/wrapped");
      opening.onsuccess = () => {
        const read = opening.result.transaction("plain").objectStore("plain").get("wrapping-key");
        read.onsuccess = () => resolve(read.result as CryptoKey);
      };
      const key = await promise;
      return crypto.subtle.exportKey("raw", key).catch((error: Error) => `${error.name} ${key.extractable}`);
    });
    expect(why).toBe("InvalidAccessError false");
  });
});
