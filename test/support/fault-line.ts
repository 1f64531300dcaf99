// A TCP line with a fault: in front of a port, it can stop carrying one way or both, without a word to either end, or cut
// what it carries. Always true: what it carries, it carries in order and unchanged.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** `up`: what whoever connected sends. */
export type Way = "up" | "down" | "both";
type OneWay = Exclude<Way, "both">;

export class FaultLine implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #silent: Way | undefined;
  /** Bytes that it still carries before it cuts. */
  readonly #allowance = { up: Number.POSITIVE_INFINITY, down: Number.POSITIVE_INFINITY };
  #next: number[] = [];
  /** Bytes that came to it, by way. */
  readonly carried = { up: 0, down: 0 };
  /** How often it has cut something that it carried. */
  cuts = 0;
  /** Bytes that were not carried. */
  swallowed = 0;

  private constructor(port: () => number) {
    this.#server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ port: port(), host: "127.0.0.1", allowHalfOpen: true });
      this.#carry(near, far, "up");
      this.#carry(far, near, "down");
    });
  }

  /** @param port of what stands behind it, asked for at each connection. */
  static async before(port: () => number): Promise<FaultLine> {
    const line = new FaultLine(port);
    line.#server.listen(0, "127.0.0.1");
    await once(line.#server, "listening");
    return line;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #carry(from: Socket, to: Socket, way: OneWay): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on("error", () => undefined);
    from.on("data", (chunk) => {
      this.carried[way] += chunk.length;
      this.#allowance[way] -= chunk.length;
      if (this.#allowance[way] < 0) this.#cutNow(way);
      else if (this.#isSilent(way)) this.swallowed += chunk.length;
      else if (!to.write(chunk)) from.pause(); // it holds nothing back but what the other end does not take
    });
    to.on("drain", () => from.resume());
    from.on("end", () => {
      if (!this.#isSilent(way)) to.end();
    });
    from.on("close", () => {
      this.#sockets.delete(from);
      if (!this.#isSilent(way)) to.destroy();
    });
  }

  #isSilent(way: OneWay): boolean {
    return this.#silent === "both" || this.#silent === way;
  }

  /** Nothing gets through this way from now on, of what stands and of what comes. */
  silence(way: Way | undefined): void {
    this.#silent = way;
  }

  /** Carries so many bytes more up, and then cuts whatever comes with another one. */
  cutAfter(bytes: number): void {
    this.#allowance.up = bytes;
  }

  /** Cuts once after each so many bytes down, and carries on after the last. */
  cutDownAfterEach(...lengths: readonly number[]): void {
    this.#next = [...lengths];
    this.#allowance.down = this.#next.shift() ?? Number.POSITIVE_INFINITY;
  }

  #cutNow(way: OneWay): void {
    if (way === "down") this.#allowance.down = this.#next.shift() ?? Number.POSITIVE_INFINITY;
    this.cut();
  }

  /** Ends everything that it carries, without a word of whoever speaks over it. */
  cut(): void {
    this.cuts++;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }
}
