// A real Chromium without a screen, and pages that are built by Vite and served on loopback (a secure context).
// Always true: browser and server are ended with the world; a page's own errors fail the test that made them.
import { execFile } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { build, type Rolldown } from "vite";

const FINDER = fileURLToPath(new URL("../../../scripts/chromium.mjs", import.meta.url));
/** Nothing of Chromium's own goes over the network. */
export const ARGUMENTS = [
  "--no-sandbox",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--disable-domain-reliability",
];

/** Installs it first where it is missing and may be. */
export async function chromiumPath(): Promise<string> {
  return (await promisify(execFile)(process.execPath, [FINDER])).stdout.trim();
}

export async function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: await chromiumPath(), args: ARGUMENTS, headless: true });
}

/** What Vite makes of a folder with an `index.html`, by path. */
export async function bundle(root: string): Promise<Map<string, Uint8Array>> {
  const options = { root, logLevel: "warn", build: { write: false, chunkSizeWarningLimit: 1_000 } } as const;
  const built = (await build(options)) as Rolldown.RolldownOutput;
  return new Map(
    built.output.map((file) => [
      `/${file.fileName}`,
      Buffer.from(file.type === "chunk" ? file.code : file.source),
    ]),
  );
}

const TYPES: Record<string, string> = { html: "text/html", js: "text/javascript", css: "text/css" };

/** Serves files on a free port of loopback. */
export class Pages implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async of(files: ReadonlyMap<string, Uint8Array>): Promise<Pages> {
    const server = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? "/", "http://localhost");
      const path = pathname === "/" ? "/index.html" : pathname;
      const file = files.get(path);
      if (file === undefined) return void response.writeHead(404).end();
      response.writeHead(200, { "content-type": TYPES[path.split(".").at(-1) ?? ""] ?? "text/plain" });
      response.end(file);
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1", resolve);
    await promise;
    return new Pages(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#server.close(resolve);
    this.#server.closeAllConnections();
    await promise;
  }
}

/** A page whose uncaught errors are collected. */
export async function openPage(context: BrowserContext, url: string, errors: string[]): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(url);
  return page;
}

export { projectPath } from "../../support/project.ts";
