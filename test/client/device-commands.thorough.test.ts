// `lethe link` and `lethe devices` as processes, in pipes: the phone has one folder, the laptop another.
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { aFolder, type Folder } from "../support/folder.ts";
import { ChatProcess } from "./support/chat-process.ts";
import { RelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
let folder: Folder;
const started: ChatProcess[] = [];
beforeAll(async () => {
  relay = await RelayProcess.start();
  folder = await aFolder();
});
afterAll(async () => {
  for (const process of started) await process.kill("SIGKILL");
  await relay[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function lethe(place: "phone" | "laptop", command: string, ...args: string[]): ChatProcess {
  const env = { XDG_DATA_HOME: join(folder.path, place), LETHE_RELAY: relay.url };
  const process = new ChatProcess(args, env, command);
  started.push(process);
  return process;
}

/** What it printed, and how it ended. */
async function whole(process: ChatProcess): Promise<{ code: number | null; lines: string[]; says: string }> {
  const code = await process.end();
  return { code, lines: process.lines, says: process.says };
}

async function registered(user: string): Promise<void> {
  const chat = lethe("phone", "chat", user);
  await chat.line(/^connection online$/);
  await chat.end();
}

/** Both sides, up to the digits. */
async function compared(user: string): Promise<{ laptop: ChatProcess; phone: ChatProcess }> {
  const laptop = lethe("laptop", "link", user);
  const code = (await laptop.line(/^code /)).slice("code ".length);
  const phone = lethe("phone", "devices", user, "add", code);
  const digits = await phone.line(/^digits \d{6}$/);
  expect(await laptop.line(/^digits/)).toBe(digits);
  return { laptop, phone };
}

describe("lethe link and lethe devices", () => {
  it("make a laptop a device of the account, which chats with it, and take it out again", async () => {
    await registered("anna");
    const { laptop, phone } = await compared("anna");
    phone.type("y");
    await phone.line(/^linked 2$/);
    await laptop.line(/^linked anna$/);
    expect([await phone.end(), await laptop.end()]).toEqual([0, 0]);
    const today = new Date().toISOString().slice(0, 10);
    expect((await whole(lethe("phone", "devices", "anna"))).lines).toEqual([
      `1 since ${today}, the first one, this one`,
      `2 since ${today}`,
    ]);
    const chat = lethe("laptop", "chat", "anna", "--with", "ben");
    await chat.line(/^connection online$/);
    expect(await whole(lethe("phone", "devices", "anna", "remove", "2"))).toMatchObject({
      code: 0,
      lines: ["removed 2"],
    });
    await chat.line(/^halted (?:device-removed|authentication-failed)$/);
    expect((await whole(lethe("phone", "devices", "anna"))).lines).toHaveLength(1);
    expect(await whole(lethe("phone", "devices", "anna", "remove", "2"))).toMatchObject({
      code: 1,
      lines: [],
    });
  });

  it("link nothing where the digits differ, and say so on both sides", async () => {
    await registered("bert");
    const { laptop, phone } = await compared("bert");
    phone.type("n");
    await phone.line(/^not linked$/);
    expect(await phone.end()).toBe(1);
    expect(await laptop.end()).toBe(1);
    expect(laptop.says).toContain("Begin again");
    expect((await whole(lethe("phone", "devices", "bert"))).lines).toHaveLength(1);
  });

  it("refuse a code that is none, a store that is not there, and a linked device that wants to remove others", async () => {
    await registered("cora");
    const none = await whole(lethe("phone", "devices", "cora", "add", "https://lethe.example/link"));
    expect([none.code, none.lines]).toEqual([1, []]);
    expect(none.says).toContain("Is the code whole?");
    expect(await whole(lethe("phone", "devices", "nobody"))).toMatchObject({ code: 2, lines: [] });
    const { laptop, phone } = await compared("cora");
    phone.type("y");
    await phone.line(/^linked 2$/);
    await laptop.end();
    const refused = await whole(lethe("laptop", "devices", "cora", "remove", "1"));
    expect([refused.code, refused.lines]).toEqual([1, []]);
    expect(refused.says).toContain("the device that you began with");
  });
});
