import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Client, type ClientOptions, openMemoryStore, type ReceivedMessage } from "@lethe/client";
import { RelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
let folder: string;
const open = new Set<Client>();
let people = 0;

beforeAll(async () => {
  relay = await RelayProcess.start();
  folder = await mkdtemp(join(tmpdir(), "lethe-e2e-"));
});
afterEach(async () => {
  for (const client of open) await client.close();
  open.clear();
});
afterAll(async () => {
  await relay[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** A name that no other test of this run has. */
const person = (name: string): string => `${name}-${++people}`;

async function client(user: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const made = await Client.create({
    relay: relay.url,
    user,
    store: openMemoryStore(),
    requests: "accept",
    receiptJitterMs: 20,
    ...options,
  });
  open.add(made);
  return made;
}

/** The next so many messages, in the order of their coming. */
function messages(of: Client, count: number): Promise<ReceivedMessage[]> {
  const { promise, resolve } = Promise.withResolvers<ReceivedMessage[]>();
  const got: ReceivedMessage[] = [];
  const off = of.on("message", (message) => {
    got.push(message);
    if (got.length < count) return;
    off();
    resolve(got);
  });
  return promise;
}

const texts = (list: readonly ReceivedMessage[]): (string | undefined)[] => list.map(({ text }) => text);

describe("two clients and a relay", () => {
  it("talk, both online, with sent, delivered and read", async () => {
    const [anna, ben] = [await client(person("anna")), await client(person("ben"))];
    const arrived = messages(ben, 1);
    const hello = await anna.send(ben.user, "hello");
    const [message] = await arrived;
    expect(message).toMatchObject({ from: anna.user, text: "hello", id: hello.id, late: false });
    await hello.delivered;
    message?.read();
    await hello.read;
    const answer = messages(anna, 1);
    await ben.send(anna.user, "hello yourself");
    expect(texts(await answer)).toEqual(["hello yourself"]);
  });

  it("keep the order of a long burst both ways", async () => {
    const [anna, ben] = [await client(person("anna")), await client(person("ben"))];
    const first = messages(ben, 1);
    await anna.send(ben.user, "begin");
    await first;
    const lines = (who: string) => Array.from({ length: 200 }, (_, i) => `${who} ${i}`);
    const [atBen, atAnna] = [messages(ben, 200), messages(anna, 200)];
    await Promise.all([
      ...lines("anna").map((line) => anna.send(ben.user, line)),
      ...lines("ben").map((line) => ben.send(anna.user, line)),
    ]);
    expect(texts(await atBen)).toEqual(lines("anna"));
    expect(texts(await atAnna)).toEqual(lines("ben"));
  });

  it("deliver what was sent while the other was away, in order, then say that the mailbox is drained", async () => {
    const user = person("ben");
    const file = join(folder, `${user}.db`);
    const anna = await client(person("anna"));
    const ben = await client(user, { store: file });
    await ben.once("prekeys");
    await ben.close();
    open.delete(ben);
    for (const line of ["one", "two", "three"]) await anna.send(user, line);
    const again = await client(user, { store: file });
    const drained = again.once("drained");
    expect(texts(await messages(again, 3))).toEqual(["one", "two", "three"]);
    await drained;
  });

  it("hand over again, after a restart, what the application had not settled", async () => {
    const user = person("ben");
    const file = join(folder, `${user}.db`);
    const [anna, ben] = [await client(person("anna")), await client(user, { store: file })];
    const failing = Promise.withResolvers<string>();
    ben.on("message", (message) => {
      failing.resolve(message.id);
      throw new Error("the application's disk is full");
    });
    const failed = ben.once("error");
    await anna.send(user, "keep me");
    const id = await failing.promise;
    expect((await failed).error.message).toBe("the application's disk is full");
    await ben.close();
    open.delete(ben);
    const again = await client(user, { store: file });
    const [message] = await messages(again, 1);
    expect(message).toMatchObject({ id, text: "keep me" });
  });

  it("keep what was written offline until the relay is back, and it arrives once", async () => {
    await using own = await RelayProcess.start();
    const [anna, ben] = [
      await client(person("anna"), { relay: own.url }),
      await client(person("ben"), { relay: own.url }),
    ];
    const first = messages(ben, 1);
    await anna.send(ben.user, "before");
    await first;
    await own.stop("SIGKILL");
    const offline = await anna.queue(ben.user, "meanwhile");
    const after = messages(ben, 1);
    await own.start();
    await offline.sent;
    expect(texts(await after)).toEqual(["meanwhile"]);
    await anna.close();
    await ben.close();
    open.clear();
  });

  it("keep a stranger's mail until the person accepts", async () => {
    const anna = await client(person("anna"));
    const ben = await client(person("ben"), { requests: "ask" });
    const asked = ben.once("request");
    const hello = await anna.send(ben.user, "may I?");
    expect(await asked).toMatchObject({ from: anna.user });
    const arrived = messages(ben, 1);
    await ben.accept(anna.user);
    expect(texts(await arrived)).toEqual(["may I?"]);
    await hello.delivered;
  });

  it("drop the mail of somebody blocked, who is told nothing", async () => {
    const [anna, ben, cleo] = [
      await client(person("anna")),
      await client(person("ben"), { requests: "ask" }),
      await client(person("cleo")),
    ];
    const asked = ben.once("request");
    await anna.send(ben.user, "buy this");
    await asked;
    await ben.block(anna.user);
    await anna.send(ben.user, "and this");
    const second = ben.once("request");
    await cleo.send(ben.user, "hi");
    expect(await second).toMatchObject({ from: cleo.user });
    const arrived = messages(ben, 1);
    await ben.accept(cleo.user);
    expect(texts(await arrived)).toEqual(["hi"]);
  });

  it("see each other typing, once they are contacts", async () => {
    const [anna, ben] = [await client(person("anna")), await client(person("ben"))];
    const [atBen, atAnna] = [messages(ben, 1), messages(anna, 1)];
    await anna.send(ben.user, "hi");
    await atBen;
    const answer = await ben.send(anna.user, "hi you");
    await atAnna;
    await answer.delivered;
    const typing = ben.once("typing");
    await anna.typing(ben.user);
    expect(await typing).toEqual({ from: anna.user });
  });

  it("carry bytes of an application", async () => {
    const [anna, ben] = [await client(person("anna")), await client(person("ben"))];
    const arrived = messages(ben, 1);
    await anna.send(ben.user, Uint8Array.of(1, 2, 3), { type: "move" });
    const [message] = await arrived;
    expect(message).toMatchObject({ bytes: Uint8Array.of(1, 2, 3), type: "move", text: undefined });
  });

  it("write to each other first at the same moment, and nothing is lost", async () => {
    const [anna, ben] = [await client(person("anna")), await client(person("ben"))];
    const [atBen, atAnna] = [messages(ben, 3), messages(anna, 3)];
    await Promise.all(
      ["1", "2", "3"].flatMap((n) => [anna.send(ben.user, `a${n}`), ben.send(anna.user, `b${n}`)]),
    );
    expect(texts(await atBen)).toEqual(["a1", "a2", "a3"]);
    expect(texts(await atAnna)).toEqual(["b1", "b2", "b3"]);
  });
});

describe("a client says clearly", () => {
  it("that nobody has a name, that a name is taken, that a name is none", async () => {
    const anna = await client(person("anna"));
    await expect(anna.send("nobody-here", "hi")).rejects.toMatchObject({ code: "unknown-user" });
    await expect(client(anna.user)).rejects.toMatchObject({ code: "name-taken" });
    await expect(client("No!")).rejects.toMatchObject({ code: "name-invalid" });
  });

  it("that the relay does not answer", async () => {
    const unreachable = client(person("anna"), { relay: "http://127.0.0.1:9" });
    await expect(unreachable).rejects.toMatchObject({ code: "relay-unreachable" });
  });

  it("that the store belongs to another name", async () => {
    const user = person("anna");
    const file = join(folder, `${user}.db`);
    const anna = await client(user, { store: file });
    await anna.close();
    open.delete(anna);
    await expect(client(person("ben"), { store: file })).rejects.toMatchObject({ code: "store-of-another" });
  });
});
