// Who is there, between real clients and a real relay, whatever becomes of the connections.
import { PATHS } from "@lethe/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Client, type ClientEvents, type ClientOptions, openMemoryStore } from "@lethe/client";
import { aFolder, type Folder } from "../support/folder.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { Arrivals, within } from "../support/waiting.ts";
import { ChatProcess } from "./support/chat-process.ts";
import { cutting } from "./support/cutting.ts";

/** The relay's ping time-out, and how long it calls nobody away who may come back, ms. */
const PING_MS = 3_000;
const GRACE_MS = 3_000;
/** For a machine that is busy with other tests, ms. */
const SLACK_MS = 4_000;

let folder: Folder;
let relay: RelayProcess;
const open = new Set<Client>();
const chats = new Set<ChatProcess>();
let people = 0;

beforeAll(async () => {
  folder = await aFolder();
  relay = await RelayProcess.start({ data: `${folder.path}/relay`, flags: ["--ping", String(PING_MS)] });
});
afterEach(async () => {
  for (const client of open) await client.close();
  open.clear();
  for (const chat of chats) await chat.kill("SIGKILL");
  chats.clear();
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

const person = (name: string): string => `${name}-${++people}`;

async function client(name: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const made = await Client.create({
    relay: relay.url,
    user: name,
    store: openMemoryStore(),
    requests: "accept",
    receiptJitterMs: 20,
    ...options,
  });
  open.add(made);
  return made;
}

async function close(of: Client): Promise<void> {
  await of.close();
  open.delete(of);
}

/** Both have each other's access key afterwards. */
async function befriend(a: Client, b: Client): Promise<void> {
  const [atA, atB] = [a.once("message"), b.once("message")];
  await a.send(b.user, "hi");
  await atB;
  await b.send(a.user, "hi you");
  await atA;
}

type Presence = ClientEvents["presence"];
/** What a client is told of somebody's presence, one at a time. */
function presences(of: Client, user: string): { next: () => Promise<Presence>; rest: () => Presence[] } {
  const arrivals = new Arrivals<Presence>();
  of.on("presence", (presence) => {
    if (presence.user === user) arrivals.put(presence);
  });
  return {
    next: () => within(PING_MS + GRACE_MS + SLACK_MS, `news of ${user}`, arrivals.next()),
    rest: () => arrivals.takeAll(),
  };
}

describe("a contact who is watched", () => {
  it("comes and goes, and is last seen in the minute in which they went", async () => {
    const file = `${folder.path}/comes.db`;
    const name = person("ben");
    const [anna, ben] = [await client(person("anna")), await client(name, { store: file })];
    await befriend(anna, ben);
    const news = presences(anna, name);
    expect(anna.presence(name)).toEqual({ state: "unknown", lastSeen: undefined });
    await anna.watch(name);
    expect(await news.next()).toEqual({ user: name, state: "online", lastSeen: undefined });
    await close(ben);
    const gone = await news.next();
    expect(gone).toMatchObject({ state: "offline" });
    expect((gone.lastSeen ?? 1) % 60_000).toBe(0);
    expect(Date.now() - (gone.lastSeen ?? 0)).toBeLessThan(120_000);
    expect(anna.presence(name)).toEqual({ state: "offline", lastSeen: gone.lastSeen });
    await client(name, { store: file });
    expect(await news.next()).toMatchObject({ state: "online", lastSeen: undefined });
  });

  it("does not let it be seen when they were last here, if they do not want to", async () => {
    const [anna, ben] = [await client(person("anna")), await client(person("ben"))];
    await befriend(anna, ben);
    const news = presences(anna, ben.user);
    await anna.watch(ben.user);
    expect(await news.next()).toMatchObject({ state: "online" });
    await ben.showLastSeen(false);
    await close(ben);
    expect(await news.next()).toEqual({ user: ben.user, state: "offline", lastSeen: undefined });
  });

  it("is offline within the ping time-out and the grace when their process is killed, or stands still", async () => {
    for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
      const anna = await client(person("anna"));
      const name = person("ben");
      const env = { XDG_DATA_HOME: folder.path, LETHE_RELAY: relay.url };
      const ben = new ChatProcess([name, "--with", anna.user], env);
      chats.add(ben);
      await ben.line(/^connection online$/);
      const answer = anna.once("message");
      await anna.send(name, "hi");
      await ben.line(/^< anna/);
      ben.type("hi you");
      await answer;
      const news = presences(anna, name);
      await anna.watch(name);
      expect(await news.next()).toMatchObject({ state: "online" });
      const at = performance.now();
      void ben.kill(signal);
      expect(await news.next()).toMatchObject({ state: "offline" });
      const took = performance.now() - at;
      expect(took).toBeGreaterThan(GRACE_MS - 1_000);
      expect(took).toBeLessThan(PING_MS + GRACE_MS + SLACK_MS);
    }
  });

  it("was not away when their connection broke and came back", async () => {
    const lines = cutting();
    const [anna, ben] = [await client(person("anna")), await client(person("ben"), lines)];
    await befriend(anna, ben);
    const news = presences(anna, ben.user);
    await anna.watch(ben.user);
    expect(await news.next()).toMatchObject({ state: "online" });
    for (let i = 0; i < 3; i++) {
      const back = ben.once("connection", ({ state }) => state === "online");
      expect(lines.cut(PATHS.deviceSocket)).toBe(1);
      await back;
    }
    await close(ben);
    expect(await news.next()).toMatchObject({ state: "offline" });
    expect(news.rest()).toEqual([]);
  });

  it("is watched still after the watcher's connection broke, without a flicker", async () => {
    const lines = cutting();
    const [anna, ben] = [await client(person("anna"), lines), await client(person("ben"))];
    await befriend(anna, ben);
    const news = presences(anna, ben.user);
    await anna.watch(ben.user);
    expect(await news.next()).toMatchObject({ state: "online" });
    expect(lines.cut(PATHS.anonymousSocket)).toBeGreaterThan(0);
    await close(ben);
    expect(await news.next()).toMatchObject({ state: "offline" });
    expect(news.rest()).toEqual([]);
  });

  it("was not away when the relay was started anew", async () => {
    const data = `${folder.path}/anew`;
    const first = await RelayProcess.start({ data });
    const options = { relay: first.url };
    const [anna, ben] = [await client(person("anna"), options), await client(person("ben"), options)];
    await befriend(anna, ben);
    const news = presences(anna, ben.user);
    await anna.watch(ben.user);
    expect(await news.next()).toMatchObject({ state: "online" });
    const back = [anna, ben].map((of) => of.once("connection", ({ state }) => state === "online"));
    await first.kill();
    await using second = await RelayProcess.start({ data, port: first.port });
    await Promise.all(back);
    await close(ben);
    expect(await news.next()).toMatchObject({ state: "offline" });
    expect(news.rest()).toEqual([]);
    expect(second.running).toBe(true);
    await close(anna);
  });

  it("is unknown to whoever they block, and to nobody else, though their access key is another", async () => {
    const [anna, ben, cleo] = [
      await client(person("anna")),
      await client(person("ben")),
      await client(person("cleo")),
    ];
    await befriend(anna, ben);
    await befriend(cleo, ben);
    const [atAnna, atCleo] = [presences(anna, ben.user), presences(cleo, ben.user)];
    await Promise.all([anna.watch(ben.user), cleo.watch(ben.user)]);
    expect(await atAnna.next()).toMatchObject({ state: "online" });
    expect(await atCleo.next()).toMatchObject({ state: "online" });
    await ben.block(anna.user);
    await within(
      20_000,
      "the end of the watch",
      anna.once("presence", ({ state }) => state === "unknown"),
    );
    await close(ben);
    expect(await atCleo.next()).toMatchObject({ state: "offline" });
    expect(atCleo.rest()).toEqual([]);
    expect(atAnna.rest()).toMatchObject([{ state: "unknown" }]);
  });
});

describe("a client says clearly", () => {
  it("whom it cannot watch", async () => {
    const [anna, ben] = [await client(person("anna")), await client(person("ben"), { requests: "ask" })];
    const asked = ben.once("request");
    await anna.send(ben.user, "hi");
    await asked;
    await expect(ben.watch(anna.user)).rejects.toMatchObject({ code: "not-a-contact" });
    await expect(anna.watch(ben.user)).rejects.toMatchObject({ code: "not-a-contact" });
    await expect(anna.watch("nobody-here")).rejects.toMatchObject({ code: "unknown-user" });
    await ben.accept(anna.user);
    await ben.watch(anna.user);
    await ben.block(anna.user);
    await expect(ben.watch(anna.user)).rejects.toMatchObject({ code: "blocked" });
    expect(anna.presence("nobody-here").state).toBe("unknown");
  });
});
