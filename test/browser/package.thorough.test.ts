import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RelayProcess } from "../client/support/relay-process.ts";
import { bundle, launchChromium, openPage, Pages, projectPath } from "./support/chromium.ts";

/** What an application's page may cost to load, bytes after gzip -9 of all its scripts; 106,000 of them are libsodium's. */
const MAX_BUNDLE_BYTES = 200_000;
const run = promisify(execFile);
/** What a quick start needs: the words of the README, with the names of this run in it. */
const QUICK_START = (relay: string): string => `
import { Client } from "@lethe/client";
const relay = ${JSON.stringify(relay)};
const anna = await Client.create({ relay, user: "anna", store: "anna.db" });
const ben = await Client.create({ relay, user: "ben", store: "ben.db", requests: "accept" });
ben.on("message", (message) => { console.log(message.from + ": " + message.text); message.read(); });
const sent = await anna.send("ben", "hello, Ben");
await sent.read;
await Promise.all([anna.close(), ben.close()]);
`;
const PAGE = `<!doctype html><link rel="icon" href="data:,"><body><script type="module" src="./page.ts"></script></body>`;
const SCRIPT = `
import { Client } from "@lethe/client";
const at = new URLSearchParams(location.search);
const [user, peer, relay] = ["user", "peer", "relay"].map((name) => at.get(name) ?? "");
const client = await Client.create({ relay, user, store: user, requests: "accept", receiptJitterMs: 50 });
client.on("message", (message) => {
  document.body.append(message.from + ": " + message.text);
  message.read();
});
const sent = peer === "" ? undefined : await client.send(peer, "hello from a page");
await sent?.read;
document.title = "done";
`;

let folder: string;
let relay: RelayProcess;
let browser: Browser;
let files: Map<string, Uint8Array>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lethe-package-"));
  const out = join(folder, "built");
  const packed = await run(process.execPath, [projectPath("scripts/build.mjs"), "--pack", "--out", out]);
  const tarball = packed.stdout.trim().split("\n").at(-1) ?? "";
  const app = join(folder, "app");
  await mkdir(app);
  await writeFile(join(app, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", tarball], { cwd: app });
  await mkdir(join(app, "page"));
  await writeFile(join(app, "page", "index.html"), PAGE);
  await writeFile(join(app, "page", "page.ts"), SCRIPT);
  files = await bundle(join(app, "page"));
  relay = await RelayProcess.start();
  browser = await launchChromium();
}, 240_000);
afterAll(async () => {
  await browser.close();
  await relay[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const app = (...path: string[]): string => join(folder, "app", ...path);
const scripts = (): string[] =>
  [...files].filter(([name]) => name.endsWith(".js")).map(([, code]) => Buffer.from(code).toString());

/** What a page loads before it asks for more: its script, and what that imports at once. */
function loadedAtOnce(): string[] {
  const html = Buffer.from(files.get("/index.html") ?? "").toString();
  const names = [...html.matchAll(/(?:src|href)="([^"]+\.js)"/g)].map(([, name = ""]) => name);
  const found = new Map<string, string>();
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    const path = `/assets/${name.split("/").at(-1)}`;
    const code = Buffer.from(files.get(path) ?? "").toString();
    if (found.has(path)) continue;
    found.set(path, code);
    for (const [, next = ""] of code.matchAll(/\b(?:from|import)\s*"(\.\/[^"]+\.js)"/g)) names.push(next);
  }
  return [...found.values()];
}

describe("the packed library in an empty folder", () => {
  it("brings its own dependencies and nothing else, least of all the relay", async () => {
    const top = (await readdir(app("node_modules"))).filter((name) => !name.startsWith("."));
    expect(top.sort()).toEqual(["@lethe", "libsodium", "qr", "ws"]);
    expect(await readdir(app("node_modules", "@lethe"))).toEqual(["client"]);
    const inner = await readdir(app("node_modules", "@lethe", "client", "node_modules", "@lethe"));
    expect(inner.sort()).toEqual(["crypto", "protocol"]);
    const all = await readdir(app("node_modules", "@lethe"), { recursive: true });
    expect(all.filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"))).toEqual([]);
  });

  it("runs the quick start in Node", async () => {
    await writeFile(app("start.js"), QUICK_START(relay.url));
    const { stdout } = await run(process.execPath, ["start.js"], { cwd: app() });
    expect(stdout).toBe("anna: hello, Ben\n");
  });

  it("has the command, which says where the relay is", async () => {
    const lethe = app("node_modules", ".bin", "lethe");
    const { version } = JSON.parse(await readFile(projectPath("client-lib/package.json"), "utf8")) as {
      version: string;
    };
    expect((await run(lethe, ["--version"])).stdout).toBe(`lethe ${version}\n`);
    await expect(run(lethe, ["relay"])).rejects.toThrow("npm install @lethe/relay");
  });

  it("has declarations that a strict application compiles against, in Node and in a browser", async () => {
    const strict = ["--strict", "--noEmit", "--exactOptionalPropertyTypes", "--target", "es2024"];
    const types = ["--types", "node", "--typeRoots", projectPath("node_modules/@types")];
    const node = `import { Client, openSqliteStore } from "@lethe/client";
      export const open = async (): Promise<Client> =>
        Client.create({ relay: "", user: "anna", store: await openSqliteStore({ file: "a" }) });
      // @ts-expect-error: a number is no name
      export const wrong = Client.create({ relay: "", user: 1, store: "" });`;
    const page = node
      .replaceAll("openSqliteStore", "openIdbStore")
      .replace('{ file: "a" }', '{ name: "a", whenInUse: "wait" }');
    await writeFile(app("node.ts"), node);
    await writeFile(app("browser.ts"), page);
    const tsc = projectPath("node_modules/.bin/tsc");
    const inNode = ["--module", "nodenext", ...types, "node.ts"];
    await run(tsc, [...strict, ...inNode], { cwd: app() });
    const lib = ["--lib", "es2025,esnext.disposable,dom", "--types", ""];
    const inPage = ["--module", "esnext", "--moduleResolution", "bundler"];
    // With the bundler's condition, and as type checkers are by themselves.
    for (const conditions of [["--customConditions", "browser"], []])
      await run(tsc, [...strict, ...inPage, ...conditions, ...lib, "browser.ts"], { cwd: app() });
  });

  it("has nothing of Node in what Vite makes of it", () => {
    for (const code of scripts()) {
      expect(code).not.toMatch(/["'`]node:[a-z]/);
      expect(code).not.toMatch(
        /\bBuffer\.(?:from|alloc|concat)|secure_delete|DatabaseSync|Sec-WebSocket-Key/,
      );
    }
  });

  it(`costs a page at most ${MAX_BUNDLE_BYTES} bytes`, () => {
    const size = (all: readonly string[]): number =>
      all.reduce((sum, code) => sum + gzipSync(code, { level: 9 }).length, 0);
    const bytes = size(loadedAtOnce());
    console.log(`a page's bundle: ${bytes} bytes after gzip, with files ${size(scripts())}`);
    expect(loadedAtOnce().length).toBeLessThan(scripts().length);
    expect(bytes).toBeLessThanOrEqual(MAX_BUNDLE_BYTES);
    expect(bytes).toBeGreaterThan(MAX_BUNDLE_BYTES / 2);
  });

  it("talks from one page of Chromium to another", async () => {
    await using pages = await Pages.of(files);
    const errors: string[] = [];
    const context = await browser.newContext();
    const at = (query: string): string => `${pages.url}?${query}&relay=${relay.url}`;
    const cleo = await openPage(context, at("user=cleo"), errors);
    await cleo.waitForFunction(() => document.title === "done");
    const dora = await openPage(context, at("user=dora&peer=cleo"), errors);
    await dora.waitForFunction(() => document.title === "done");
    expect(await cleo.textContent("body")).toContain("dora: hello from a page");
    expect(errors).toEqual([]);
    await context.close();
  });
});
