// A TCP line with a fault: in front of a port, it can stop carrying one way or both, without a word to either end, or cut
// what it carries. Always true: what it carries, it carries in order and unchanged.
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** `up`: what whoever connected sends. */
export type Way = "up" | "down" | "both";

export class FaultLine implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #silent: Way | undefined;
  /** Bytes that it still carries up. */
  #allowance = Number.POSITIVE_INFINITY;
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

  #carry(from: Socket, to: Socket, way: "up" | "down"): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on("error", () => undefined);
    from.on("data", (chunk) => {
      if (way === "up") this.#allowance -= chunk.length;
      if (this.#allowance < 0) this.cut();
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

  #isSilent(way: "up" | "down"): boolean {
    return this.#silent === "both" || this.#silent === way;
  }

  /** Nothing gets through this way from now on, of what stands and of what comes. */
  silence(way: Way | undefined): void {
    this.#silent = way;
  }

  /** Carries so many bytes more up, and then cuts whatever comes with another one. */
  cutAfter(bytes: number): void {
    this.#allowance = bytes;
  }

  /** Ends everything that it carries, without a word of whoever speaks over it. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }
}
