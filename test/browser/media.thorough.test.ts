// A file of a page in Chromium, to another page: up, down, and gone from the relay; what moves it is loaded when it is moved.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MediaWorld } from "../client/support/media-world.ts";
import { bundle, launchChromium, openPage, Pages, projectPath } from "./support/chromium.ts";

let world: MediaWorld;
let browser: Browser;
beforeAll(async () => {
  world = await MediaWorld.begin();
  browser = await launchChromium();
}, 120_000);
afterAll(async () => {
  await browser.close();
  await world[Symbol.asyncDispose]();
});

describe("a Blob", () => {
  it("goes from one page to another, whole, and then nothing of it is left", async () => {
    await using pages = await Pages.of(await bundle(projectPath("test/browser/media-page")));
    const errors: string[] = [];
    const context = await browser.newContext();
    const at = (query: string): string => `${pages.url}?${query}&relay=${world.relay.url}`;
    const ben = await openPage(context, at("user=ben"), errors);
    const loaded: string[] = [];
    ben.on("request", (request) => loaded.push(request.url()));
    await ben.waitForFunction(() => document.title === "listening");
    const anna = await openPage(context, at("user=anna&peer=ben"), errors);
    await ben.waitForFunction(() => document.title === "text: first a text");
    expect(loaded.filter((url) => url.endsWith(".js"))).toEqual([]);
    await anna.waitForFunction(() => document.title === "said");
    await anna.evaluate(() => dispatchEvent(new Event("click")));
    await anna.waitForFunction(() => document.title === "sent 5000000");
    await ben.waitForFunction(() => document.title.startsWith("cat.png"));
    expect(await ben.title()).toBe("cat.png, image/png: the same");
    expect(loaded.some((url) => url.endsWith(".js"))).toBe(true);
    await world.isEmpty();
    expect(errors).toEqual([]);
    await context.close();
  });
});
