// Node processes with links, for the tests of links. Always true: every process that was started is killed with its world.
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { FaultLine } from "./fault-line.ts";
import type { LinkNews, LinkOrder, LinkTask } from "./link-node.ts";
import { eventually, within } from "./waiting.ts";

const NODE = fileURLToPath(new URL("link-node.ts", import.meta.url));
export const PATIENCE_MS = 30_000;
export const SECRET = "the secret of this cluster, long enough";

export class LinkNode {
  readonly id: string;
  readonly news: LinkNews[] = [];
  readonly address: string;
  port = 0;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #asked = 0;

  private constructor(task: LinkTask) {
    this.id = task.id;
    this.#child = spawn(process.execPath, [NODE, JSON.stringify(task)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#exited = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.on("message", (news: LinkNews) => this.news.push(news));
    this.address = task.address;
  }

  static async start(task: LinkTask): Promise<LinkNode> {
    const node = new LinkNode(task);
    const listening = await node.until("listening", (news) => (news.is === "listening" ? news : undefined));
    node.port = listening.port;
    return node;
  }

  order(order: LinkOrder): void {
    if (this.#child.connected) this.#child.send(order, () => undefined);
  }

  until<T>(what: string, find: (news: LinkNews) => T | undefined, ms = PATIENCE_MS): Promise<T> {
    return eventually(ms, `${what} at ${this.id.slice(0, 1)}`, () => {
      for (const news of this.news) {
        const found = find(news);
        if (found !== undefined) return found;
      }
      return undefined;
    });
  }

  count(is: LinkNews["is"]): number {
    return this.news.filter((news) => news.is === is).length;
  }

  /** Whether the last that it has told of its link is that it stands. */
  get isUp(): boolean {
    return this.news.findLast((news) => news.is === "up" || news.is === "down")?.is === "up";
  }

  /** Until it has told `up` (or `down`) so many times. */
  async times(is: "up" | "down", count: number, ms = PATIENCE_MS): Promise<void> {
    await eventually(ms, `${count} × ${is} at ${this.id.slice(0, 1)}`, () =>
      this.count(is) >= count ? true : undefined,
    );
  }

  /** Numbers of all offers that have come. */
  get got(): number[] {
    return this.news.flatMap((news) => (news.is === "got" ? [...news.numbers] : []));
  }

  /** Why links ended, as far as this node counts it. */
  get ends(): string[] {
    return this.news.flatMap((news) => (news.is === "ended" ? [news.why] : []));
  }

  async clocks(): Promise<readonly (number | undefined)[]> {
    const asked = ++this.#asked;
    this.order({ asked });
    return this.until("its clocks", (news) =>
      news.is === "clocks" && news.asked === asked ? news.clocks : undefined,
    );
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await within(PATIENCE_MS, "the end of a node", this.#exited);
  }
}

export interface PairOptions {
  readonly secrets?: readonly [string, string];
  readonly tls?: readonly [LinkTask["tls"], LinkTask["tls"]];
}

/** Two nodes, each behind a line that can fail. Nobody has told them of each other. */
export class LinkPair implements AsyncDisposable {
  readonly a: LinkNode;
  readonly b: LinkNode;
  readonly toA: FaultLine;
  readonly toB: FaultLine;

  private constructor(a: LinkNode, b: LinkNode, toA: FaultLine, toB: FaultLine) {
    this.a = a;
    this.b = b;
    this.toA = toA;
    this.toB = toB;
  }

  static async start({
    secrets = [SECRET, SECRET],
    tls = [undefined, undefined],
  }: PairOptions = {}): Promise<LinkPair> {
    const ports = { a: 0, b: 0 };
    const [toA, toB] = [await FaultLine.before(() => ports.a), await FaultLine.before(() => ports.b)];
    const task = (id: string, line: FaultLine, at: 0 | 1): LinkTask => ({
      id: id.repeat(32),
      secret: secrets[at],
      address: `${tls[at] === undefined ? "ws" : "wss"}://127.0.0.1:${line.port}`,
      ...(tls[at] === undefined ? {} : { tls: tls[at] }),
    });
    const [a, b] = await Promise.all([LinkNode.start(task("a", toA, 0)), LinkNode.start(task("b", toB, 1))]);
    ports.a = a.port;
    ports.b = b.port;
    return new LinkPair(a, b, toA, toB);
  }

  /** Both know that both live; a link is opened by whoever is told to. */
  introduce(): void {
    for (const node of [this.a, this.b]) node.order({ alive: this.leases });
  }

  get leases(): (readonly [string, string])[] {
    return [this.a, this.b].map((node) => [node.id, node.address] as const);
  }

  async linked(): Promise<void> {
    this.introduce();
    await Promise.all([this.a.times("up", 1), this.b.times("up", 1)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.a.kill(), this.b.kill()]);
    await Promise.all([this.toA[Symbol.asyncDispose](), this.toB[Symbol.asyncDispose]()]);
  }
}
