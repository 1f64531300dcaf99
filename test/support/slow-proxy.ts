// A proxy in front of a relay that holds up what a client sends, by a time that can be changed at any moment. Always true: it
// changes no byte and keeps the order.
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import type { AddressInfo } from "node:net";
import { type ConnectionKind, PATHS } from "@lethe/protocol";

export class SlowProxy implements AsyncDisposable {
  /** How long each chunk of a client's is held up, ms. Waited for at full speed: timers are too coarse for so little. */
  delayMs = 0;
  readonly #server: Server;

  private constructor(relayPort: number) {
    this.#server = createServer((client) => {
      const relay = connect(relayPort, "127.0.0.1");
      for (const socket of [client, relay]) socket.setNoDelay(true).on("error", () => socket.destroy());
      client.on("data", (chunk) => {
        const until = performance.now() + this.delayMs;
        while (performance.now() < until);
        relay.write(chunk);
      });
      relay.pipe(client);
      client.on("close", () => relay.destroy());
    });
  }

  static async before(relay: { readonly port: number }): Promise<SlowProxy> {
    const proxy = new SlowProxy(relay.port);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  socketUrl(kind: ConnectionKind): string {
    const { port } = this.#server.address() as AddressInfo;
    return `ws://127.0.0.1:${port}${kind === "device" ? PATHS.deviceSocket : PATHS.anonymousSocket}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }
}
