// Every fault of the proxy on real sockets: what passes, what does not, and what each end sees.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { within } from "../support/waiting.ts";
import { RemoteProxy, serveControl } from "./proxy/control.ts";
import type { Link } from "./proxy/link.ts";
import { MAX_HELD_BYTES } from "./proxy/pipe.ts";
import { FaultProxy } from "./proxy/proxy.ts";

const PATIENCE_MS = 10_000;
const MB = 1_048_576;

/** One end of a connection: what came to it, and how it ended. */
class End {
  readonly socket: Socket;
  length = 0;
  end: "open" | "closed" | "reset" = "open";
  hasEnded = false;
  readonly #chunks: Buffer[] = [];
  #changed: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.length += chunk.length;
      this.#changed();
    });
    socket.on("end", () => {
      this.hasEnded = true;
      this.#changed();
    });
    socket.on("error", () => {
      this.end = "reset";
    });
    socket.on("close", () => {
      if (this.end === "open") this.end = "closed";
      this.#changed();
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  async until(what: string, fits: () => boolean): Promise<void> {
    const waiting = async (): Promise<void> => {
      while (!fits()) await new Promise<void>((resolve) => (this.#changed = resolve));
    };
    await within(PATIENCE_MS, what, waiting());
  }

  has(length: number): Promise<void> {
    return this.until(`${length} bytes`, () => this.length >= length);
  }

  over(): Promise<void> {
    return this.until("the end", () => this.end !== "open");
  }
}

let server: Server;
let proxy: FaultProxy;
let link: Link;
let accepted: Socket[];
let opened: Socket[];

beforeEach(async () => {
  accepted = [];
  opened = [];
  server = createServer({ allowHalfOpen: true }, (socket) => accepted.push(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy = new FaultProxy(7);
  link = await proxy.open("one", { target: (server.address() as AddressInfo).port });
});

afterEach(async () => {
  for (const socket of [...opened, ...accepted]) socket.destroy();
  await proxy[Symbol.asyncDispose]();
  server.close();
});

async function pair(): Promise<{ source: End; target: End }> {
  const arrived = once(server, "connection");
  const socket = connect({ port: link.port, host: "127.0.0.1", allowHalfOpen: true });
  opened.push(socket);
  const source = new End(socket);
  const [theirs] = (await within(PATIENCE_MS, "the connection", arrived)) as [Socket];
  return { source, target: new End(theirs) };
}

/** Until what is on its way on this machine has had the time to come: for what must not come. */
async function echoed(): Promise<void> {
  const control = await proxy.open(`control-${proxy.constructor.name}-${opened.length}`, {
    target: (server.address() as AddressInfo).port,
  });
  const arrived = once(server, "connection");
  const socket = connect(control.port, "127.0.0.1");
  opened.push(socket);
  socket.write("x");
  const [theirs] = (await arrived) as [Socket];
  await new End(theirs).has(1);
}

describe("a link of the fault proxy", () => {
  it("changes no byte, keeps the order and both ends, where nothing is asked of it", async () => {
    const { source, target } = await pair();
    const [there, back] = [randomBytes(3 * MB), randomBytes(MB)];
    source.socket.end(there);
    target.socket.end(back);
    await Promise.all([target.over(), source.over()]);
    expect(Buffer.compare(target.bytes, there)).toBe(0);
    expect(Buffer.compare(source.bytes, back)).toBe(0);
    expect([source.end, target.end]).toEqual(["closed", "closed"]);
  });

  it("holds up what passes, at random within the jitter, and keeps the order", async () => {
    await link.shape("target", { latencyMs: 80, jitterMs: 60 });
    const { source, target } = await pair();
    const began = performance.now();
    for (let i = 0; i < 20; i++) {
      source.socket.write(Buffer.from([i]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await target.has(20);
    expect(performance.now() - began).toBeGreaterThanOrEqual(79);
    expect([...target.bytes]).toEqual(Array.from({ length: 20 }, (_, i) => i));
    const back = performance.now();
    target.socket.write("y");
    await source.has(1);
    expect(performance.now() - back).toBeLessThan(79); // the other direction is clear
  });

  it("lets no more pass than the bandwidth", async () => {
    await link.shape("target", { bytesPerSecond: 100_000 });
    const { source, target } = await pair();
    const began = performance.now();
    source.socket.write(randomBytes(50_000));
    await target.has(50_000);
    expect(performance.now() - began).toBeGreaterThanOrEqual(450);
  });

  it("stalls: reads nothing, so that the sender's buffers fill, and loses nothing when it goes on", async () => {
    const { source, target } = await pair();
    await link.shape("target", { stall: true });
    const all = randomBytes(48 * MB);
    const written = new Promise<void>((resolve) => source.socket.write(all, () => resolve()));
    let isWritten = false;
    void written.then(() => (isWritten = true));
    await echoed();
    expect([isWritten, target.length]).toEqual([false, 0]);
    expect((await link.figures()).mostHeld).toBeLessThan(MAX_HELD_BYTES + 65_537);
    await link.heal();
    await target.has(all.length);
    expect(Buffer.compare(target.bytes, all)).toBe(0);
  });

  it("is a black hole: reads and throws away, and a connection that lost a byte never passes one again", async () => {
    const { source, target } = await pair();
    await link.shape("target", { blackhole: true });
    await new Promise<void>((resolve) => source.socket.write(randomBytes(16 * MB), () => resolve()));
    target.socket.write("heard"); // one direction only
    await source.has(5);
    await link.heal();
    source.socket.write("after");
    await echoed();
    expect([target.length, target.end]).toEqual([0, "open"]);
    const next = await pair();
    next.source.socket.write("new");
    await next.target.has(3);
  });

  it("closes one direction and leaves the other", async () => {
    const { source, target } = await pair();
    await link.halfClose("target");
    await target.until("the end of the stream", () => target.hasEnded);
    expect(target.length).toBe(0);
    target.socket.write("still");
    await source.has(5);
    expect(source.end).toBe("open");
  });

  it("resets both ends", async () => {
    const { source, target } = await pair();
    await link.reset();
    await Promise.all([source.over(), target.over()]);
    expect([source.end, target.end]).toEqual(["reset", "reset"]);
  });

  it("hands on the reset of one end to the other", async () => {
    const { source, target } = await pair();
    source.socket.resetAndDestroy();
    await target.over();
    expect(target.end).toBe("reset");
  });

  it.each(["target", "source"] as const)("cuts after so many bytes towards the %s", async (toward) => {
    await link.shape(toward, { cutAfter: 1_000 });
    const { source, target } = await pair();
    const [from, to] = toward === "target" ? [source, target] : [target, source];
    const sent = randomBytes(1_500);
    from.socket.write(sent.subarray(0, 700));
    await to.has(700);
    from.socket.write(sent.subarray(700));
    await to.until("the end of the stream", () => to.hasEnded);
    expect(Buffer.compare(to.bytes, sent.subarray(0, 1_000))).toBe(0);
    await from.over();
    expect(from.end).toBe("reset");
  });

  it("refuses connections until it is healed", async () => {
    await link.refuse(true);
    const socket = connect(link.port, "127.0.0.1");
    opened.push(socket);
    const refused = new End(socket);
    await refused.over();
    expect(refused.end).toBe("reset");
    await link.heal();
    const { source, target } = await pair();
    source.socket.write("in");
    await target.has(2);
  });

  it("ends what is open when whoever it leads to is gone", async () => {
    server.close();
    const socket = connect(link.port, "127.0.0.1");
    opened.push(socket);
    const nobody = new End(socket);
    await nobody.over();
    expect(nobody.end).toBe("reset");
  });
});

describe("the control socket", () => {
  it("steers links as the handle does, and says what is wrong with an order", async () => {
    const { server: control, port } = await serveControl(proxy);
    await using remote = await RemoteProxy.connect(port);
    const far = await remote.open("far", { target: (server.address() as AddressInfo).port });
    const arrived = once(server, "connection");
    const source = new End(connect({ port: far.port, host: "127.0.0.1" }));
    opened.push(source.socket);
    await far.shape("both", { cutAfter: 4 });
    const [theirs] = (await arrived) as [Socket];
    const target = new End(theirs);
    source.socket.write("abcdefgh");
    await target.until("the end of the stream", () => target.hasEnded);
    expect(target.bytes.toString()).toBe("abcd");
    expect(await far.figures()).toMatchObject({ opened: 1, bytes: 4 });
    await far.heal();
    await expect(remote.open("far", { target: 1 })).rejects.toThrow("there is a link called far");
    await expect(remote.order({ do: "reset", link: "nowhere" })).rejects.toThrow("no link is called nowhere");
    await expect(remote.order({ do: "sing", link: "far" } as never)).rejects.toThrow(
      "no order is called sing",
    );
    control.close();
  });
});
