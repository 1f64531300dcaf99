// The story of a group: Anna with a laptop and a phone, Ben, and Carla who is away at first. Played with real relays, once on two
// nodes that share a Redis, everybody at the node that the next is not at, and once on the embedded store.
import { join } from "node:path";
import { expect, it } from "vitest";
import { Client, type ClientEvent, type ClientEvents, type SentToGroup } from "@lethe/client";
import { Chance } from "../support/chance.ts";
import { Fleet } from "../support/fleet.ts";
import { aFolder } from "../support/folder.ts";
import { RelayProcess } from "../support/relay-process.ts";
import { eventually, within } from "../support/waiting.ts";

const PATIENCE_MS = 30_000;

/** Where the story plays. */
interface Stage {
  readonly urls: readonly string[];
  /** A count of the store, which is one for all relays. */
  stored(name: string): Promise<number>;
}

/** Somebody's device, with what it shows, one line each. */
class Screen {
  readonly client: Client;
  readonly lines: string[] = [];
  readonly news: string[] = [];

  constructor(client: Client) {
    this.client = client;
    client.on("message", ({ from, text }) => void this.lines.push(`${from}: ${text}`));
    client.on("own-message", ({ user, text }) => void this.lines.push(`me to ${user}: ${text}`));
    client.on(
      "group-message",
      ({ from, text, own }) => void this.lines.push(`${own ? "me" : from} in trip: ${text}`),
    );
    client.on("group", ({ how, group }) => void this.news.push(`${how} ${group.name}`));
  }

  event<E extends ClientEvent>(
    event: E,
    fits: (what: ClientEvents[E]) => boolean = () => true,
  ): Promise<ClientEvents[E]> {
    return within(PATIENCE_MS, `${this.client.user}: ${event}`, this.client.once(event, fits));
  }

  /** Until the relays hold it for everybody in the group. */
  says(group: string, text: string): Promise<SentToGroup> {
    return within(PATIENCE_MS, `${this.client.user} says "${text}"`, this.client.groups.send(group, text));
  }

  /** Until it shows this line. */
  async shows(line: string): Promise<void> {
    await eventually(
      PATIENCE_MS,
      `${this.client.user} sees "${line}" (${this.lines.join(" | ")})`,
      async () => (this.lines.includes(line) ? true : undefined),
    );
  }
}

async function play(stage: Stage, folder: string): Promise<void> {
  const open = new Set<Client>();
  const at = (i: number): string => stage.urls[i % stage.urls.length] ?? "";
  const shared = { receiptJitterMs: 20, ownJitterMs: 20, requests: "accept" } as const;
  const device = async (user: string, node: number, file = user): Promise<Screen> => {
    const client = await Client.create({
      ...shared,
      user,
      relay: at(node),
      store: join(folder, `${file}.db`),
    });
    open.add(client);
    return new Screen(client);
  };
  const put = async (screen: Screen): Promise<void> => {
    open.delete(screen.client);
    await screen.client.close();
  };
  try {
    const [laptop, ben, carla] = [await device("anna", 0), await device("ben", 1), await device("carla", 0)];
    for (const other of [ben, carla]) {
      await laptop.client.send(other.client.user, "hello");
      await other.shows("anna: hello");
      await other.client.send("anna", "hello anna");
      await laptop.shows(`${other.client.user}: hello anna`);
    }

    // Anna links her phone, at the other node.
    const shown = Promise.withResolvers<string>();
    const compared = Promise.withResolvers<string>();
    const linked = Client.createLinked(
      { ...shared, relay: at(1), store: join(folder, "phone.db") },
      { show: shown.resolve, compare: (digits) => compared.resolve(digits) },
    );
    const linking = await laptop.client.devices.link(await shown.promise);
    expect(linking.digits).toBe(await compared.promise);
    await linking.confirm();
    const phone = new Screen(await linked);
    open.add(phone.client);

    // Carla goes away, and a group is made.
    await put(carla);
    const joined = Promise.all(
      [ben, phone].map((screen) => screen.event("group", ({ how }) => how === "joined")),
    );
    const { id } = await laptop.client.groups.create("trip", ["ben", "carla"]);
    await joined;
    await laptop.says(id, "who brings the tent?");
    await ben.shows("anna in trip: who brings the tent?");
    await phone.shows("me in trip: who brings the tent?");
    await ben.says(id, "I do");
    for (const screen of [laptop, phone]) await screen.shows("ben in trip: I do");
    await phone.says(id, "then I bring the stove");
    await ben.shows("anna in trip: then I bring the stove");
    await laptop.shows("me in trip: then I bring the stove");
    for (let i = 1; i <= 20; i++) await laptop.says(id, `item ${i}`);
    await ben.shows("anna in trip: item 20");

    // Carla comes back, and has everything of each in order.
    const again = await device("carla", 1);
    await again.shows("anna in trip: item 20");
    await again.shows("ben in trip: I do");
    await again.shows("anna in trip: then I bring the stove");
    expect(again.lines.filter((line) => / (?:who|item)/.test(line))).toEqual([
      "anna in trip: who brings the tent?",
      ...Array.from({ length: 20 }, (_, i) => `anna in trip: item ${i + 1}`),
    ]);
    expect(new Set(again.lines).size).toBe(again.lines.length);
    const thanks = await again.says(id, "what a list");
    for (const screen of [laptop, phone]) await screen.shows("carla in trip: what a list");
    await within(PATIENCE_MS, "everybody has it", thanks.delivered);
    expect(thanks.progress()).toMatchObject({ of: 2, delivered: 2 });

    // Ben is removed, and reads nothing further.
    const removed = ben.event("group", ({ how }) => how === "removed");
    await laptop.client.groups.remove(id, ["ben"]);
    await removed;
    await eventually(PATIENCE_MS, "carla knows", async () =>
      again.client.groups.get(id).members.length === 2 ? true : undefined,
    );
    await laptop.says(id, "now without ben");
    await again.shows("anna in trip: now without ben");
    await again.says(id, "he does not know");
    await laptop.shows("carla in trip: he does not know");
    await laptop.client.send("ben", "sorry");
    await ben.shows("anna: sorry");
    expect(ben.lines.filter((line) => /without ben|does not know/.test(line))).toEqual([]);
    await expect(ben.client.groups.send(id, "hello?")).rejects.toMatchObject({ code: "not-a-member" });

    // Anna's phone is lost, with mail that waits for it; it is removed, and its mailbox with it.
    const [{ number } = { number: 0 }] = laptop.client.devices.list().filter(({ isPrimary }) => !isPrimary);
    await put(phone);
    await again.says(id, "for the phone as well");
    await laptop.shows("carla in trip: for the phone as well");
    await eventually(PATIENCE_MS, "mail that waits", async () =>
      (await stage.stored("lethe_mailboxes")) === 1 ? true : undefined,
    );
    await laptop.client.devices.remove(number);
    await eventually(PATIENCE_MS, "its mailbox gone", async () =>
      (await stage.stored("lethe_mailboxes")) === 0 ? true : undefined,
    );
    expect(laptop.client.devices.list()).toHaveLength(1);
    await again.says(id, "is it gone?");
    await laptop.shows("carla in trip: is it gone?");
    expect(await stage.stored("lethe_mailbox_envelopes")).toBe(0);
    const thief = await device("anna", 1, "phone");
    await thief.event("stopped");
    expect(thief.lines.filter((line) => /phone as well|is it gone/.test(line))).toEqual([]);
  } finally {
    await Promise.all([...open].map((client) => client.close()));
  }
}

it("on two nodes that share a Redis, everybody reads what is theirs, in order, and nothing else", async () => {
  await using fleet = await Fleet.start({ nodes: 2, chance: new Chance(11) });
  await using folder = await aFolder();
  const stage: Stage = {
    urls: fleet.urls,
    stored: (name) => fleet.node(0).metric(name),
  };
  await play(stage, folder.path);
}, 120_000);

it("on the embedded store, everybody reads what is theirs, in order, and nothing else", async () => {
  await using folder = await aFolder();
  await using relay = await RelayProcess.start({ data: join(folder.path, "relay") });
  const stage: Stage = {
    urls: [relay.url],
    stored: (name) => relay.metric(name),
  };
  await play(stage, folder.path);
}, 120_000);
