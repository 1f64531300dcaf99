import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ChatProcess, LETHE } from "./support/chat-process.ts";
import { RelayProcess } from "./support/relay-process.ts";

const run = promisify(execFile);
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
  const env = { XDG_DATA_HOME: folder, LETHE_RELAY: relay.url };
  const started = new ChatProcess([user, ...args], env);
  chats.push(started);
  return started;
}

describe("lethe chat, in pipes", () => {
  it("carries words both ways with sent, delivered and read", async () => {
    const ben = chat("ben", "--with", "anna");
    await ben.line(/^connection online$/);
    const anna = chat("anna", "--with", "ben");
    await anna.line(/^ready anna$/);
    anna.type("hello ben", "two lines are one \\ here");
    await anna.line(/^> 1 hello ben$/);
    await ben.line(/^< anna: hello ben$/);
    await ben.line(/^< anna: two lines are one \\\\ here$/);
    for (const state of [/^(sent|delivered|read) 1$/, /^read 1$/]) await anna.line(state);
    ben.type("hello anna");
    await anna.line(/^< ben: hello anna$/);
    expect(await anna.end()).toBe(0);
    expect(await ben.kill("SIGTERM")).toBe(0);
    expect(anna.says + ben.says).toBe("");
    expect((await stat(join(folder, "lethe", "anna.db"))).mode & 0o777).toBe(0o600);
  });

  it("makes a group, writes to it, and changes it", async () => {
    const [greta, hans, tilda] = [
      chat("greta", "--with", "hans"),
      chat("hans", "--with", "greta"),
      chat("tilda", "--with", "greta"),
    ];
    greta.type("hello hans");
    await hans.line(/^< greta: hello hans$/);
    hans.type("hello greta");
    await greta.line(/^< hans: hello greta$/);
    tilda.type("hello greta");
    await greta.line(/^request tilda$/);
    greta.type("/accept tilda");
    await greta.line(/^< tilda: hello greta$/);
    greta.type("/to tilda", "hello tilda");
    await tilda.line(/^< greta: hello tilda$/);
    greta.type("/group trip hans tilda", "who brings the tent?");
    await greta.line(/^to #trip$/);
    await hans.line(/^group #trip joined 3$/);
    await hans.line(/^< #trip greta: who brings the tent\?$/);
    await tilda.line(/^< #trip greta: who brings the tent\?$/);
    await greta.line(/^progress 3 2\/2 \d\/2$/);
    hans.type("/to #trip", "I do");
    await tilda.line(/^< #trip hans: I do$/);
    greta.type("/remove hans");
    await hans.line(/^group #trip removed 2$/);
    greta.type("without hans");
    await tilda.line(/^< #trip greta: without hans$/);
    greta.type("/rename journey", "/members");
    await tilda.line(/^group #journey changed 2$/);
    tilda.type("/to #journey", "/rename mine");
    await tilda.line(/^error Only an admin/);
    expect(hans.lines.filter((line) => line.includes("without hans"))).toEqual([]);
    for (const each of [greta, hans, tilda]) expect(await each.end()).toBe(0);
  });

  it("says when the other person comes and goes, and when they were last here", async () => {
    const olga = chat("olga", "--with", "paul");
    await olga.line(/^connection online$/);
    const paul = chat("paul", "--with", "olga");
    paul.type("hello olga");
    await olga.line(/^< paul: hello olga$/);
    expect(await olga.line(/^presence/)).toBe("presence paul online");
    await paul.line(/^read 1$/);
    await paul.kill("SIGTERM");
    expect(await olga.line(/^presence/)).toMatch(/^presence paul offline \d{4}-\d\d-\d\dT\d\d:\d\dZ$/);
    const again = chat("paul", "--with", "olga");
    expect(await olga.line(/^presence/)).toBe("presence paul online");
    expect(await again.line(/^presence/)).toBe("presence olga online");
    await again.end();
    await olga.end();
  });

  it("sends what a pipe holds, and ends when the relay has it; it is there when the other comes", async () => {
    const dora = chat("dora");
    await dora.line(/^connection online$/);
    await dora.kill("SIGKILL");
    const carl = chat("carl", "--with", "dora");
    carl.type("one", "two", "three");
    expect(await carl.end()).toBe(0);
    expect(carl.lines.filter((line) => line.startsWith("sent "))).toEqual(["sent 1", "sent 2", "sent 3"]);
    const again = chat("dora");
    expect(await again.line(/^request/)).toBe("request carl");
    again.type("/accept carl");
    for (const text of ["one", "two", "three"]) await again.line(new RegExp(`^< carl: ${text}$`));
    expect(await again.end()).toBe(0);
  });

  it("shows nothing of a stranger that a terminal would obey", async () => {
    const eve = chat("eve", "--with", "finn");
    const finn = chat("finn", "--with", "eve");
    await finn.line(/^connection online$/);
    await eve.line(/^connection online$/);
    eve.type("\u001b[2J\u001b]0;owned\u0007harmless \u202egnp.exe");
    expect(await finn.line(/^< eve/)).toBe("< eve: ·[2J·]0;owned·harmless ·gnp.exe");
    await eve.end();
    await finn.end();
  });

  it("says what is wrong and what to do", async () => {
    const gina = chat("gina");
    await gina.line(/^connection online$/);
    const second = chat("gina");
    expect(await second.exit).toBe(1);
    expect(second.says).toMatch(/Another process has the store open[^]*another terminal/);
    await gina.end();
    const taken = chat("gina", "--store", join(folder, "other.db"));
    expect(await taken.exit).toBe(1);
    expect(taken.says).toMatch(/belongs to somebody else[^]*--store/);
    const away = chat("hugo", "--relay", "http://127.0.0.1:9");
    expect(await away.exit).toBe(1);
    expect(away.says).toMatch(/does not answer[^]*lethe relay/);
    const wrong = chat("No");
    expect(await wrong.exit).toBe(2);
    expect(wrong.says).toMatch(/is no name/);
    const unknown = chat("gina", "--with", "zacharias");
    unknown.type("hi");
    await unknown.line(/^error Nobody has this name/);
    await unknown.end();
  });

  it("takes a long input as it can be sent, and all of it arrives in order", async () => {
    const kim = chat("kim", "--with", "lea");
    await kim.line(/^connection online$/);
    const lea = chat("lea", "--with", "kim");
    const lines = Array.from({ length: 300 }, (_, i) => `line ${i}`);
    lea.type(...lines);
    expect(await lea.end()).toBe(0);
    await kim.line(/^< lea: line 299$/);
    expect(kim.lines.filter((line) => line.startsWith("<"))).toEqual(lines.map((line) => `< lea: ${line}`));
    expect(lea.lines.filter((line) => line.startsWith("sent"))).toHaveLength(300);
    await kim.end();
  });

  it("shows a contact link and takes one: who is added is written to at once, and sees a request", async () => {
    const mona = chat("mona");
    const nils = chat("nils");
    await mona.line(/^connection online$/);
    await nils.line(/^connection online$/);
    mona.type("/contact");
    const [, link = ""] = (await mona.line(/^contact /)).split(" ");
    nils.type(`/add ${link}x`);
    await nils.line(/^error This is no contact link/);
    nils.type(`/add ${link}`, "hello mona");
    await nils.line(/^added mona$/);
    await nils.line(/^to mona$/);
    expect(await mona.line(/^request/)).toBe("request nils");
    mona.type("/accept nils");
    await mona.line(/^< nils: hello mona$/);
    await mona.end();
    await nils.end();
    const env = { ...process.env, XDG_DATA_HOME: folder, LETHE_RELAY: relay.url };
    const { stdout } = await run(process.execPath, [LETHE, "contact", "mona"], { env });
    expect(stdout).toBe(`${link}\n`);
  });

  it("opens a store by its passphrase, and by no other", async () => {
    const [right, other] = [join(folder, "right"), join(folder, "wrong")];
    await writeFile(right, "correct horse\n");
    await writeFile(other, "battery staple\n");
    const ida = chat("ida", "--passphrase-file", right);
    await ida.line(/^connection online$/);
    await ida.end();
    const again = chat("ida", "--passphrase-file", other);
    expect(await again.exit).toBe(1);
    expect(again.says).toMatch(/does not open with this passphrase/);
    expect(existsSync(join(folder, "lethe", "ida.db.key"))).toBe(false);
  });
});

describe("the lethe command", () => {
  it("helps, tells its version, and refuses what it does not know", async () => {
    const lethe = (...args: string[]) => run(process.execPath, [LETHE, ...args]);
    expect((await lethe("--help")).stdout).toContain("lethe chat USER");
    expect((await lethe("chat", "--help")).stdout).toContain("--passphrase-file FILE");
    expect((await lethe("--version")).stdout).toMatch(/^lethe \d+\.\d+\.\d+\n$/);
    expect((await lethe("contact", "--help")).stdout).toContain("--passphrase-file FILE");
    await expect(lethe("contact", "anna", "--with", "ben")).rejects.toMatchObject({ code: 2 });
    await expect(lethe("dance")).rejects.toMatchObject({ code: 2 });
    await expect(lethe("chat", "--dance", "anna")).rejects.toMatchObject({ code: 2 });
  });

  it("starts a relay, which ends with it", async () => {
    const { stdout } = await run(process.execPath, [LETHE, "relay", "--help"]);
    expect(stdout).toContain("--port");
    const args = [LETHE, "relay", "--port", "0", "--data", join(folder, "relay"), "--log", "silent"];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const url = /listening (\S+)/.exec(line.toString())?.[1] ?? "";
    expect((await fetch(`${url}/health`)).status).toBe(200);
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });

  const old = "/usr/bin/node";
  it.skipIf(!existsSync(old))("goes on with the pinned Node when it is started on another", async () => {
    expect((await run(old, [LETHE, "--version"])).stdout).toMatch(/^lethe \d/);
  });
});
