// A process of the crowd: some people's clients with their stores on disk, and an application that writes down what it
// sees. It may be killed at any moment; started again with the same folder it goes on where its histories end.
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Client, ClientError } from "@lethe/client";
import { Chance } from "../chance.ts";
import { type Line, readHistory, writeLine } from "./history.ts";
import { notedSockets } from "./wire-notes.ts";

/** What a worker is started with, as JSON. */
export interface Task {
  readonly folder: string;
  readonly seed: number;
  /** What passes on the sockets is noted too. */
  readonly wire: boolean;
  readonly receiptJitterMs: number;
  readonly people: readonly {
    readonly name: string;
    readonly peers: readonly string[];
    /** Addresses of relays, the one that is tried first in front. */
    readonly relays: readonly string[];
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
export type News = { readonly news: "ready" | "sent" | "handed" };

/** Messages of one person that the relay has not accepted yet: more are not begun. */
const UNSENT = 24;
/** What a relay or its store says of itself, not of what was asked. */
const RELAYS_OWN: readonly string[] = ["storage-failed", "storage-full", "not-ready", "relay-unreachable"];
/** Most random bytes in a text. */
const PADDING = 300;

class Talker {
  readonly client: Client;
  readonly #task: Task;
  readonly #peers: readonly string[];
  readonly #chance: Chance;
  readonly #next: Map<string, number>;
  #begun: number;
  #allowed = 0;
  #unsent = 0;
  #wake: () => void = () => undefined;

  constructor(client: Client, task: Task, peers: readonly string[], history: readonly Line[]) {
    this.client = client;
    this.#task = task;
    this.#peers = peers;
    const begun = history.filter((line) => line.is === "sending");
    this.#begun = begun.length;
    this.#chance = new Chance(task.seed + begun.length);
    this.#next = new Map(begun.map(({ to, seq }) => [to, seq + 1]));
    this.#write({ is: "started", account: client.account });
    this.#listen();
  }

  #write(line: Line): void {
    writeLine(this.#task.folder, this.client.user, line);
  }

  #listen(): void {
    const { client } = this;
    client.on("message", ({ id, account, late, text = "" }) => {
      const said = saidIn(text);
      if (said === undefined) return this.#write({ is: "trouble", what: "a text that nobody sent" });
      this.#write({ is: "handed", ...said, id, account, late });
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
      "gap",
      "expired",
      "refused",
      "displaced",
      "stopped",
      "restored",
      "quarantined",
      "ratchet-reset",
      "resent",
      "store-copied",
    ] as const)
      client.on(event, (about) => this.#write({ is: "trouble", what: `${event} ${JSON.stringify(about)}` }));
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
      await this.#say(this.#chance.pick(this.#peers));
    }
  }

  async #say(to: string): Promise<void> {
    const seq = this.#next.get(to) ?? 0;
    this.#next.set(to, seq + 1);
    this.#begun++;
    const padding = Buffer.from(this.#chance.bytes(this.#chance.below(PADDING))).toString("base64url");
    const text = `${this.client.user} to ${to} #${seq} ${padding}`;
    const hash = hashOf(text);
    this.#write({ is: "sending", to, seq, hash });
    try {
      const message = await this.client.queue(to, `${text} ${hash}`);
      this.#write({ is: "queued", to, seq, id: message.id });
      this.#unsent++;
      message.sent.then(
        () => this.#done(),
        () => this.#done(), // its event is written down as trouble
      );
    } catch (error) {
      const code = error instanceof ClientError ? error.code : String(error);
      this.#write({ is: "not-queued", to, seq, code });
    }
  }

  #done(): void {
    this.#unsent--;
    this.#wake();
  }
}

/** What a text says of itself, if it is whole. */
function saidIn(text: string): { from: string; to: string; seq: number; hash: string } | undefined {
  const said = /^((\S+) to (\S+) #(\d+) \S*) ([0-9a-f]{16})$/.exec(text);
  if (said === null) return undefined;
  const [, whole = "", from = "", to = "", seq = "", hash = ""] = said;
  return hashOf(whole) === hash ? { from, to, seq: Number(seq), hash } : undefined;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function tell(news: News): void {
  process.send?.(news);
}

const task = JSON.parse(process.argv[2] ?? "") as Task;
mkdirSync(task.folder, { recursive: true });
const talkers = await Promise.all(
  task.people.map(async ({ name, peers, relays }) => {
    const client = await Client.create({
      relay: relays,
      user: name,
      store: join(task.folder, `${name}.db`),
      requests: "accept",
      receiptJitterMs: task.receiptJitterMs,
      ...(task.wire ? { openSocket: notedSockets((line) => writeLine(task.folder, name, line)) } : {}),
    });
    return new Talker(client, task, peers, await readHistory(task.folder, name));
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
