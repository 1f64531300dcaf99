// People with files, each in a process of their own, on relays: starts and kills both, and knows which requests are under way.
// Always true: everything that was started is killed by its process id when the people are disposed of.
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Chance } from "../chance.ts";
import type { MediaRelays } from "../media-relays.ts";
import { eventually, within } from "../waiting.ts";
import { type MediaLine, readMediaHistory } from "./media-history.ts";
import { REQUEST_KINDS, type RequestKind } from "./media-requests.ts";
import type { MediaNews, MediaOrder, MediaTask } from "./media-worker.ts";

const WORKER = fileURLToPath(new URL("./media-worker.ts", import.meta.url));
const PATIENCE_MS = 90_000;

export interface MediaPeopleOptions {
  readonly relays: MediaRelays;
  /** For their stores, files and histories. */
  readonly folder: string;
  readonly people: number;
  /** Bytes of the files that they send. */
  readonly sizes: readonly number[];
  readonly chance: Chance;
}

/** What a moment is made of: something that has just begun, or a release that was just answered. */
export type Moment = RequestKind | "released" | "any";

export class MediaPeople implements AsyncDisposable {
  readonly names: readonly string[];
  readonly #options: MediaPeopleOptions;
  readonly #workers: Worker[];
  #allowed = 0;
  readonly #moments = new Map<Moment, number>();
  #changed = Promise.withResolvers<undefined>();

  constructor(options: MediaPeopleOptions) {
    this.#options = options;
    this.names = Array.from({ length: options.people }, (_, i) => `person-${i}`);
    this.#workers = this.names.map(() => new Worker((news) => this.#heard(news)));
  }

  /** All are there, and in one group. */
  async start(): Promise<void> {
    await Promise.all(this.names.slice(1).map((_, i) => this.startPerson(i + 1)));
    await this.startPerson(0); // who makes the group, of those who are registered
    await eventually(PATIENCE_MS, "everybody in the group", () =>
      this.#workers.every(({ isInGroup }) => isInGroup) ? true : undefined,
    );
  }

  async startPerson(i: number): Promise<void> {
    const { relays, folder, sizes, chance } = this.#options;
    const name = this.names[i] ?? "";
    const others = this.names.filter((other) => other !== name);
    const urls = relays.urls.map((_, at) => relays.urls[(at + i) % relays.urls.length] ?? "");
    const task = { folder, seed: chance.u32(), name, others, relays: urls, sizes, leads: i === 0 };
    await within(PATIENCE_MS, `${name} to be ready`, this.#worker(i).start(task));
    this.#worker(i).order({ allow: this.#allowed });
  }

  async killPerson(i: number): Promise<void> {
    await this.#worker(i).kill();
  }

  #worker(i: number): Worker {
    const worker = this.#workers[i];
    if (worker === undefined) throw new Error(`there is no person ${i}`);
    return worker;
  }

  #heard(news: MediaNews): void {
    if (news.news === "began") this.#count(news.request);
    if (news.news === "ended" && news.request === "release") this.#count("released");
    this.#count("any");
    this.#changed.resolve(undefined);
    this.#changed = Promise.withResolvers();
  }

  #count(moment: Moment): void {
    this.#moments.set(moment, (this.#moments.get(moment) ?? 0) + 1);
  }

  /** Each person may begin so many files more. */
  allow(files: number): void {
    this.#allowed += files;
    for (const worker of this.#workers) worker.order({ allow: this.#allowed });
  }

  /** Until there were so many such moments more; who has nothing to do any more is given some. */
  async until(moment: Moment, times: number): Promise<void> {
    const wanted = (this.#moments.get(moment) ?? 0) + times;
    const coming = async (): Promise<void> => {
      while ((this.#moments.get(moment) ?? 0) < wanted) {
        if (this.#workers.every(({ isIdle }) => isIdle)) this.allow(1);
        await this.#changed.promise;
      }
    };
    await within(PATIENCE_MS, `${times} times ${moment}`, coming());
  }

  /** Requests that are under way, as far as has been heard. */
  get underWay(): Readonly<Record<RequestKind, number>> {
    const sum = (kind: RequestKind): number =>
      this.#workers.reduce((count, { underWay }) => count + (underWay.get(kind) ?? 0), 0);
    return Object.fromEntries(REQUEST_KINDS.map((kind) => [kind, sum(kind)])) as Record<RequestKind, number>;
  }

  /** The relays listen again. */
  relayIsUp(): void {
    for (const worker of this.#workers) worker.order({ relay: "up" });
  }

  histories(): ReadonlyMap<string, readonly MediaLine[]> {
    return new Map(this.names.map((name) => [name, readMediaHistory(this.#options.folder, name)]));
  }

  /** Rows of what is owed of media in all stores, and files that were not taken away, each with whose it is. */
  async left(): Promise<string[]> {
    const reports = await Promise.all(this.#workers.map((worker) => worker.report()));
    return reports.flatMap((left, i) => left.map((what) => `${what} of ${this.names[i]}`));
  }

  /** Everybody closes as an application does that is done. */
  async finish(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.finish()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.kill()));
  }
}

class Worker {
  readonly underWay = new Map<RequestKind, number>();
  isIdle = true;
  isInGroup = false;
  readonly #heard: (news: MediaNews) => void;
  #child: ChildProcess | undefined;
  #exited: Promise<number | null> = Promise.resolve(0);
  #reported: (left: readonly string[]) => void = () => undefined;

  constructor(heard: (news: MediaNews) => void) {
    this.#heard = heard;
  }

  start(task: MediaTask): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const child = spawn(process.execPath, [WORKER, JSON.stringify(task)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child = child;
    this.#exited = new Promise((exited) => child.once("exit", exited));
    child.on("message", (news: MediaNews) => {
      if (this.#child !== child) return; // the last words of somebody who was killed
      if (news.news === "ready") resolve();
      this.#take(news);
    });
    void this.#exited.then((code) =>
      reject(new Error(`${task.name} ended with ${code} before it was ready`)),
    );
    return promise;
  }

  #take(news: MediaNews): void {
    if (news.news === "idle" || news.news === "busy") this.isIdle = news.news === "idle";
    if (news.news === "in-group") this.isInGroup = true;
    if (news.news === "report") this.#reported(news.left);
    if (news.news === "began" || news.news === "ended") {
      const step = news.news === "began" ? 1 : -1;
      this.underWay.set(news.request, (this.underWay.get(news.request) ?? 0) + step);
    }
    this.#heard(news);
  }

  order(order: MediaOrder): void {
    if (this.#child?.connected === true) this.#child.send(order, () => undefined);
  }

  report(): Promise<readonly string[]> {
    const { promise, resolve } = Promise.withResolvers<readonly string[]>();
    this.#reported = resolve;
    this.order({ report: true });
    return within(PATIENCE_MS, "a report", promise);
  }

  async finish(): Promise<void> {
    this.order({ finish: true });
    const code = await within(PATIENCE_MS, "the end of a client", this.#exited);
    if (code !== 0) throw new Error(`a client ended with ${code}`);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    child?.kill("SIGKILL");
    await this.#exited;
    this.underWay.clear();
    this.isIdle = true;
  }
}
