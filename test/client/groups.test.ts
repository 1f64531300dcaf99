// Groups between real clients over a real relay: what people see of them.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  Client,
  type ClientEvent,
  type ClientEvents,
  type ClientOptions,
  type GroupMessage,
  openMemoryStore,
  type OpenSocket,
} from "@lethe/client";
import { decodeFrames, encodeFrames, MAX_VERSION, PATHS, toHex } from "@lethe/protocol";
import { openNodeSocket } from "../../client-lib/edge/socket.ts";
import { RelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
let folder: string;
const open = new Set<Client>();
let people = 0;

beforeAll(async () => {
  relay = await RelayProcess.start();
  folder = await mkdtemp(join(tmpdir(), "lethe-groups-"));
});
afterEach(async () => {
  await Promise.all([...open].map((client) => client.close()));
  open.clear();
});
afterAll(async () => {
  await relay[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** Somebody with everything that came from groups, as one line each. */
interface Talker {
  readonly client: Client;
  readonly lines: string[];
}

async function talker(name: string, options: Partial<ClientOptions> = {}): Promise<Talker> {
  const client = await Client.create({
    relay: relay.url,
    user: name,
    store: openMemoryStore(),
    requests: "accept",
    receiptJitterMs: 20,
    ...options,
  });
  open.add(client);
  const lines: string[] = [];
  client.on("group-message", ({ from, text }) => {
    lines.push(`${from.split("-")[0]}: ${text}`);
  });
  client.on("message", () => undefined);
  return { client, lines };
}

/** Sockets of a client that keep its mail for one account back for a while. */
class HeldMail {
  #account = "";
  #kept: (() => void)[] = [];

  readonly open: OpenSocket = (url, events) => {
    const on = url.endsWith(PATHS.deviceSocket) ? "device" : "anonymous";
    const socket = openNodeSocket(url, events);
    return {
      send: (bytes) => {
        for (const frame of decodeFrames(bytes, { from: "client", on, version: MAX_VERSION })) {
          const send = (): void => socket.send(encodeFrames(frame));
          if (frame.frame === "submit" && toHex(frame.recipient) === this.#account) this.#kept.push(send);
          else send();
        }
      },
      close: () => socket.close(),
    };
  };

  hold(account: string): void {
    this.#account = account;
  }

  release(): void {
    this.#account = "";
    for (const send of this.#kept.splice(0)) send();
  }
}

const named = (name: string): string => `${name}-${++people}`;

/** They know each other: a message has gone each way. */
async function acquaint(a: Client, b: Client): Promise<void> {
  const [atB, atA] = [b.once("message"), a.once("message")];
  await a.send(b.user, "hello");
  await atB;
  await b.send(a.user, "hello yourself");
  await atA;
}

async function friends(...names: string[]): Promise<Talker[]> {
  const all = await Promise.all(names.map((name) => talker(named(name))));
  const [first, ...rest] = all;
  if (first !== undefined) for (const other of rest) await acquaint(first.client, other.client);
  return all;
}

function heard(of: Client, text: string): Promise<GroupMessage> {
  return of.once("group-message", (message) => message.text === text);
}

function next<E extends ClientEvent>(of: Client, event: E, fits?: (e: ClientEvents[E]) => boolean) {
  return of.once(event, fits);
}

describe("a group", () => {
  it("is made, and everybody hears everybody, in order, with counts", async () => {
    const [anna, ben, carla] = (await friends("anna", "ben", "carla")) as [Talker, Talker, Talker];
    const joined = [ben, carla].map(({ client }) => next(client, "group", ({ how }) => how === "joined"));
    const group = await anna.client.groups.create("trip", [ben.client.user, carla.client.user]);
    await Promise.all(joined);
    expect(ben.client.groups.get(group.id)).toMatchObject({
      name: "trip",
      standing: "joined",
      by: anna.client.user,
    });
    const all = [ben, carla].map(({ client }) => heard(client, "third"));
    await anna.client.groups.send(group.id, "first");
    await anna.client.groups.send(group.id, "second");
    const third = await anna.client.groups.send(group.id, "third");
    const got = await Promise.all(all);
    expect(ben.lines).toEqual(["anna: first", "anna: second", "anna: third"]);
    expect(carla.lines).toEqual(ben.lines);
    await third.delivered;
    expect(third.progress()).toEqual({ of: 2, delivered: 2, read: 0 });
    got[0]?.read();
    await next(anna.client, "group-receipt", ({ state }) => state === "read");
    expect(third.progress()).toEqual({ of: 2, delivered: 2, read: 1 });
    got[1]?.read();
    await third.read;
    const answer = [anna, carla].map(({ client }) => heard(client, "from ben"));
    await ben.client.groups.send(group.id, "from ben");
    await Promise.all(answer);
    expect(carla.lines.at(-1)).toBe("ben: from ben");
  });

  it("loses a member, who reads nothing further", async () => {
    const [anna, ben, carla] = (await friends("anna", "ben", "carla")) as [Talker, Talker, Talker];
    const group = await anna.client.groups.create("trip", [ben.client.user, carla.client.user]);
    const all = [ben, carla].map(({ client }) => heard(client, "before"));
    await anna.client.groups.send(group.id, "before");
    await Promise.all(all);
    const removed = next(ben.client, "group", ({ how }) => how === "removed");
    const changed = next(carla.client, "group", ({ how }) => how === "changed");
    await anna.client.groups.remove(group.id, [ben.client.user]);
    await Promise.all([removed, changed]);
    expect(ben.client.groups.get(group.id).standing).toBe("left");
    const after = heard(carla.client, "after");
    await anna.client.groups.send(group.id, "after");
    await after;
    const answer = heard(anna.client, "from carla");
    await carla.client.groups.send(group.id, "from carla");
    await answer;
    expect(ben.lines).toEqual(["anna: before"]);
    await expect(ben.client.groups.send(group.id, "still here")).rejects.toMatchObject({
      code: "not-a-member",
    });
  });

  it("waits for a member who is away, and a member who comes later reads from then on", async () => {
    const file = join(folder, named("carla"));
    const [anna, ben] = (await friends("anna", "ben")) as [Talker, Talker];
    const name = named("carla");
    const carla = await talker(name, { store: file });
    await acquaint(anna.client, carla.client);
    await carla.client.close();
    open.delete(carla.client);
    const group = await anna.client.groups.create("trip", [ben.client.user, name]);
    const first = heard(ben.client, "10");
    for (let i = 1; i <= 10; i++) await anna.client.groups.queue(group.id, String(i));
    await first;
    const again = await talker(name, { store: file });
    await heard(again.client, "10");
    expect(again.lines).toEqual(Array.from({ length: 10 }, (_, i) => `anna: ${i + 1}`));
    const dora = await talker(named("dora"));
    await acquaint(anna.client, dora.client);
    const joined = next(dora.client, "group", ({ how }) => how === "joined");
    await anna.client.groups.add(group.id, [dora.client.user]);
    await joined;
    const [atDora, atAnna] = [heard(dora.client, "welcome"), heard(anna.client, "thanks")];
    await ben.client.groups.send(group.id, "welcome");
    await atDora;
    expect(dora.lines).toEqual(["ben: welcome"]);
    await dora.client.groups.send(group.id, "thanks");
    await atAnna;
  });

  it("puts a member in again, who reads on without a gap for what was not for it", async () => {
    const [anna, ben, carla] = (await friends("anna", "ben", "carla")) as [Talker, Talker, Talker];
    const gaps: number[] = [];
    ben.client.on("gap", ({ missing }) => void gaps.push(missing));
    const joined = [ben, carla].map(({ client }) => next(client, "group", ({ how }) => how === "joined"));
    const group = await anna.client.groups.create("trip", [ben.client.user, carla.client.user]);
    await Promise.all(joined);
    const carlaSays = async (text: string, hears: Talker): Promise<void> => {
      const there = heard(hears.client, text);
      await carla.client.groups.send(group.id, text);
      await there;
    };
    const [out, without] = [
      next(ben.client, "group", ({ how }) => how === "removed"),
      next(carla.client, "group", ({ group: { members } }) => members.length === 2),
    ];
    await carlaSays("before", ben);
    await anna.client.groups.remove(group.id, [ben.client.user]);
    await Promise.all([out, without]);
    await carlaSays("without ben", anna);
    const [back, whole] = [
      next(ben.client, "group", ({ how }) => how === "joined"),
      next(carla.client, "group", ({ group: { members } }) => members.length === 3),
    ];
    await anna.client.groups.add(group.id, [ben.client.user]);
    await Promise.all([back, whole]);
    await carlaSays("with ben", ben);
    expect(ben.lines).toEqual(["carla: before", "carla: with ben"]);
    expect(gaps).toEqual([]);
  });

  it("keeps a chain that comes before the state it was told in, and opens what is said with it", async () => {
    const held = new HeldMail();
    const anna = await talker(named("anna"), { openSocket: held.open });
    const [ben, carla] = await Promise.all([talker(named("ben")), talker(named("carla"))]);
    for (const { client } of [ben, carla]) await acquaint(anna.client, client);
    const joined = [ben, carla].map(({ client }) => next(client, "group", ({ how }) => how === "joined"));
    const group = await anna.client.groups.create("trip", [ben.client.user, carla.client.user]);
    await Promise.all(joined);
    const out = next(ben.client, "group", ({ how }) => how === "removed");
    await anna.client.groups.remove(group.id, [ben.client.user]);
    await out;
    held.hold(ben.client.account);
    const whole = next(carla.client, "group", ({ group: { members } }) => members.length === 3);
    await anna.client.groups.add(group.id, [ben.client.user]);
    await whole;
    await carla.client.groups.send(group.id, "welcome back");
    expect(ben.client.groups.get(group.id).standing).toBe("left");
    const there = heard(ben.client, "welcome back");
    held.release();
    expect((await there).late).toBe(false);
  });

  it("is left, renamed, and given other admins", async () => {
    const [anna, ben, carla] = (await friends("anna", "ben", "carla")) as [Talker, Talker, Talker];
    const { groups } = anna.client;
    const { id } = await groups.create("trip", [ben.client.user, carla.client.user]);
    await expect(groups.leave(id)).rejects.toMatchObject({ code: "last-admin" });
    const joined = next(ben.client, "group", ({ group }) =>
      group.members.some(({ user, role }) => user === ben.client.user && role === "admin"),
    );
    await groups.promote(id, ben.client.user);
    await joined;
    const renamed = [anna, carla].map(({ client }) =>
      next(client, "group", ({ group }) => group.name === "journey"),
    );
    await ben.client.groups.rename(id, "journey");
    await Promise.all(renamed);
    const left = [ben, carla].map(({ client }) =>
      next(client, "group", ({ group }) => group.members.length === 2),
    );
    await groups.leave(id);
    await Promise.all(left);
    const after = heard(carla.client, "without anna");
    await ben.client.groups.send(id, "without anna");
    await after;
    expect(anna.lines).toEqual([]);
    expect(groups.get(id).standing).toBe("left");
    await expect(carla.client.groups.rename(id, "mine")).rejects.toMatchObject({ code: "not-admin" });
  });

  it("of a stranger is an invitation; what was said meanwhile comes when it is taken", async () => {
    const [anna, ben] = (await friends("anna", "ben")) as [Talker, Talker];
    const stranger = await talker(named("mallory"));
    await acquaint(stranger.client, ben.client);
    const carla = await talker(named("carla"), { requests: "ask" });
    // Ben knows Carla; the stranger gets her key from nobody but Ben's group.
    await acquaint(anna.client, ben.client);
    carla.client.on("request", ({ from }) => carla.client.accept(from));
    await acquaint(ben.client, carla.client);
    const { id } = await ben.client.groups.create("trip", [stranger.client.user, carla.client.user]);
    await next(stranger.client, "group", ({ how }) => how === "joined");
    const promoted = next(stranger.client, "group", ({ group }) =>
      group.members.some(({ user, role }) => role === "admin" && user === stranger.client.user),
    );
    await ben.client.groups.promote(id, stranger.client.user);
    await promoted;
    const theirs = await stranger.client.groups.create("spam", [carla.client.user]);
    await stranger.client.groups.queue(theirs.id, "buy");
    const { group } = await next(carla.client, "group", ({ how }) => how === "invited");
    expect(group).toMatchObject({ name: "spam", standing: "invited" });
    const bought = heard(carla.client, "buy");
    await carla.client.groups.join(group.id);
    await bought;
  });

  it("hears that somebody is writing", async () => {
    const [anna, ben] = (await friends("anna", "ben")) as [Talker, Talker];
    const { id } = await anna.client.groups.create("two", [ben.client.user]);
    const first = heard(ben.client, "hello");
    await anna.client.groups.send(id, "hello");
    await first;
    const typing = next(ben.client, "group-typing");
    anna.client.groups.typing(id);
    expect(await typing).toMatchObject({ group: id, from: anna.client.user });
  });
});
