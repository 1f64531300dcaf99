// People in a few processes of their own: starts these, kills them, lets them say something. Always true: everything that
// was started is killed by its process id when the people are disposed of.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Chance } from "../chance.ts";
import { within } from "../waiting.ts";
import { type Histories, readHistories, type Stamped } from "./history.ts";
import type { GroupPlan } from "./in-groups.ts";
import type { News, Order, Task } from "./worker.ts";

const WORKER = fileURLToPath(new URL("./worker.ts", import.meta.url));
const PATIENCE_MS = 60_000;
/** Accounts in a group at its beginning, as far as its admin has so many contacts. */
const LEAST_MEMBERS = 4;
const MOST_MEMBERS = 12;

export interface PeopleOptions {
  /** For their stores and histories. */
  readonly folder: string;
  readonly people: number;
  readonly processes: number;
  /** Peers that each person writes to. */
  readonly peers: number;
  readonly chance: Chance;
  /** Groups that they make. */
  readonly groups?: number;
  readonly wire?: boolean;
  /** Beside one in so many messages a file is sent; 0: none are. */
  readonly fileOneIn?: number;
  readonly receiptJitterMs?: number;
  /** How long a process may take to be ready, ms: new accounts need the relay. */
  readonly patienceMs?: number;
  /** Where a person finds relays. */
  readonly relays: (name: string, at: number) => readonly string[];
}

export class People implements AsyncDisposable {
  readonly names: readonly string[];
  readonly #options: PeopleOptions;
  readonly #groups: readonly (GroupPlan & { readonly admin: string })[];
  readonly #workers: (Worker | undefined)[];
  #allowed = 0;
  #changed: () => void = () => undefined;
  #lastNews = performance.now();
  sent = 0;
  handed = 0;

  constructor(options: PeopleOptions) {
    this.#options = options;
    this.names = Array.from({ length: options.people }, (_, i) => `person-${i}`);
    this.#workers = Array.from({ length: options.processes }, () => undefined);
    this.#groups = Array.from({ length: options.groups ?? 0 }, (_, i) => this.#groupOf(`group-${i}`));
  }

  /** Somebody, and some of those whose mail or receipts come there: these can be put into a group. */
  #groupOf(tag: string): GroupPlan & { readonly admin: string } {
    const { chance, peers } = this.#options;
    const admin = chance.below(this.names.length);
    const name = this.names[admin] as string;
    const contacts = this.names.filter(
      (other, at) =>
        other !== name &&
        (this.#peersOf(at, peers).includes(name) || this.#peersOf(admin, peers).includes(other)),
    );
    const others = chance.between(LEAST_MEMBERS, MOST_MEMBERS) - 1;
    const members: string[] = [];
    while (members.length < others && contacts.length > 0)
      members.push(...contacts.splice(chance.below(contacts.length), 1));
    return { tag, members, admin: name };
  }

  get processes(): number {
    return this.#workers.length;
  }

  async start(): Promise<void> {
    await Promise.all(this.#workers.map((_, i) => this.startWorker(i)));
  }

  async startWorker(i: number): Promise<void> {
    const { folder, processes, peers, chance, relays, patienceMs = PATIENCE_MS } = this.#options;
    const people = this.names.flatMap((name, at) =>
      at % processes === i
        ? [
            {
              name,
              peers: this.#peersOf(at, peers),
              relays: relays(name, at),
              groups: this.#groups.filter(({ admin }) => admin === name),
            },
          ]
        : [],
    );
    const { wire = false, receiptJitterMs = 10_000, fileOneIn = 0 } = this.#options;
    const worker = new Worker(
      { folder, seed: chance.u32(), wire, receiptJitterMs, fileOneIn, people },
      (news) => this.#heard(news),
    );
    this.#workers[i] = worker;
    await within(patienceMs, `worker ${i}`, worker.ready);
    worker.order({ allow: this.#allowed });
  }

  #peersOf(at: number, peers: number): string[] {
    const { length } = this.names;
    return Array.from({ length: peers }, (_, i) => this.names[(at + 1 + i * 3) % length] as string);
  }

  async killWorker(i: number): Promise<void> {
    await this.#workers[i]?.kill();
    this.#workers[i] = undefined;
  }

  signalWorker(i: number, signal: NodeJS.Signals): void {
    this.#workers[i]?.signal(signal);
  }

  /** Lets each person have begun this many messages. */
  allow(messages: number): void {
    this.#allowed = messages;
    this.order({ allow: messages });
  }

  order(order: Order): void {
    for (const worker of this.#workers) worker?.order(order);
  }

  #heard({ news }: News): void {
    if (news === "sent") this.sent++;
    if (news === "handed") this.handed++;
    this.#lastNews = performance.now();
    this.#changed();
  }

  /** Until so many messages in all have been accepted, as far as the workers have told, but no longer than this. */
  async untilSent(messages: number, ms: number): Promise<void> {
    let isOver = false;
    const over = setTimeout(() => {
      isOver = true;
      this.#changed();
    }, ms);
    while (this.sent < messages && !isOver) await new Promise<void>((resolve) => (this.#changed = resolve));
    clearTimeout(over);
  }

  /** How long nobody has told of anything, ms. */
  get quiet(): number {
    return performance.now() - this.#lastNews;
  }

  histories(): Promise<Histories<Stamped>> {
    return readHistories(this.#options.folder, this.names);
  }

  /** A person's store, as the file that it is. */
  storeOf(name: string): string {
    return join(this.#options.folder, `${name}.db`);
  }

  /** Where a person saves files, until they are looked at. */
  filesOf(name: string): string {
    return join(this.#options.folder, `${name}.files`);
  }

  /** Everybody closes as an application does that is done. */
  async finish(): Promise<void> {
    this.order({ finish: true });
    const ends = await Promise.all(
      this.#workers.flatMap((worker) => (worker === undefined ? [] : [worker.exited])),
    );
    if (ends.some((code) => code !== 0)) throw new Error(`workers ended with ${ends.join(", ")}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((_, i) => this.killWorker(i)));
  }
}

class Worker {
  readonly ready: Promise<void>;
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(task: Task, heard: (news: News) => void) {
    this.#child = spawn(process.execPath, [WORKER, JSON.stringify(task)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.exited = new Promise((resolve) => this.#child.once("exit", resolve));
    this.ready = new Promise((resolve, reject) => {
      this.#child.on("message", (news: News) => {
        if (news.news === "ready") resolve();
        else heard(news);
      });
      void this.exited.then((code) => reject(new Error(`a worker ended with ${code} before it was ready`)));
    });
    this.ready.catch(() => undefined);
  }

  order(order: Order): void {
    if (this.#child.connected) this.#child.send(order, () => undefined);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.exited;
  }
}
