// Files in `lethe chat`, between real processes over a real relay: sent, saved, let go of; on a line that is cut, and by chats that
// are killed.
import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bytesSource, Client, openMemoryStore } from "@lethe/client";
import { FaultLine } from "../support/fault-line.ts";
import { ChatProcess } from "./support/chat-process.ts";
import { RelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
let folder: string;
const chats: ChatProcess[] = [];

beforeAll(async () => {
  relay = await RelayProcess.start();
  folder = await mkdtemp(join(tmpdir(), "lethe-chat-files-"));
});
afterAll(async () => {
  for (const chat of chats) await chat.kill("SIGTERM");
  await relay[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function start(command: string, args: readonly string[], url = relay.url): ChatProcess {
  // In a terminal that shows pictures; but a pipe gets none.
  const env = { XDG_DATA_HOME: folder, HOME: folder, LETHE_RELAY: url, TERM_PROGRAM: "kitty" };
  const started = new ChatProcess(args, env, command);
  chats.push(started);
  return started;
}

function chat(user: string, args: readonly string[] = [], url = relay.url): ChatProcess {
  return start("chat", [user, ...args], url);
}

/** Two who have written to each other, and take each other's mail. */
async function friends(one: ChatProcess, a: string, other: ChatProcess, b: string): Promise<void> {
  await one.line(/^connection online$/);
  await other.line(/^connection online$/);
  one.type(`hello ${b}`);
  await other.line(new RegExp(`^< ${a}: hello ${b}$`));
  other.type(`hello ${a}`);
  await one.line(new RegExp(`^< ${b}: hello ${a}$`));
}

async function pair(a: string, b: string, argsOfB: readonly string[] = [], url = relay.url) {
  const [one, other] = [chat(a, ["--with", b], url), chat(b, ["--with", a, ...argsOfB], url)];
  await friends(one, a, other, b);
  return [one, other] as const;
}

/** A file of random bytes in a folder of its own. */
async function file(name: string, size: number): Promise<{ path: string; bytes: Buffer }> {
  const path = join(await mkdtemp(join(folder, "out-")), name);
  const bytes = randomBytes(size);
  await writeFile(path, bytes);
  return { path, bytes };
}

/** What it carries passes this process: nothing is through before its steps were seen here. */
async function aLine(): Promise<FaultLine & { readonly url: string }> {
  const line = await FaultLine.before(() => Number(new URL(relay.url).port));
  return Object.assign(line, { url: `http://127.0.0.1:${line.port}` });
}

const aFolder = (): Promise<string> => mkdtemp(join(folder, "in-"));
const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const hashOf = async (path: string): Promise<string> => hash(await readFile(path));
const count = ({ lines }: ChatProcess, form: RegExp): number =>
  lines.filter((line) => form.test(line)).length;

describe("files in lethe chat", () => {
  it("go from one to another, whole, with what is said of them and how far they are", async () => {
    const [anna, ben] = await pair("anna", "ben");
    const { path, bytes } = await file("my holiday.zip", 5_000_000);
    anna.type(`/send "${path}" the beach`);
    expect(await anna.line(/^> 2/)).toBe("> 2 📎 my holiday.zip, application/zip, 5.0 MB the beach");
    await anna.line(/^upload 2 100$/);
    await anna.line(/^read 2$/);
    await ben.line(/^< anna: 📎 my holiday\.zip, application\/zip, 5\.0 MB the beach$/);
    const into = await aFolder();
    ben.type("/files", `/save ${into}`);
    await ben.line(/^file 1 anna: 📎 my holiday\.zip/);
    await ben.line(/^saving 100 my holiday\.zip$/);
    await ben.line(new RegExp(`^saved ${into}/my holiday\\.zip$`));
    expect(await hashOf(join(into, "my holiday.zip"))).toBe(hash(bytes));
    expect(await readdir(into)).toEqual(["my holiday.zip"]);
    ben.type("/save");
    await ben.line(/^error There is no file 1 here/);
    expect(await Promise.all([anna.end(), ben.end()])).toEqual([0, 0]);
  });

  it("are saved at once where the chat is told so, and never over another file", async () => {
    const into = join(await aFolder(), "new");
    const [carl, dora] = await pair("carl", "dora", ["--save", into]);
    const [one, other] = [await file("a.txt", 100), await file("a.txt", 200)];
    carl.type(`/send ${one.path}`);
    await dora.line(/^saved .*\/a\.txt$/);
    carl.type(`/send ${other.path}`);
    await dora.line(/^saved .*\/a \(1\)\.txt$/);
    expect(await Promise.all([hashOf(join(into, "a.txt")), hashOf(join(into, "a (1).txt"))])).toEqual([
      hash(one.bytes),
      hash(other.bytes),
    ]);
    expect(await readdir(into)).toHaveLength(2);
    expect(await Promise.all([carl.end(), dora.end()])).toEqual([0, 0]);
  });

  it("go to everybody in a group", async () => {
    const [emil, frida, gustav] = [
      chat("emil", ["--with", "frida"]),
      chat("frida", ["--with", "emil", "--save", join(folder, "frida")]),
      chat("gustav", ["--with", "emil", "--save", join(folder, "gustav")]),
    ];
    await friends(emil, "emil", frida, "frida");
    emil.type("/to gustav");
    gustav.type("hello emil");
    await emil.line(/^request gustav$/);
    emil.type("/accept gustav");
    await emil.line(/^< gustav: hello emil$/);
    emil.type("/group trip frida gustav", "hello all");
    await frida.line(/^< #trip emil: hello all$/);
    await gustav.line(/^< #trip emil: hello all$/);
    const { path, bytes } = await file("map.png", 30_000);
    emil.type(`/send ${path} the way`);
    for (const each of [frida, gustav]) {
      await each.line(/^< #trip emil: 📎 map\.png, image\/png, 30\.0 kB the way$/);
      await each.line(/^saved /);
    }
    for (const name of ["frida", "gustav"])
      expect(await hashOf(join(folder, name, "map.png"))).toBe(hash(bytes));
    for (const each of [emil, frida, gustav]) expect(await each.end()).toBe(0);
  });

  it("go on by themselves when the line was cut, both ways", async () => {
    await using line = await aLine();
    const into = await aFolder();
    const [hans, ida] = await pair("hans", "ida", ["--save", into], line.url);
    const { path, bytes } = await file("film.mp4", 20_000_000);
    hans.type(`/send ${path}`);
    await hans.line(/^upload 2 [1-5]0$/);
    line.cut();
    await hans.line(/^upload 2 100$/);
    await ida.line(/^saving [1-5]0 film\.mp4$/);
    line.cut();
    await ida.line(/^saved .*\/film\.mp4$/);
    expect(await hashOf(join(into, "film.mp4"))).toBe(hash(bytes));
    expect(count(ida, /^< hans: 📎/)).toBe(1);
    expect(await Promise.all([hans.end(), ida.end()])).toEqual([0, 0]);
  });

  it("arrive once though the sender was killed in the middle", async () => {
    const into = await aFolder();
    await using line = await aLine();
    const [jan, kira] = await pair("jan", "kira", ["--save", into], line.url);
    const { path, bytes } = await file("film.mp4", 30_000_000);
    jan.type(`/send ${path} look`);
    await jan.line(/^upload 2 [1-5]0$/);
    await jan.kill("SIGKILL");
    const again = chat("jan", ["--with", "kira"], line.url);
    expect(await again.line(/^> 1/)).toBe("> 1 📎 film.mp4, video/mp4, 30.0 MB");
    await again.line(/^upload 1 100$/);
    await kira.line(/^< jan: 📎 film\.mp4, video\/mp4, 30\.0 MB look$/);
    await kira.line(/^saved /);
    expect(await again.end()).toBe(0);
    expect(await hashOf(join(into, "film.mp4"))).toBe(hash(bytes));
    expect(count(kira, /^< jan: 📎/)).toBe(1);
    expect(await kira.end()).toBe(0);
  });

  it("are not sent when they are not what they were, or not there any more", async () => {
    await using line = await aLine();
    const [lars, mona] = await pair("lars", "mona", [], line.url);
    const [one, other] = [await file("one.bin", 30_000_000), await file("two.bin", 30_000_000)];
    lars.type(`/send ${one.path}`, `/send ${other.path}`);
    await lars.line(/^upload \d [1-5]0$/);
    line.silence("up");
    lars.type("/cancel 9");
    await lars.line(/^error There is no upload 9/);
    await lars.kill("SIGKILL");
    line.silence(undefined);
    line.cut();
    await writeFile(one.path, randomBytes(30_000_000));
    await rm(other.path);
    const again = chat("lars", ["--with", "mona"], line.url);
    await again.line(/^refused 1 media-source-changed$/);
    again.type("/cancel", "/cancel", "and now?");
    await again.line(/^error There is no upload 1/);
    expect(again.lines.filter((line) => line.startsWith("error two.bin"))).toEqual([
      `error two.bin is not sent yet: There is no file ${other.path}. /cancel gives it up.`,
    ]);
    await mona.line(/^< lars: and now\?$/);
    expect(count(mona, /📎/)).toBe(0);
    // Something was refused.
    expect(await Promise.all([again.end(), mona.end()])).toEqual([1, 0]);
  });

  it("are whole though whoever saves was killed in the middle", async () => {
    await using line = await aLine();
    const [nils, olga] = await pair("nils", "olga", [], line.url);
    const { path, bytes } = await file("film.mp4", 60_000_000);
    nils.type(`/send ${path}`);
    await olga.line(/^< nils: 📎/);
    const into = await aFolder();
    olga.type(`/save 1 ${into}/mine.mp4`);
    await olga.line(/^saving 30 film\.mp4$/);
    await olga.kill("SIGKILL");
    expect(await readdir(into)).not.toContain("mine.mp4");
    const again = chat("olga", ["--with", "nils"], line.url);
    await again.line(/^saved .*\/mine\.mp4$/);
    // Eight parts of 29 were safe, or more.
    expect(again.lines.find((line) => line.startsWith("saving"))).toMatch(
      /^saving (?:[2-9]0|100) film\.mp4$/,
    );
    expect(await hashOf(join(into, "mine.mp4"))).toBe(hash(bytes));
    expect(await readdir(into)).toEqual(["mine.mp4"]);
    expect(await Promise.all([nils.end(), again.end()])).toEqual([0, 0]);
  });

  it("can be saved after a restart, and are let go of when their message is deleted", async () => {
    const [paul, rosa] = await pair("paul", "rosa");
    const [one, other] = [await file("one.bin", 3_000), await file("two.bin", 3_000)];
    // Files are said as they have come to the relay: the second could be there before the first.
    paul.type(`/send ${one.path}`);
    await rosa.line(/^< paul: 📎 one\.bin/);
    paul.type(`/send ${other.path}`);
    await rosa.line(/^< paul: 📎 two\.bin/);
    await paul.line(/^(?:sent|delivered|read) 3$/);
    await rosa.kill("SIGKILL");
    paul.type("/delete 1");
    await paul.line(/^deleted you: 📎 two\.bin/);
    const again = chat("rosa", ["--with", "paul"]);
    paul.type("gone?");
    await again.line(/^< paul: gone\?$/);
    again.type("/files");
    expect(await again.line(/^file/)).toBe("file 1 paul: 📎 one.bin, application/octet-stream, 3.0 kB");
    const into = await aFolder();
    again.type(`/save ${into}/`);
    await again.line(/^saved .*\/one\.bin$/);
    expect(await hashOf(join(into, "one.bin"))).toBe(hash(one.bytes));
    paul.type(`/send ${other.path}`);
    await again.line(/^< paul: 📎 two\.bin/);
    again.type("/discard", "/files", "/discard");
    await again.line(/^discarded two\.bin$/);
    await again.line(/^error There is no file 1 here/);
    expect(await Promise.all([paul.end(), again.end()])).toEqual([0, 0]);
  });

  it("are let go of when their message disappears, and their caption is all that an edit changes", async () => {
    const [xaver, yara] = await pair("xaver", "yara");
    const { path } = await file("one.bin", 3_000);
    xaver.type(`/send ${path} mine`);
    await yara.line(/^< xaver: 📎 one\.bin, .* mine$/);
    await xaver.line(/^(?:sent|delivered|read) 2$/);
    xaver.type("/edit 1 yours", "/timer 1s", `/send ${path} soon gone`);
    await yara.line(/^edit xaver: yours$/);
    await yara.line(/^disappeared 📎 one\.bin, /);
    yara.type("/files", "/reply 1 thanks", "/discard 2");
    await yara.line(/^file 1 xaver: 📎 one\.bin/);
    expect(await yara.line(/^> 2/)).toMatch(/^> 2 \[to "📎 one\.bin, /);
    await yara.line(/^error There is no file 2 here/);
    expect(await Promise.all([xaver.end(), yara.end()])).toEqual([0, 0]);
  });

  it("come to the other devices of whoever has sent them", async () => {
    const sven = chat("sven", ["--with", "tina"]);
    await sven.line(/^connection online$/);
    await sven.end();
    const laptop = start("link", ["sven", "--store", join(folder, "laptop.db")]);
    const code = (await laptop.line(/^code /)).slice("code ".length);
    const phone = start("devices", ["sven", "add", code]);
    await phone.line(/^digits/);
    phone.type("y");
    await laptop.line(/^linked sven$/);
    await phone.end();
    const [first, tina] = await pair("sven", "tina");
    const into = await aFolder();
    const second = chat("sven", ["--store", join(folder, "laptop.db"), "--save", into]);
    await second.line(/^connection online$/);
    const { path, bytes } = await file("film.mp4", 3_000_000);
    first.type(`/send ${path} ours`);
    await second.line(/^< you → tina: 📎 film\.mp4, video\/mp4, 3\.0 MB ours$/);
    await second.line(/^saved .*\/film\.mp4$/);
    expect(await hashOf(join(into, "film.mp4"))).toBe(hash(bytes));
    for (const each of [first, second, tina]) expect(await each.end()).toBe(0);
  });

  it("have no name that leads out of the folder or moves a cursor, whatever the sender says", async () => {
    const into = await aFolder();
    const uwe = chat("uwe", ["--with", "vera", "--save", into]);
    await uwe.line(/^connection online$/);
    const vera = await Client.create({ relay: relay.url, user: "vera", store: openMemoryStore() });
    const send = async (name: string, type: string): Promise<void> => {
      const sent = await vera.sendMedia("uwe", bytesSource(new Uint8Array(3), { name, type }));
      await sent.sent;
    };
    await send("../../../evil.sh", "x/\u001b[2J");
    await send("\u001b]0;owned\u0007a\u202egnp.exe", "image/png");
    await send("..", "image/png");
    for (let saved = 0; saved < 3; saved++) await uwe.line(/^saved /);
    expect((await readdir(into)).sort()).toEqual(["]0;ownedagnp.exe", "evil.sh", "file"].sort());
    expect(uwe.lines.join("")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    await vera.close();
    expect(await uwe.end()).toBe(0);
  });

  it("are named in errors that say what is wrong", async () => {
    const walter = chat("walter", ["--with", "uwe"]);
    await mkdir(join(folder, "a folder"));
    walter.type("/send ~/nothing.txt", "/send ~/a\\ folder", '/send "open', "/send", "/save nowhere/x");
    expect(await walter.line(/^error There/)).toBe(`error There is no file ${folder}/nothing.txt.`);
    expect(await walter.line(/^error/)).toBe(`error ${folder}/a folder is a folder: a file can be sent.`);
    expect(await walter.line(/^error/)).toBe('error There is no second " in this path.');
    expect(await walter.line(/^error/)).toBe("error /send is not understood");
    expect(await walter.line(/^error/)).toBe("error There is no file 1 here that is not saved.");
    expect(await walter.end()).toBe(0);
  });
});
