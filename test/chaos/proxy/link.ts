// One link: a port that leads to another, and the connections that pass through it. Always true: the shape of the link is
// the shape of every connection on it, of those that come later too; closing it leaves no socket behind.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Chance } from "../../support/chance.ts";
import { Pipe } from "./pipe.ts";
import {
  CLEAR,
  type LinkFigures,
  type LinkHandle,
  type LinkPorts,
  type Shape,
  type Toward,
} from "./shape.ts";

const HOST = "127.0.0.1";

interface Pair {
  readonly source: Socket;
  readonly target: Socket;
  readonly pipes: { readonly target: Pipe; readonly source: Pipe };
}

export class Link implements LinkHandle, AsyncDisposable {
  readonly name: string;
  readonly #target: number;
  readonly #chance: Chance;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #shapes = { target: CLEAR, source: CLEAR };
  #isRefused = false;
  #opened = 0;
  #bytes = 0;
  #mostHeld = 0;

  private constructor(name: string, target: number, chance: Chance) {
    this.name = name;
    this.#target = target;
    this.#chance = chance;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (source) => this.#connected(source));
  }

  static async open(name: string, { target, listen = 0 }: LinkPorts, chance: Chance): Promise<Link> {
    const link = new Link(name, target, chance);
    link.#server.listen(listen, HOST);
    await once(link.#server, "listening");
    return link;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #connected(source: Socket): void {
    source.on("error", () => undefined); // its close follows
    if (this.#isRefused) {
      source.resetAndDestroy();
      return;
    }
    const target = connect({ port: this.#target, host: HOST, allowHalfOpen: true, noDelay: true });
    target.on("error", () => undefined);
    this.#opened++;
    const pipe = (from: Socket, to: Socket, shape: Shape): Pipe =>
      new Pipe({ from, to, shape, chance: this.#chance, passed: (bytes) => (this.#bytes += bytes) });
    const pair: Pair = {
      source,
      target,
      pipes: {
        target: pipe(source, target, this.#shapes.target),
        source: pipe(target, source, this.#shapes.source),
      },
    };
    this.#pairs.add(pair);
    source.on("close", (failed) => this.#ended(pair, target, failed));
    target.on("close", (failed) => this.#ended(pair, source, failed));
  }

  /** One side is gone: a reset is handed on as a reset, an end after what is on its way. */
  #ended(pair: Pair, other: Socket, failed: boolean): void {
    if (!this.#pairs.delete(pair)) return;
    for (const pipe of Object.values(pair.pipes)) {
      this.#mostHeld = Math.max(this.#mostHeld, pipe.mostHeld);
      if (failed) pipe.stop();
    }
    if (failed) other.resetAndDestroy();
    else other.destroySoon();
  }

  shape(toward: Toward, change: Partial<Shape>): Promise<void> {
    for (const side of ["target", "source"] as const) {
      if (toward !== "both" && toward !== side) continue;
      this.#shapes[side] = { ...this.#shapes[side], ...change };
      for (const pair of this.#pairs) pair.pipes[side].reshape(this.#shapes[side]);
    }
    return Promise.resolve();
  }

  reset(): Promise<void> {
    for (const { source, target } of [...this.#pairs]) {
      source.resetAndDestroy();
      target.resetAndDestroy();
    }
    return Promise.resolve();
  }

  halfClose(toward: "target" | "source"): Promise<void> {
    for (const pair of this.#pairs) pair.pipes[toward].halfClose();
    return Promise.resolve();
  }

  refuse(refused: boolean): Promise<void> {
    this.#isRefused = refused;
    return Promise.resolve();
  }

  async heal(): Promise<void> {
    await this.refuse(false);
    await this.shape("both", CLEAR);
  }

  figures(): Promise<LinkFigures> {
    const held = [...this.#pairs].flatMap(({ pipes }) => [pipes.source.mostHeld, pipes.target.mostHeld]);
    return Promise.resolve({
      open: this.#pairs.size,
      opened: this.#opened,
      bytes: this.#bytes,
      mostHeld: Math.max(this.#mostHeld, ...held),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    await this.reset();
    await closed;
  }
}
