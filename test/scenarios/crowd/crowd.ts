// Twenty people in a few processes, and the relay that they talk through: starts them, kills them, starts them again.
// Always true: everything that was started is killed by its process id when the crowd is disposed of.
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Chance } from "../../support/chance.ts";
import { RelayProcess } from "../../support/relay-process.ts";
import { within } from "../../support/waiting.ts";
import { type Histories, readHistories } from "./history.ts";
import type { News, Order, Task } from "./worker.ts";

const WORKER = fileURLToPath(new URL("./worker.ts", import.meta.url));
const PATIENCE_MS = 60_000;

export interface CrowdOptions {
  readonly folder: string;
  readonly people: number;
  readonly processes: number;
  /** Peers that each person writes to. */
  readonly peers: number;
  readonly chance: Chance;
}

export class Crowd {
  readonly names: readonly string[];
  readonly #options: CrowdOptions;
  readonly #port: number;
  readonly #workers: (Worker | undefined)[];
  #relay: RelayProcess | undefined;
  #allowed = 0;
  #changed: () => void = () => undefined;
  #lastNews = performance.now();
  sent = 0;
  handed = 0;

  private constructor(options: CrowdOptions, port: number) {
    this.#options = options;
    this.#port = port;
    this.names = Array.from({ length: options.people }, (_, i) => `person-${i}`);
    this.#workers = Array.from({ length: options.processes }, () => undefined);
  }

  /** Everybody is registered, and nobody has said anything. */
  static async gather(options: CrowdOptions): Promise<Crowd> {
    const crowd = new Crowd(options, await aQuietPort(options.chance));
    await crowd.startRelay();
    await Promise.all(crowd.#workers.map((_, i) => crowd.startWorker(i)));
    return crowd;
  }

  get relay(): RelayProcess {
    if (this.#relay === undefined) throw new Error("the relay is not running");
    return this.#relay;
  }

  async startRelay(): Promise<void> {
    const data = join(this.#options.folder, "relay");
    this.#relay = await RelayProcess.start({ data, port: this.#port, log: "warn" });
    this.#order({ relay: "up" });
  }

  async killRelay(): Promise<void> {
    await this.#relay?.kill();
    this.#relay = undefined;
  }

  async startWorker(i: number): Promise<void> {
    const { folder, processes, peers, chance } = this.#options;
    const people = this.names.flatMap((name, at) =>
      at % processes === i ? [{ name, peers: this.#peersOf(at, peers) }] : [],
    );
    const relay = `http://127.0.0.1:${this.#port}`;
    const task: Task = { relay, folder: join(folder, "people"), seed: chance.u32(), people };
    const worker = new Worker(task, (news) => this.#heard(news));
    this.#workers[i] = worker;
    await within(PATIENCE_MS, `worker ${i}`, worker.ready);
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

  /** Lets each person have begun this many messages. */
  allow(messages: number): void {
    this.#allowed = messages;
    this.#order({ allow: messages });
  }

  #order(order: Order): void {
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

  histories(): Promise<Histories> {
    return readHistories(join(this.#options.folder, "people"), this.names);
  }

  /** Everybody closes as an application does that is done. */
  async finish(): Promise<void> {
    this.#order({ finish: true });
    const ends = await Promise.all(
      this.#workers.flatMap((worker) => (worker === undefined ? [] : [worker.exited])),
    );
    if (ends.some((code) => code !== 0)) throw new Error(`workers ended with ${ends.join(", ")}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.killRelay();
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

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
  }
}

/** A free port that no outgoing connection is given: while the relay is away nobody else answers on it, not even a client
 * that happens to be connecting from it. */
async function aQuietPort(chance: Chance): Promise<number> {
  for (;;) {
    const port = chance.between(20_000, 31_000);
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}
