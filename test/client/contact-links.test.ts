// Contact links between two clients and a real relay: who is added by one is written to without a request from the first
// message on. What a relay that lies can do is in test/crypto/attacks-links.test.ts.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Client, type ClientOptions, openMemoryStore, type OpenSocket } from "@lethe/client";
import { decodeFrames, MAX_VERSION, type Time } from "@lethe/protocol";
import { openNodeSocket } from "../../client-lib/edge/socket.ts";
import { contactLink, createIdentity, readContactLink, systemRandom } from "../../crypto/index.ts";
import { RELAY_NAME, RelayProcess } from "../support/relay-process.ts";
import { eventually } from "../support/waiting.ts";
import { Wire } from "../support/wire.ts";
import { aFolder, type Folder } from "../support/folder.ts";

let relay: RelayProcess;
let data: Folder;
let folder: string;
const open = new Set<Client>();
let people = 0;

beforeAll(async () => {
  data = await aFolder();
  relay = await RelayProcess.start({ data: data.path });
  folder = await mkdtemp(join(tmpdir(), "lethe-links-"));
});
afterEach(async () => {
  for (const client of open) await client.close();
  open.clear();
});
afterAll(async () => {
  await relay.stop();
  await data[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function client(name: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const made = await Client.create({
    relay: relay.url,
    user: `${name}-${++people}`,
    store: openMemoryStore(),
    receiptJitterMs: 20,
    ...options,
  });
  open.add(made);
  return made;
}

const first = async (of: Client): Promise<string | undefined> => (await of.once("message")).text;

/** The relay takes the link's access key no more. */
async function gone(link: string): Promise<void> {
  const read = readContactLink(link, RELAY_NAME);
  if (read.code !== "ok") throw new Error(read.code);
  const { account, accessKey } = read.link;
  await using wire = await Wire.anonymous(relay);
  await eventually(20_000, "a new access key", async () => {
    wire.send({ frame: "ask-devices", request: 1, account, accessKey });
    return (await wire.next()).frame === "ask-refused" ? true : undefined;
  });
}

/** The names of the frames that a client sends on its device connection. */
function tapped(heard: string[]): OpenSocket {
  return (url, events) => {
    const socket = openNodeSocket(url, events);
    if (url.endsWith("/v1/anonymous")) return socket;
    return {
      send(bytes) {
        for (const { frame } of decodeFrames(bytes.slice(), {
          from: "client",
          on: "device",
          version: MAX_VERSION,
        }))
          heard.push(frame);
        socket.send(bytes);
      },
      close: () => socket.close(),
    };
  };
}

describe("a contact link", () => {
  it("makes its person a contact, whose first message goes over the anonymous connection, and is a request there", async () => {
    const identified: string[] = [];
    const [anna, ben] = [await client("anna", { openSocket: tapped(identified) }), await client("ben")];
    const contact = await anna.addContact(ben.contactLink());
    expect(contact).toEqual({ user: ben.user, account: ben.account, decision: "accepted", verified: false });
    const request = ben.once("request");
    await anna.send(ben.user, "hello");
    expect(await request).toMatchObject({ from: anna.user });
    const arrived = first(ben);
    await ben.accept(anna.user);
    expect(await arrived).toBe("hello");
    const answer = first(anna);
    await ben.send(anna.user, "hello yourself");
    expect(await answer, "accepted on this side already").toBe("hello yourself");
    expect(new Set(identified)).toEqual(new Set(["hello", "proof", "ask-name", "delivered"]));
  });

  it("is taken as such at once where strangers are taken", async () => {
    const [anna, ben] = [await client("anna"), await client("ben", { requests: "accept" })];
    const arrived = first(ben);
    const { user } = await anna.addContact(ben.contactLink());
    await anna.send(user, "hello");
    expect(await arrived).toBe("hello");
  });

  it("holds over a restart, and may be added again", async () => {
    const ben = await client("ben", { requests: "accept" });
    const store = join(folder, "again.db");
    const anna = await client("anna", { store });
    const link = ben.contactLink();
    await anna.addContact(link);
    await anna.close();
    const again = await Client.create({ relay: relay.url, user: anna.user, store });
    open.add(again);
    expect(again.contacts()).toMatchObject([{ user: ben.user, decision: "accepted" }]);
    expect(await again.addContact(link)).toMatchObject({ user: ben.user, decision: "accepted" });
    const arrived = first(ben);
    await again.send(ben.user, "hello");
    expect(await arrived).toBe("hello");
  });

  it("is refused with a code of its own: malformed, another version, another relay, one's own", async () => {
    const [anna, ben] = [await client("anna"), await client("ben")];
    await expect(anna.addContact("https://relay.example/ben")).rejects.toMatchObject({
      code: "link-malformed",
    });
    await expect(anna.addContact(ben.contactLink().slice(0, -1))).rejects.toMatchObject({
      code: "link-malformed",
    });
    await expect(anna.addContact(anna.contactLink())).rejects.toMatchObject({ code: "link-own" });
    await using elsewhere = await aFolder();
    const other = await RelayProcess.start({ data: elsewhere.path, flags: ["--name", "elsewhere"] });
    try {
      const cleo = await client("cleo", { relay: other.url });
      await expect(anna.addContact(cleo.contactLink())).rejects.toMatchObject({ code: "link-other-relay" });
      await cleo.close();
      open.delete(cleo);
    } finally {
      await other.stop();
    }
    expect(anna.contacts()).toEqual([]);
  });

  it("from before a block opens nothing: the first message is refused as link-refused, and a new link mends it", async () => {
    const [anna, ben, mallory] = [
      await client("anna"),
      await client("ben", { requests: "accept" }),
      await client("mallory"),
    ];
    const old = ben.contactLink();
    const met = ben.once("message");
    await mallory.send(ben.user, "hello");
    await met;
    await ben.block(mallory.user);
    await gone(old);
    const { user } = await anna.addContact(old);
    const requested = ben.once("request").then(() => "a request");
    await expect(anna.send(user, "hello")).rejects.toMatchObject({ code: "link-refused" });
    await anna.addContact(ben.contactLink());
    const arrived = first(ben);
    await anna.send(user, "hello again");
    expect(await Promise.race([arrived, requested])).toBe("hello again");
  });

  it("opens nothing any more for a stranger who wrote by it and was blocked", async () => {
    const [anna, ben] = [await client("anna"), await client("ben")];
    const link = ben.contactLink();
    const request = ben.once("request");
    const { user } = await anna.addContact(link);
    await anna.send(user, "let me in");
    await request;
    await ben.block(anna.user);
    await gone(link);
    const waits = anna.once("waiting");
    await anna.queue(user, "now?");
    expect(await waits).toMatchObject({ code: "not-permitted" });
  });

  it("does not take the place of a working access key that was heard from its account", async () => {
    const [anna, ben, mallory] = [
      await client("anna", { requests: "accept" }),
      await client("ben", { requests: "accept" }),
      await client("mallory"),
    ];
    const old = ben.contactLink();
    const met = first(ben);
    await mallory.send(ben.user, "hello");
    await met;
    await ben.block(mallory.user);
    await gone(old);
    const heard = first(anna);
    await ben.send(anna.user, "from me");
    await heard;
    await anna.addContact(old);
    const arrived = first(ben);
    await anna.send(ben.user, "still works");
    expect(await arrived).toBe("still works");
  });

  it("whose name is somebody else's by the directory shows its account and not the name", async () => {
    const [anna, ben] = [await client("anna"), await client("ben")];
    const mallory = createIdentity({ random: systemRandom, now: Date.now() as Time });
    const link = contactLink(mallory, RELAY_NAME, ben.user);
    const { user } = await anna.addContact(link);
    expect(user).toMatch(/^~[0-9a-f]{12}$/);
    expect(await anna.addContact(ben.contactLink())).toMatchObject({ user: ben.user });
  });
});
