// What is done to messages in `lethe chat`, between real processes: answers, reactions, edits, deletions, timers, contact cards.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ChatProcess } from "./support/chat-process.ts";
import { RelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
let folder: string;
const chats: ChatProcess[] = [];

beforeAll(async () => {
  relay = await RelayProcess.start();
  folder = await mkdtemp(join(tmpdir(), "lethe-chat-"));
});
afterAll(async () => {
  for (const chat of chats) await chat.kill("SIGTERM");
  await relay[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function chat(user: string, ...args: string[]): ChatProcess {
  const started = new ChatProcess([user, ...args], { XDG_DATA_HOME: folder, LETHE_RELAY: relay.url });
  chats.push(started);
  return started;
}

/** Two who have written to each other, and take each other's mail. */
async function friends(a: string, b: string): Promise<[ChatProcess, ChatProcess]> {
  const [one, other] = [chat(a, "--with", b), chat(b, "--with", a)];
  await one.line(/^connection online$/);
  await other.line(/^connection online$/);
  one.type(`hello ${b}`);
  await other.line(new RegExp(`^< ${a}: hello ${b}$`));
  other.type(`hello ${a}`);
  await one.line(new RegExp(`^< ${b}: hello ${a}$`));
  return [one, other];
}

describe("lethe chat", () => {
  it("answers, reacts, edits and deletes, counted back from the newest message", async () => {
    const [anna, ben] = await friends("anna", "ben");
    anna.type("who brings teh tent?");
    await ben.line(/^< anna: who brings teh tent\?$/);
    ben.type("/reply 1 I do", "/react 1 ⛺", "/react 2 👍");
    expect(await anna.line(/I do$/)).toBe('< ben: [to "who brings teh tent?"] I do');
    await ben.line(/^reaction you: ⛺ I do$/);
    expect(await anna.line(/^reaction/)).toBe("reaction ben: ⛺ I do");
    // Two before the last: the answer was the newest by then.
    expect(await anna.line(/^reaction/)).toBe("reaction ben: 👍 who brings teh tent?");
    anna.type("/edit 1 who brings the tent?", "/react 1 🎉", "/react 1");
    await ben.line(/^edit anna: who brings the tent\?$/);
    await ben.line(/^reaction anna: 🎉 /);
    await ben.line(/^reaction anna: - /);
    ben.type("/delete 1");
    expect(await anna.line(/^deleted/)).toBe("deleted ben: I do");
    anna.type("/reply 1 well?");
    expect(await ben.line(/well\?$/)).toBe('< anna: [to "who brings the tent? (edited)"] well?');
    anna.type("/reply 9 x", "/delete 0");
    await anna.line(/^error There is no message 9 here/);
    await anna.line(/^error There is no message 0 here/);
    anna.type("/react 2 🏕");
    expect(await anna.end()).toBe(0); // once the relay has that too
    await ben.line(/^reaction anna: 🏕 /);
    expect(await ben.end()).toBe(0);
  });

  it("sets a timer, and shows what it takes away", async () => {
    const [carl, dora] = await friends("carl", "dora");
    carl.type("/timer 1s");
    await carl.line(/^timer you: 1000$/);
    await dora.line(/^timer carl: 1000$/);
    dora.type("not for long");
    await carl.line(/^< dora: not for long$/);
    await Promise.all([carl.line(/^disappeared not for long$/), dora.line(/^disappeared not for long$/)]);
    dora.type("/timer off", "stays", "/timer soon");
    await carl.line(/^timer dora: off$/);
    await carl.line(/^< dora: stays$/);
    await dora.line(/^error \/timer is not understood$/);
    await dora.line(/^note \/timer 30s\|5m\|1h\|7d\|off$/);
    dora.type("/members");
    await dora.line(/^error You are not in a group now\.$/);
    expect([await carl.end(), await dora.end()]).toEqual([0, 0]);
  });

  it("introduces somebody, who sees a request of whoever has added them", async () => {
    const [emil, frida] = await friends("emil", "frida");
    const gustav = chat("gustav", "--with", "emil");
    gustav.type("hello emil");
    await emil.line(/^request gustav$/);
    emil.type("/accept gustav", "/card gustav");
    expect(await frida.line(/contact/)).toBe("< emil: [contact gustav]");
    frida.type("/add 2");
    await frida.line(/^error "hello emil" is no contact card/);
    // Who is added is not written to by that.
    frida.type("/add 1", "added them", "/to gustav", "hello gustav");
    await frida.line(/^added gustav$/);
    await emil.line(/^< frida: added them$/);
    await frida.line(/^to gustav$/);
    await gustav.line(/^request frida$/);
    expect(frida.lines.filter((line) => line.startsWith("to "))).toEqual(["to gustav"]);
    expect([await emil.end(), await frida.end(), await gustav.end()]).toEqual([0, 0, 0]);
  });

  it("does it all in a group too", async () => {
    const [hans, ida] = await friends("hans", "ida");
    hans.type("/group trip ida", "who brings the tent?");
    await ida.line(/^< #trip hans: who brings the tent\?$/);
    ida.type(
      "/to #trip",
      "/reply 1 I do",
      "/react 2 ⛺",
      "/edit 1 I do not",
      "/delete 1",
      "/timer 7d",
      "/card hans",
    );
    await hans.line(/^< #trip ida: \[to "who brings the tent\?"\] I do$/);
    await hans.line(/^reaction #trip ida: ⛺ who brings the tent\?$/);
    await hans.line(/^edit #trip ida: I do not$/);
    await hans.line(/^deleted #trip ida: I do not \(edited\)$/);
    await hans.line(/^timer #trip ida: 604800000$/);
    await hans.line(/^< #trip ida: \[contact hans\]$/);
    expect([await hans.end(), await ida.end()]).toEqual([0, 0]);
  });

  it("helps", async () => {
    const jan = chat("jan");
    await jan.line(/^connection online$/);
    jan.type("/help", "/groups", "/devices", "/files", "/dance");
    for (const of of [/\/to USER/, /\/reply N/, /\/send PATH/, /No groups\./, /Device 1/, /No files here/])
      expect(await jan.line(/^note /)).toMatch(of);
    expect(await jan.line(/^error/)).toBe("error /dance is not understood");
    expect(await jan.end()).toBe(0);
  });
});
