import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { RelayProcess } from "../client/support/relay-process.ts";
import { bundle, launchChromium, openPage, Pages, projectPath } from "./support/chromium.ts";

const run = promisify(execFile);
/** Pictures of each step, to be looked at. */
const PICTURES = projectPath("test/.artifacts/demo");

let browser: Browser;
let pages: Pages;
let relay: RelayProcess;
let context: BrowserContext;
const errors: string[] = [];

beforeAll(async () => {
  await mkdir(PICTURES, { recursive: true });
  relay = await RelayProcess.start();
  pages = await Pages.of(await bundle(projectPath("demo")));
  browser = await launchChromium();
}, 240_000);
afterAll(async () => {
  await browser.close();
  await pages[Symbol.asyncDispose]();
  await relay[Symbol.asyncDispose]();
});
beforeEach(async () => {
  errors.length = 0;
  context = await browser.newContext({ viewport: { width: 420, height: 640 } });
});
afterEach(async () => {
  await context.close();
  expect(errors).toEqual([]);
});

const open = (user: string, peer: string): Promise<Page> =>
  openPage(context, `${pages.url}?user=${user}&with=${peer}&relay=${relay.url}`, errors);
const online = (page: Page): Promise<void> => page.locator("#state[data-state=online]").waitFor();
const picture = (page: Page, name: string): Promise<unknown> =>
  page.screenshot({ path: `${PICTURES}/${name}.png` });

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message").fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

/** Resolves when the page shows this message of ours with this tick. */
const ticked = (page: Page, text: string, state: string): Promise<void> =>
  page.locator("li.own", { hasText: text }).locator(`.tick[data-state=${state}]`).waitFor();
/** Resolves when the page shows that the other person is there, or is not. */
const there = (page: Page, state: "online" | "offline"): Promise<void> =>
  page.locator(`#presence[data-state=${state}]`).waitFor();
const shows = (page: Page, text: string): Promise<void> =>
  page.locator("li.theirs", { hasText: text }).waitFor();
const texts = (page: Page): Promise<string[]> => page.locator("li.theirs").allTextContents();

describe("the demo in Chromium", () => {
  it("has sound types, by a browser's libraries alone", async () => {
    await run(projectPath("node_modules/.bin/tsc"), ["-p", projectPath("demo")]);
  });

  it("lets two tabs talk as two people, through absence and reload, with ticks", async () => {
    const anna = await open("anna", "ben");
    let ben = await open("ben", "anna");
    await Promise.all([online(anna), online(ben)]);
    await say(anna, "are you there?");
    await shows(ben, "are you there?");
    await ticked(anna, "are you there?", "read");
    await say(ben, "yes");
    await shows(anna, "yes");
    await there(anna, "online");
    await there(ben, "online");
    await picture(anna, "1-anna-both-online");

    await ben.close();
    await there(anna, "offline");
    await anna.getByText(/^last seen /).waitFor();
    await say(anna, "one, while you were away");
    await say(anna, "two, while you were away");
    await ticked(anna, "two, while you were away", "sent");
    await picture(anna, "2-anna-ben-away");

    await anna.reload();
    await online(anna);
    await ticked(anna, "two, while you were away", "sent");

    ben = await open("ben", "anna");
    await shows(ben, "two, while you were away");
    expect(await texts(ben)).toEqual(["one, while you were away", "two, while you were away"]);
    await ticked(anna, "one, while you were away", "read");
    await ticked(anna, "two, while you were away", "read");
    await picture(anna, "3-anna-after-reload");
    await picture(ben, "4-ben-back");
  });

  it("asks who one is, and tells of a relay that is not there", async () => {
    const page = await openPage(context, pages.url, errors);
    await page.getByLabel("Your name").fill("cleo");
    await page.getByLabel("Write to").fill("dora");
    await page.getByLabel("Relay").fill("http://127.0.0.1:9");
    await picture(page, "5-begin");
    await page.getByRole("button", { name: "Begin" }).click();
    await page.getByRole("alert").getByText("does not answer").waitFor();
    await page.reload();
    await page.getByRole("alert").getByText("does not answer").waitFor();
  });

  it("lets a second tab of the same person wait, and take over when the first is closed", async () => {
    await context.close();
    context = await browser.newContext({ viewport: { width: 420, height: 640 }, colorScheme: "dark" });
    const first = await open("emma", "finn");
    await online(first);
    const finn = await open("finn", "emma");
    await online(finn);
    const second = await open("emma", "finn");
    await second.getByRole("alert").getByText("open in another tab").waitFor();
    await picture(second, "6-second-tab-waits");
    await say(finn, "which of you is it?");
    await shows(first, "which of you is it?");
    await first.close();
    await online(second);
    await say(finn, "and now?");
    await shows(second, "and now?");
    await say(second, "the other one");
    await shows(finn, "the other one");
    await ticked(second, "the other one", "read");
    await picture(second, "7-second-tab-took-over");
  });

  it("keeps what is written without a network, and sends it when it is back", async () => {
    const [gina, hugo] = [await open("gina", "hugo"), await open("hugo", "gina")];
    await Promise.all([online(gina), online(hugo)]);
    await say(gina, "before");
    await ticked(gina, "before", "read");
    await relay.stop();
    await gina.locator("#state:not([data-state=online])").waitFor();
    await say(gina, "without a relay");
    await ticked(gina, "without a relay", "waiting");
    await picture(gina, "8-without-a-relay");
    await gina.reload();
    await ticked(gina, "without a relay", "waiting");
    await relay.start();
    await shows(hugo, "without a relay");
    await ticked(gina, "without a relay", "read");
  });
});
