// Several devices of one account on a real relay, and on two nodes that share one Redis: real clients, real keys.
import { beforeAll, describe, expect, it } from "vitest";
import type { DeviceNumber, Time } from "@lethe/protocol";
import { Client, type ClientOptions } from "@lethe/client";
import { ready, removeDevice } from "../../crypto/index.ts";
import { RelayProcess } from "../client/support/relay-process.ts";
import { Chance } from "../support/chance.ts";
import { Fleet } from "../support/fleet.ts";
import { lastingStore, linkStore, unlinkStore } from "../support/linked-store.ts";

beforeAll(ready);

interface Heard {
  readonly client: Client;
  readonly texts: string[];
  readonly own: string[];
}

async function heard(options: Pick<ClientOptions, "relay" | "user" | "store">): Promise<Heard> {
  const quick = { requests: "accept", receiptJitterMs: 50, ownJitterMs: 50 } as const;
  const client = await Client.create({ ...options, ...quick });
  const [texts, own]: [string[], string[]] = [[], []];
  client.on("message", ({ text = "" }) => void texts.push(text));
  client.on("own-message", ({ user, text = "" }) => void own.push(`${user}: ${text}`));
  return { client, texts, own };
}

const untilLast = async (from: Heard, what: "message" | "own-message", text: string): Promise<void> => {
  const list = what === "message" ? from.texts : from.own;
  if (list.at(-1)?.endsWith(text) === true) return;
  await from.client.once(what, (event) => event.text === text);
};

/** Anna writes while Ben gets a phone, then loses it. */
async function story(atAnna: string, atBen: string): Promise<void> {
  const store = lastingStore();
  const anna = await heard({ relay: atAnna, user: "anna", store: lastingStore() });
  const first = await heard({ relay: atBen, user: "ben", store });
  await anna.client.send("ben", "hello");
  await untilLast(first, "message", "hello");
  await first.client.send("anna", "hello, Anna");
  await first.client.close();

  const phoneStore = await linkStore(atBen, store);
  const phone = await heard({ relay: atAnna, user: "ben", store: phoneStore });
  const sent = ["one", "two", "three"].map((text) => anna.client.send("ben", text));
  await Promise.all(sent);
  await untilLast(phone, "message", "three");
  const ben = await heard({ relay: atBen, user: "ben", store });
  await untilLast(ben, "message", "three");
  for (const { texts } of [phone, ben]) expect(texts).toEqual(["one", "two", "three"]);

  await ben.client.send("anna", "from my desk");
  await untilLast(phone, "own-message", "from my desk");
  const handle = await phone.client.send("anna", "from the road");
  await untilLast(ben, "own-message", "from the road");
  await handle.delivered;
  expect(phone.own).toEqual(["anna: from my desk"]);
  expect(ben.own).toEqual(["anna: from the road"]);
  expect(anna.texts).toEqual(["hello, Anna", "from my desk", "from the road"]);

  await ben.client.close();
  const over = phone.client.once("stopped");
  await unlinkStore(atBen, store, (identity) => {
    const removed = removeDevice(identity, 2 as DeviceNumber, Date.now() as Time);
    if (removed.code !== "ok") throw new Error(removed.code);
    return removed.identity;
  });
  expect(await over).toEqual({ code: "device-removed" });
  await anna.client.send("ben", "without the phone");
  const last = await heard({ relay: atBen, user: "ben", store });
  await untilLast(last, "message", "without the phone");
  expect(phone.texts).toEqual(["one", "two", "three"]);
  await Promise.all([anna, last, phone].map(({ client }) => client.close()));
}

describe("a second device", () => {
  it("gets what is under way when it comes, is told what the others send, and gets nothing more once it is removed", async () => {
    await using relay = await RelayProcess.start();
    await story(relay.url, relay.url);
  });

  it("is known on both of two nodes on one Redis, whichever took the list", async () => {
    await using fleet = await Fleet.start({ nodes: 2, chance: Chance.forThisRun("two devices") });
    await story(fleet.urls[0] as string, fleet.urls[1] as string);
  });
});
