// The proxy's control socket: one JSON order a line, one JSON answer a line, in the same order. Always true: an order that
// cannot be carried out is answered with what is wrong with it, and changes nothing.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { FaultProxy } from "./proxy.ts";
import type { LinkFigures, LinkHandle, LinkPorts, ProxyHandle, Shape, Toward } from "./shape.ts";

export type ControlOrder =
  | ({ readonly do: "open"; readonly link: string } & LinkPorts)
  | {
      readonly do: "shape";
      readonly link: string;
      readonly toward: Toward;
      readonly change: { readonly [N in keyof Shape]?: Shape[N] | null };
    }
  | { readonly do: "reset" | "heal" | "figures"; readonly link: string }
  | { readonly do: "half-close"; readonly link: string; readonly toward: "target" | "source" }
  | { readonly do: "refuse"; readonly link: string; readonly refused: boolean };

export type ControlAnswer =
  | { readonly is: "done"; readonly port?: number; readonly figures?: LinkFigures }
  | { readonly is: "failed"; readonly says: string };

async function carryOut(proxy: FaultProxy, order: ControlOrder): Promise<ControlAnswer> {
  if (order.do === "open") {
    const { link, target, listen } = order;
    const opened = await proxy.open(link, { target, ...(listen === undefined ? {} : { listen }) });
    return { is: "done", port: opened.port };
  }
  const link = proxy.link(order.link);
  switch (order.do) {
    case "shape":
      await link.shape(order.toward, shapeOf(order.change));
      return { is: "done" };
    case "half-close":
      await link.halfClose(order.toward);
      return { is: "done" };
    case "refuse":
      await link.refuse(order.refused);
      return { is: "done" };
    case "figures":
      return { is: "done", figures: await link.figures() };
    case "reset":
    case "heal":
      await link[order.do]();
      return { is: "done" };
    default:
      throw new Error(`no order is called ${(order as { do: string }).do}`);
  }
}

/** JSON has no undefined: null stands for it. */
function shapeOf(change: { readonly [N in keyof Shape]?: Shape[N] | null }): Partial<Shape> {
  return Object.fromEntries(Object.entries(change).map(([name, value]) => [name, value ?? undefined]));
}

/** Listens for orders on loopback. */
export async function serveControl(proxy: FaultProxy): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => void obey(proxy, socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

async function obey(proxy: FaultProxy, socket: Socket): Promise<void> {
  socket.on("error", () => socket.destroy());
  for await (const line of createInterface({ input: socket })) {
    const answer = await Promise.resolve()
      .then(() => carryOut(proxy, JSON.parse(line) as ControlOrder))
      .catch((error: unknown): ControlAnswer => ({ is: "failed", says: (error as Error).message }));
    socket.write(`${JSON.stringify(answer)}\n`);
  }
}

type Waiter = { readonly resolve: (answer: ControlAnswer) => void; readonly reject: (error: Error) => void };

/** A proxy in another process. */
export class RemoteProxy implements ProxyHandle {
  readonly #socket: Socket;
  readonly #waiting: Waiter[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on("line", (line) =>
      this.#waiting.shift()?.resolve(JSON.parse(line) as ControlAnswer),
    );
    socket.on("error", () => undefined);
    socket.on("close", () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error("the proxy is gone"));
    });
  }

  static async connect(port: number): Promise<RemoteProxy> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new RemoteProxy(socket);
  }

  async order(order: ControlOrder): Promise<Extract<ControlAnswer, { is: "done" }>> {
    const answer = await new Promise<ControlAnswer>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`${JSON.stringify(order)}\n`);
    });
    if (answer.is === "failed") throw new Error(answer.says);
    return answer;
  }

  async open(name: string, ports: LinkPorts): Promise<LinkHandle> {
    const { port = 0 } = await this.order({ do: "open", link: name, ...ports });
    return remoteLink(this, name, port);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    return Promise.resolve();
  }
}

function remoteLink(proxy: RemoteProxy, link: string, port: number): LinkHandle {
  const order = async (what: ControlOrder): Promise<void> => void (await proxy.order(what));
  return {
    name: link,
    port,
    shape: (toward, change) =>
      order({
        do: "shape",
        link,
        toward,
        change: Object.fromEntries(Object.entries(change).map(([name, value]) => [name, value ?? null])),
      }),
    reset: () => order({ do: "reset", link }),
    halfClose: (toward) => order({ do: "half-close", link, toward }),
    refuse: (refused) => order({ do: "refuse", link, refused }),
    heal: () => order({ do: "heal", link }),
    figures: async () => {
      const { figures } = await proxy.order({ do: "figures", link });
      if (figures === undefined) throw new Error(`${link} has no figures`);
      return figures;
    },
  };
}
