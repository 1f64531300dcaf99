// A process of the crowd: some people's clients with their stores on disk, and an application that writes down what it
// sees. It may be killed at any moment; started again with the same folder it goes on where its histories end.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Client, ClientError, type Group, type ReceivedMedia } from "@lethe/client";
import { Chance } from "../chance.ts";
import { type Line, readHistory, writeLine } from "./history.ts";
import { type GroupPlan, InGroups, namedIn } from "./in-groups.ts";
import { WithFiles } from "./with-files.ts";
import { hashOf, saidIn, textOf } from "./texts.ts";
import { notedSockets } from "./wire-notes.ts";

/** What a worker is started with, as JSON. */
export interface Task {
  readonly folder: string;
  readonly seed: number;
  /** What passes on the sockets is noted too. */
  readonly wire: boolean;
  readonly receiptJitterMs: number;
  /** Beside one in so many messages a file is sent; 0: none are. */
  readonly fileOneIn: number;
  readonly people: readonly {
    readonly name: string;
    readonly peers: readonly string[];
    /** Addresses of relays, the one that is tried first in front. */
    readonly relays: readonly string[];
    /** Groups that this person makes and looks after. */
    readonly groups: readonly GroupPlan[];
  }[];
}

/** What the crowd tells its workers. */
export type Order =
  /** Each person may have begun to send this many messages in all. */
  | { readonly allow: number }
  /** The relay listens again. */
  | { readonly relay: "up" }
  | { readonly finish: true };

/** What a worker tells the crowd. */
export type News = { readonly news: "ready" | "sent" | "handed" | "moved" };

/** Messages of one person that the relay has not accepted yet: more are not begun. */
const UNSENT = 24;
/** Of the messages of somebody who is in groups, one in so many goes to one of them. */
const GROUP_ONE_IN = 5;
/** Of the files of such a person. */
const FILE_TO_GROUP_ONE_IN = 3;
/** What a relay or its store says of itself, not of what was asked. */
const RELAYS_OWN: readonly string[] = ["storage-failed", "storage-full", "not-ready", "relay-unreachable"];
/** Most random bytes in a text. */
const PADDING = 300;

class Talker {
  readonly client: Client;
  readonly #task: Task;
  readonly #peers: readonly string[];
  readonly #groups: InGroups;
  readonly #files: WithFiles;
  readonly #chance: Chance;
  readonly #next: Map<string, number>;
  #begun: number;
  #allowed = 0;
  #unsent = 0;
  #wake: () => void = () => undefined;

  constructor(
    client: Client,
    task: Task,
    { peers, groups }: Task["people"][number],
    history: readonly Line[],
  ) {
    this.client = client;
    this.#task = task;
    this.#peers = peers;
    const begun = history.filter((line) => line.is === "sending");
    this.#begun = begun.length + history.filter((line) => line.is === "group-sending").length;
    this.#chance = new Chance(task.seed + this.#begun);
    const write = (line: Line): void => this.#write(line);
    const heard = (news: "sent" | "handed"): void => tell({ news });
    const chance = this.#chance;
    const file = (id: string, media: ReceivedMedia): void => this.#files.shown(id, media);
    this.#groups = new InGroups({ client, chance, plans: groups, write, tell: heard, file }, history);
    this.#next = new Map(begun.map(({ to, seq }) => [to, seq + 1]));
    this.#write({ is: "started", account: client.account });
    const folder = join(task.folder, `${client.user}.files`);
    const moved = (): void => tell({ news: "moved" });
    this.#files = new WithFiles({ client, chance, folder, write, moved }, history);
    this.#listen();
  }

  #write(line: Line): void {
    writeLine(this.#task.folder, this.client.user, line);
  }

  #listen(): void {
    const { client } = this;
    client.on("message", ({ id, account, late, media, text = "" }) => {
      if (media !== undefined) return this.#files.shown(id, media);
      const said = saidIn(text);
      if (said?.how !== "to") return this.#write({ is: "trouble", what: "a text that nobody sent" });
      const { how: _, ...rest } = said;
      this.#write({ is: "handed", ...rest, id, account, late });
      tell({ news: "handed" });
    });
    client.on("sent", ({ id }) => {
      this.#write({ is: "sent", id });
      tell({ news: "sent" });
    });
    client.on("receipt", ({ id, state }) => {
      if (state === "delivered") this.#write({ is: "delivered", id });
    });
    client.on("waiting", ({ id, code }) => this.#write({ is: "waiting", id, code }));
    client.on("connection", ({ state }) => this.#write({ is: "connection", state }));
    client.on("drained", () => this.#write({ is: "drained" }));
    this.#listenForTrouble();
  }

  #listenForTrouble(): void {
    const { client } = this;
    for (const event of [
      "expired",
      "refused",
      "displaced",
      "stopped",
      "restored",
      "ratchet-reset",
      "resent",
      "store-copied",
    ] as const)
      client.on(event, (about) => this.#write({ is: "trouble", what: `${event} ${JSON.stringify(about)}` }));
    client.on("gap", ({ from, missing, group }) => {
      if (group === undefined) this.#write({ is: "trouble", what: `gap of ${missing} of ${from}` });
      else this.#write({ is: "group-gap", tag: namedIn(client.groups.get(group)).tag, from, missing });
    });
    client.on("quarantined", ({ code }) => this.#write({ is: "quarantined", code }));
    for (const event of ["key-changed", "unknown-content"] as const)
      client.on(event, () => this.#write({ is: "trouble", what: event }));
    client.on("error", ({ error }) => {
      // Work in the background that met a relay in trouble is tried again by the library.
      if (error instanceof ClientError && RELAYS_OWN.includes(error.code))
        this.#write({ is: "put-off", code: error.code });
      else this.#write({ is: "trouble", what: `error ${error.message}` });
    });
  }

  allow(messages: number): void {
    this.#allowed = messages;
    this.#wake();
  }

  async talk(): Promise<never> {
    for (;;) {
      while (this.#begun >= this.#allowed || this.#unsent >= UNSENT)
        await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#groups.tend();
      const groups = this.#groups.joined();
      if (this.#task.fileOneIn > 0 && this.#chance.oneIn(this.#task.fileOneIn))
        this.#files.send(this.#fileTarget(groups));
      if (groups.length > 0 && this.#chance.oneIn(GROUP_ONE_IN)) await this.#sayIn(this.#chance.pick(groups));
      else await this.#say(this.#chance.pick(this.#peers));
    }
  }

  #fileTarget(groups: readonly Group[]): string | Group {
    const chance = this.#chance;
    return groups.length > 0 && chance.oneIn(FILE_TO_GROUP_ONE_IN)
      ? chance.pick(groups)
      : chance.pick(this.#peers);
  }

  #padding(): string {
    return Buffer.from(this.#chance.bytes(this.#chance.below(PADDING))).toString("base64url");
  }

  async #sayIn(group: Group): Promise<void> {
    this.#begun++;
    const message = await this.#groups.say(group, this.#padding());
    if (message !== undefined) this.#follow(message.sent);
  }

  #follow(sent: Promise<void>): void {
    this.#unsent++;
    const done = (): void => {
      this.#unsent--;
      this.#wake();
    };
    sent.then(done, done); // that it failed has an event, which is written down
  }

  async #say(to: string): Promise<void> {
    const seq = this.#next.get(to) ?? 0;
    this.#next.set(to, seq + 1);
    this.#begun++;
    const text = textOf({ from: this.client.user, how: "to", to, seq }, this.#padding());
    const hash = hashOf(text);
    this.#write({ is: "sending", to, seq, hash });
    try {
      const message = await this.client.queue(to, `${text} ${hash}`);
      this.#write({ is: "queued", to, seq, id: message.id });
      this.#follow(message.sent);
    } catch (error) {
      const code = error instanceof ClientError ? error.code : String(error);
      this.#write({ is: "not-queued", to, seq, code });
    }
  }
}

function tell(news: News): void {
  process.send?.(news);
}

const task = JSON.parse(process.argv[2] ?? "") as Task;
mkdirSync(task.folder, { recursive: true });
const talkers = await Promise.all(
  task.people.map(async (person) => {
    const { name, relays } = person;
    const client = await Client.create({
      relay: relays,
      user: name,
      store: join(task.folder, `${name}.db`),
      requests: "accept",
      receiptJitterMs: task.receiptJitterMs,
      ...(task.wire ? { openSocket: notedSockets((line) => writeLine(task.folder, name, line)) } : {}),
    });
    return new Talker(client, task, person, await readHistory(task.folder, name));
  }),
);

process.on("message", (order: Order) => {
  if ("allow" in order) for (const talker of talkers) talker.allow(order.allow);
  if ("relay" in order) for (const { client } of talkers) client.reconnect();
  if ("finish" in order)
    void Promise.all(talkers.map(({ client }) => client.close())).then(() => process.exit(0));
});
process.on("disconnect", () => process.exit(1)); // whoever started it is gone
for (const talker of talkers) void talker.talk();
tell({ news: "ready" });
