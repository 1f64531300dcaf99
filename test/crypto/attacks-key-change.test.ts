// Attack 33 through real clients and a real relay: a name that comes to belong to another account, and a relay that changes
// what it says of an account on the way.
import { decodeFrames, encodeFrames, fromHex, MAX_VERSION, type RelayFrame } from "@lethe/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Client, type ClientOptions, openMemoryStore, type OpenSocket } from "@lethe/client";
import { openNodeSocket } from "../../client-lib/edge/socket.ts";
import { publicIdentity, ready } from "../../crypto/index.ts";
import { aFolder, type Folder } from "../support/folder.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { impostorOf } from "./impostor.ts";

let folder: Folder;
let relay: RelayProcess;
const open = new Set<Client>();
let people = 0;

beforeAll(async () => {
  await ready();
  folder = await aFolder();
  relay = await RelayProcess.start({ data: folder.path });
});
afterEach(async () => {
  for (const client of open) await client.close();
  open.clear();
});
afterAll(async () => {
  await relay.stop();
  await folder[Symbol.asyncDispose]();
});

const person = (name: string): string => `${name}-33-${++people}`;

async function client(user: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const made = await Client.create({
    relay: relay.url,
    user,
    store: openMemoryStore(),
    requests: "accept",
    receiptJitterMs: 5,
    ...options,
  });
  open.add(made);
  return made;
}

async function say(from: Client, to: Client, text: string): Promise<void> {
  const heard = to.once("message", (message) => message.text === text);
  await from.send(to.user, text);
  await heard;
}

/** Anna and Ben are contacts; then the relay has Ben's name be Mallory's, who writes under it. */
async function moved(compared: "verified" | "not verified") {
  const name = person("ben");
  const [anna, ben] = [await client(person("anna")), await client(name)];
  await say(anna, ben, "hello");
  await say(ben, anna, "hello yourself");
  if (compared === "verified") await anna.verify(name, (await ben.safetyNumber(anna.user)).code);
  await ben.deleteAccount();
  const mallory = await client(name);
  expect(mallory.account).not.toBe(ben.account);
  const told = anna.once("key-changed");
  const heard = anna.once("message");
  await mallory.send(anna.user, "it is me, Ben");
  expect((await heard).from, "not under his name").toMatch(/^~[0-9a-f]{12}$/);
  expect(await told).toEqual({ user: name, code: "account-key-changed" });
  return { anna, mallory, name };
}

/** What the relay says, changed on its way to a client. */
const lying =
  (lie: (frame: RelayFrame) => RelayFrame): OpenSocket =>
  (url, events) => {
    const on = url.endsWith("/v1/anonymous") ? "anonymous" : "device";
    return openNodeSocket(url, {
      ...events,
      message(bytes) {
        const frames = decodeFrames(bytes.slice(), { from: "relay", on, version: MAX_VERSION });
        events.message(encodeFrames(...frames.map(lie)));
      },
    });
  };

describe("attack 33: a changed account key, through real clients", () => {
  it("attack 33: of a verified contact stops all sending under the name, until the person accepts it", async () => {
    const { anna, mallory, name } = await moved("verified");
    const refusal = { code: "account-key-changed" };
    await expect(anna.send(name, "for Ben alone")).rejects.toMatchObject(refusal);
    await expect(anna.queue(name, "for Ben alone")).rejects.toMatchObject(refusal);
    await anna.acceptKey(name);
    await say(anna, mallory, "who are you?");
    expect(anna.contacts().find(({ user }) => user === name)).toMatchObject({
      account: mallory.account,
      verified: false,
    });
  });

  it("attack 33: of a contact that was not verified is told, and nothing goes to the new account by itself", async () => {
    const { anna, mallory, name } = await moved("not verified");
    const heard: (string | undefined)[] = [];
    mallory.on("message", ({ text }) => void heard.push(text));
    // Taken, for the account that the name stands for here, which the relay does not know any more.
    await anna.queue(name, "for Ben alone");
    await say(anna, await client(person("cleo")), "time goes by");
    await anna.acceptKey(name);
    await say(anna, mallory, "who are you?");
    expect(heard).toEqual(["who are you?"]);
  });

  it("attack 33: under the same account id, by a relay that says the list is another, refuses the message and is told", async () => {
    // He has the message all the same: his receipt, which would say so, is late.
    const ben = await client(person("ben"), { receiptJitterMs: 100_000 });
    const fake = publicIdentity(impostorOf({ account: fromHex(ben.account, 16) }));
    const lie = { lies: false, asked: 0 };
    const anna = await client(person("anna"), {
      openSocket: lying((frame) => {
        if (!lie.lies) return frame;
        if (frame.frame === "accepted")
          return {
            frame: "stale-list",
            account: fake.account,
            version: 2,
            missing: [],
            extra: [],
            ids: frame.ids,
          };
        if (frame.frame !== "has-devices") return frame;
        lie.asked += 1;
        return { ...frame, deviceList: fake.deviceList, certificates: [fake.certificate] };
      }),
    });
    await say(anna, ben, "hello");
    await say(ben, anna, "hello yourself");
    const number = await anna.safetyNumber(ben.user);
    lie.lies = true;
    const told = anna.once("key-changed");
    const refused = anna.once("refused");
    await expect(anna.send(ben.user, "for Ben alone")).rejects.toMatchObject({ code: "account-key-changed" });
    expect(await told).toEqual({ user: ben.user, code: "account-key-changed" });
    expect(await refused).toMatchObject({ user: ben.user, code: "account-key-changed" });
    expect(lie.asked).toBeGreaterThan(0);
    expect(await anna.safetyNumber(ben.user), "the key is the one that was pinned").toEqual(number);
    lie.lies = false;
    await say(anna, ben, "and on");
  });
});
