// What people say to each other beside plain messages, between real clients over a real relay: answers, reactions, edits,
// deletions, timers and contact cards, with one person, in a group, and on another device of one's own.
import { Client, type ClientOptions, openMemoryStore, type ReceivedMessage } from "@lethe/client";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { bodyOf } from "../../client-lib/content/content.ts";
import { RelayProcess } from "./support/relay-process.ts";

let relay: RelayProcess;
const open = new Set<Client>();
let people = 0;

beforeAll(async () => {
  relay = await RelayProcess.start();
});
afterEach(async () => {
  await Promise.all([...open].map((client) => client.close()));
  open.clear();
});
afterAll(() => relay[Symbol.asyncDispose]());

const shared = { requests: "accept", receiptJitterMs: 20, ownJitterMs: 20 } as const;

function listening(client: Client): Client {
  open.add(client);
  client.on("message", () => undefined);
  client.on("group-message", () => undefined);
  return client;
}

async function person(name: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const user = `${name}-${++people}`;
  const store = openMemoryStore();
  return listening(await Client.create({ relay: relay.url, user, store, ...shared, ...options }));
}

/** Says it, and gives what comes of it. */
async function said(from: Client, to: Client, text: string): Promise<ReceivedMessage> {
  const heard = to.once("message", (message) => message.text === text);
  await from.send(to.user, text);
  return heard;
}

async function friends(): Promise<[Client, Client]> {
  const [anna, ben] = await Promise.all([person("anna"), person("ben")]);
  await said(anna, ben, "hello");
  await said(ben, anna, "hello yourself");
  return [anna, ben];
}

async function linked(anna: Client): Promise<Client> {
  const code = Promise.withResolvers<string>();
  const options = { relay: relay.url, store: openMemoryStore(), ...shared };
  const coming = Client.createLinked(options, { show: code.resolve, compare: () => undefined });
  const linking = await anna.devices.link(await code.promise);
  await linking.confirm();
  return listening(await coming);
}

describe("a conversation", () => {
  it("has answers, which name the message and its author", async () => {
    const [anna, ben] = await friends();
    const question = await said(anna, ben, "Who brings the tent?");
    const answered = anna.once("message", ({ text }) => text === "I do");
    await ben.send(anna.user, "I do", { replyTo: question });
    expect(await answered).toMatchObject({
      kind: "text",
      replyTo: { account: anna.account, id: question.id },
      disappearsAfter: undefined,
    });
  });

  it("has reactions, edits and deletions, of which the relay's holding alone is promised", async () => {
    const [anna, ben] = await friends();
    const message = await said(anna, ben, "teh tent");
    const by = (of: Client, at: Client) => ({
      user: of.user,
      from: of.user,
      account: of.account,
      own: at === of,
    });

    const reaction = anna.once("reaction");
    const { sent } = await ben.react(anna.user, message, "⛺");
    await sent;
    const target = { account: anna.account, id: message.id };
    expect(await reaction).toMatchObject({ ...by(ben, anna), group: undefined, target, text: "⛺" });
    const takenBack = anna.once("reaction");
    await ben.react(anna.user, message, undefined);
    expect(await takenBack).toMatchObject({ target, text: undefined });

    const edit = ben.once("edit");
    await anna.edit(ben.user, message.id, "the tent");
    expect(await edit).toMatchObject({ ...by(anna, ben), id: message.id, text: "the tent" });

    const deleted = ben.once("deleted");
    await anna.delete(ben.user, [message.id]);
    expect(await deleted).toMatchObject({ ...by(anna, ben), ids: [message.id] });
  });

  it("refuses what nobody would take, before anything is sent", async () => {
    const [anna, ben] = await friends();
    const message = await said(anna, ben, "hello again");
    const refused = expect.objectContaining({ code: "content-invalid" }) as Error;
    await expect(anna.react(ben.user, message, "a".repeat(65))).rejects.toEqual(refused);
    await expect(anna.delete(ben.user, [])).rejects.toEqual(refused);
    await expect(anna.edit(ben.user, "no id", "x")).rejects.toEqual(refused);
    await expect(anna.setTimer(ben.user, 367 * 86_400_000)).rejects.toEqual(refused);
    await expect(anna.setTimer(ben.user, 0.5)).rejects.toEqual(refused);
    await expect(anna.sendContact(ben.user, "nobody-at-all")).rejects.toThrow();
  });

  it("has a timer, by which a message goes after it was read", async () => {
    const [anna, ben] = await friends();
    const timer = ben.once("timer");
    await anna.setTimer(ben.user, 200);
    expect(await timer).toMatchObject({ user: anna.user, from: anna.user, own: false, ms: 200 });
    expect([await anna.timer(ben.user), await ben.timer(anna.user)]).toEqual([200, 200]);
    const [gone, goneHere] = [anna.once("disappear"), ben.once("disappear")];
    const message = await said(ben, anna, "not for long");
    expect(message.disappearsAfter).toBe(200);
    const over = { account: ben.account, ids: [message.id] };
    expect(await goneHere).toEqual({ user: anna.user, group: undefined, ...over });
    message.read();
    expect(await gone).toEqual({ user: ben.user, group: undefined, ...over });
    const off = anna.once("timer");
    await ben.setTimer(anna.user, undefined);
    expect(await off).toMatchObject({ ms: undefined });
    expect((await said(anna, ben, "stays")).disappearsAfter).toBeUndefined();
  });

  it("carries a file's description whole", async () => {
    const [anna, ben] = await friends();
    const file = {
      ...{
        id: new Uint8Array(16).fill(1),
        key: new Uint8Array(32).fill(2),
        digest: new Uint8Array(32).fill(3),
      },
      ...{ size: 5_000_000_000, type: "image/png", name: "tent.png", caption: "our tent" },
      ...{ thumbnail: Uint8Array.of(1, 2, 3), width: 640, height: 480 },
    };
    const heard = ben.once("message");
    // As the client sends it once the relay holds the file.
    await anna["say"](ben.user, { is: "media", ...file }, {});
    const { kind, media, text } = await heard;
    expect([kind, text]).toEqual(["media", undefined]);
    const { id: _id, key: _key, digest: _digest, ...shown } = file;
    expect(media).toMatchObject(shown);
    const { thumbnail: _thumbnail, ...kept } = shown;
    expect(ben.media.open(media?.ref ?? new Uint8Array())).toMatchObject({ ...kept, ref: media?.ref });
    expect(() => bodyOf({ is: "media", ...file, key: new Uint8Array(31) })).toThrow();
  });
});

describe("a contact card", () => {
  it("introduces somebody, pins their key, and leaves the first message a request", async () => {
    const [anna, ben] = await friends();
    const carla = await person("carla", { requests: "ask" });
    await said(anna, ben, "do you know carla?");
    const request = carla.once("request");
    await anna.send(carla.user, "hello carla");
    await carla.accept((await request).from);

    const heard = ben.once("message", ({ kind }) => kind === "contact");
    const handle = await anna.sendContact(ben.user, carla.user);
    const { contact } = await heard;
    await handle.delivered; // a card shows in the conversation, and is confirmed
    if (contact === undefined) throw new Error("no card");
    expect(contact).toMatchObject({ account: carla.account, name: carla.user });

    const wrong = { ...contact, fingerprint: new Uint8Array(32) };
    const asked = carla.once("request");
    const added = await ben.addContact(contact);
    expect(added).toMatchObject({ user: carla.user, decision: "accepted", account: carla.account });
    await ben.send(added.user, "anna has told me of you");
    expect((await asked).from).toBe(ben.user);
    await expect(ben.addContact(wrong)).rejects.toMatchObject({ code: "account-key-changed" });
  });

  it("with a wrong key reaches nobody, until the account's own link says another", async () => {
    const [ben, carla] = [await person("ben"), await person("carla")];
    const card = { account: carla.account, fingerprint: new Uint8Array(32).fill(9), name: carla.user };
    await ben.addContact(card);
    await expect(ben.send(carla.user, "hello")).rejects.toMatchObject({ code: "account-key-changed" });
    await ben.addContact(carla.contactLink());
    expect((await said(ben, carla, "hello")).from).toBe(ben.user);
    await expect(ben.addContact(card)).rejects.toMatchObject({ code: "account-key-changed" });
  });

  it("is taken of no account of one's own, nor where it is none", async () => {
    const ben = await person("ben");
    const card = { account: ben.account, fingerprint: new Uint8Array(32), name: undefined };
    await expect(ben.addContact(card)).rejects.toMatchObject({ code: "link-own" });
    await expect(ben.addContact({ ...card, account: "x" })).rejects.toMatchObject({ code: "link-malformed" });
    const short = { ...card, account: "0".repeat(32), fingerprint: new Uint8Array(31) };
    await expect(ben.addContact(short)).rejects.toMatchObject({ code: "link-malformed" });
  });
});

describe("a group", () => {
  it("has all of it, and whoever is added later the timer", async () => {
    const [anna, ben] = await friends();
    const carla = await person("carla");
    await said(anna, carla, "hello");
    await said(carla, anna, "hello yourself");
    const joined = ben.once("group", ({ how }) => how === "joined");
    const { id } = await anna.groups.create("trip", [ben.user]);
    await joined;
    const heard = ben.once("group-message");
    await anna.groups.send(id, "Who brings the tent?");
    const question = await heard;
    const where = { user: undefined, group: id, own: false };

    const answered = anna.once("group-message");
    await ben.groups.send(id, "I do", { replyTo: question });
    const answer = await answered;
    expect(answer.replyTo).toEqual({ account: anna.account, id: question.id });
    const reaction = ben.once("reaction");
    await anna.groups.react(id, answer, "⛺");
    const target = { account: ben.account, id: answer.id };
    expect(await reaction).toMatchObject({ ...where, from: anna.user, target, text: "⛺" });
    const edit = anna.once("edit");
    await ben.groups.edit(id, answer.id, "I do not");
    expect(await edit).toMatchObject({ ...where, account: ben.account, id: answer.id, text: "I do not" });
    const deleted = anna.once("deleted");
    await ben.groups.delete(id, [answer.id]);
    expect(await deleted).toMatchObject({ ...where, account: ben.account, ids: [answer.id] });

    const [timer, goneAtBens] = [ben.once("timer"), ben.once("disappear")];
    await anna.groups.setTimer(id, 100);
    expect(await timer).toMatchObject({ ...where, from: anna.user, ms: 100 });
    const told = carla.once("timer");
    const came = carla.once("group", ({ how }) => how === "joined");
    await anna.groups.add(id, [carla.user]);
    await came;
    expect(await told).toMatchObject({ ...where, ms: 100 });
    const soonGone = ben.once("group-message");
    await carla.groups.send(id, "soon gone");
    const message = await soonGone;
    expect(message.disappearsAfter).toBe(100);
    message.read();
    const ids = [message.id];
    expect(await goneAtBens).toEqual({ user: undefined, group: id, account: carla.account, ids });
    const card = ben.once("group-message", ({ kind }) => kind === "contact");
    await anna.groups.sendContact(id, carla.user);
    expect((await card).contact?.account).toBe(carla.account);
  });
});

describe("another device of one's own", () => {
  it("hears what was said and done here, as this account's", async () => {
    const [anna, ben] = await friends();
    const laptop = await linked(anna);
    const message = await said(ben, anna, "look at this");
    const done = { user: ben.user, group: undefined, from: anna.user, account: anna.account, own: true };
    const reaction = laptop.once("reaction");
    await anna.react(ben.user, message, "👍");
    expect(await reaction).toMatchObject({ ...done, target: { account: ben.account, id: message.id } });
    const own = laptop.once("own-message");
    const { id } = await anna.send(ben.user, "nice", { replyTo: message });
    expect(await own).toMatchObject({ id, user: ben.user, kind: "text", replyTo: { id: message.id } });
    const [edit, deleted, timer] = [laptop.once("edit"), laptop.once("deleted"), laptop.once("timer")];
    await anna.edit(ben.user, id, "very nice");
    await anna.delete(ben.user, [id]);
    await anna.setTimer(ben.user, 60_000);
    expect(await edit).toMatchObject({ ...done, id, text: "very nice" });
    expect(await deleted).toMatchObject({ ...done, ids: [id] });
    expect(await timer).toMatchObject({ ...done, ms: 60_000 });
    expect(await laptop.timer(ben.user)).toBe(60_000);
  });
});
