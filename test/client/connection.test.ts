import { describe, expect, it } from "vitest";
import { PROBLEMS } from "@lethe/protocol";
import { account, Bench } from "./support/bench-core.ts";

const opens = (bench: Bench, socket: string): number => bench.opens.filter((o) => o.socket === socket).length;
const hello = (bench: Bench): number[] =>
  bench.sent.flatMap(({ frame }) => (frame.frame === "hello" ? [frame.epoch] : []));

describe("the device connection", () => {
  it("raises its epoch durably before each connection", () => {
    const anna = new Bench();
    anna.holdCommits = true;
    anna.step({ event: "start" });
    expect(anna.opens).toEqual([]);
    anna.letCommit();
    anna.accept("device");
    expect(hello(anna)).toEqual([1]);
    anna.holdCommits = false;
    anna.close("device");
    anna.reconnect("device");
    expect(hello(anna)).toEqual([1, 2]);
    expect(hello(new Bench({}, anna.store).online())).toEqual([3]);
  });

  it("jumps above the relay's epoch when its store was restored, and says so", () => {
    const anna = new Bench();
    anna.step({ event: "start" });
    anna.step({ event: "opened", socket: "device", connection: 1 });
    anna.frames("device", { frame: "epoch-behind", last: 41 });
    expect(anna.tellsOf("store-restored")).toHaveLength(1);
    anna.close("device", PROBLEMS["epoch-behind"].close);
    anna.reconnect("device");
    expect(hello(anna)).toEqual([1, 43]);
  });

  it("takes an epoch that somebody else has used for a restored store, and an older one for nothing", () => {
    const anna = new Bench();
    anna.step({ event: "start" });
    anna.step({ event: "opened", socket: "device", connection: 1 });
    anna.frames("device", { frame: "epoch-behind", last: 0 });
    expect(anna.tellsOf("store-restored")).toEqual([]);
    anna.frames("device", { frame: "epoch-behind", last: 1 });
    expect(anna.tellsOf("store-restored")).toHaveLength(1);
    expect(anna.core.view.epoch).toBe(2);
  });

  it("tells of a displacement and does not reconnect by itself", () => {
    const anna = new Bench().online();
    anna.send("Kben", "hello");
    anna.close("device", PROBLEMS.displaced.close);
    anna.pass(3_600_000);
    expect(anna.tellsOf("displaced")).toHaveLength(1);
    expect(anna.opens).toHaveLength(1);
    anna.step({ event: "connect" });
    expect(anna.opens).toHaveLength(2);
  });

  it("stops for good when the relay refuses the device", () => {
    const anna = new Bench().online();
    anna.close("device", PROBLEMS["device-removed"].close);
    anna.pass(3_600_000);
    expect(anna.tellsOf("stopped")).toEqual([{ tell: "stopped", code: "device-removed" }]);
    expect(anna.opens).toHaveLength(1);
  });

  it("reconnects with full jitter under a cap, trying one URL after the other", () => {
    const anna = new Bench({ urls: 3, seed: 4 });
    anna.step({ event: "start" });
    const waits: number[] = [];
    for (let i = 0; i < 40; i++) {
      const closed = anna.now;
      anna.close("device");
      const before = anna.opens.length;
      while (anna.opens.length === before) anna.pass(100);
      waits.push(anna.now - closed);
    }
    expect(Math.max(...waits)).toBeLessThanOrEqual(30_100);
    expect(Math.max(...waits)).toBeGreaterThan(15_000);
    expect(Math.min(...waits.slice(10))).toBeLessThan(10_000);
    expect(new Set(anna.opens.map(({ url }) => url))).toEqual(new Set([0, 1, 2]));
  });

  it("gives up a handshake that takes too long", () => {
    const anna = new Bench();
    anna.step({ event: "start" });
    anna.pass(10_000);
    expect(anna.closes).toHaveLength(1);
    anna.pass(1_000);
    expect(anna.opens).toHaveLength(2);
  });

  it("pings a silent relay and leaves it at the ping time-out", () => {
    const anna = new Bench().online();
    anna.pass(15_000);
    expect(anna.sent.at(-1)?.frame.frame).toBe("ping");
    anna.frames("device", { frame: "pong", token: 1 });
    anna.pass(29_999);
    expect(anna.closes).toEqual([]);
    anna.pass(1);
    expect(anna.closes).toHaveLength(1);
  });

  it("answers pings", () => {
    const anna = new Bench().online();
    anna.frames("device", { frame: "ping", token: 77 });
    expect(anna.sent.at(-1)?.frame).toEqual({ frame: "pong", token: 77 });
  });

  it("honours goaway: waits as long as it says, with jitter, and goes to the next URL", () => {
    const anna = new Bench({ urls: 2 }).online();
    anna.frames("device", { frame: "goaway", code: PROBLEMS["shutting-down"].number, retryAfter: 5_000 });
    anna.close("device", 1012);
    anna.pass(5_000);
    expect(anna.opens).toHaveLength(1);
    anna.pass(5_000);
    expect(anna.opens.map(({ url }) => url)).toEqual([0, 1]);
  });

  it("ignores what still comes from an older connection", () => {
    const anna = new Bench().online();
    anna.close("device");
    anna.reconnect("device");
    anna.step({ event: "closed", socket: "device", connection: 1, status: 1006 });
    anna.step({ event: "frames", socket: "device", connection: 1, frames: [{ frame: "drained" }] });
    expect(anna.core.view.connection).toBe("online");
    expect(anna.tellsOf("drained")).toEqual([]);
  });

  it("ends when the store fails, with nothing sent that is not durable", () => {
    const anna = new Bench().online();
    anna.holdCommits = true;
    anna.send("Kben", "hello");
    anna.step({ event: "commit-failed", commit: anna.held[0]?.commit ?? 0, why: "disk full" });
    anna.pass(60_000);
    expect(anna.tellsOf("stopped")).toEqual([{ tell: "stopped", code: "storage-failed" }]);
    expect(anna.submits()).toEqual([]);
  });
});

describe("the anonymous connection", () => {
  const contact = (): Bench => {
    const anna = new Bench({ receiptJitterMs: 500 }).online();
    anna.hears("Kben", "hi");
    return anna;
  };

  it("carries mail for contacts, with their access key, and closes after a minute without use", () => {
    const anna = contact();
    anna.send("Kben", "hello");
    anna.accept("anonymous");
    anna.pass(1_000);
    expect(new Set(anna.submits())).toEqual(new Set(["anonymous: hello", "anonymous: receipt"]));
    const ids = anna.sent.flatMap(({ frame }) =>
      frame.frame === "submit" ? frame.envelopes.map((e) => e.id) : [],
    );
    anna.frames("anonymous", { frame: "accepted", ids });
    for (let i = 0; i < 59; i++) {
      anna.pass(1_000);
      anna.frames("device", { frame: "ping", token: i });
      anna.frames("anonymous", { frame: "ping", token: i });
    }
    expect(anna.closes).toEqual([]);
    anna.pass(1_500);
    expect(anna.closes).toMatchObject([{ socket: "anonymous" }]);
  });

  it("never makes a request of what was refused for its access key", () => {
    const anna = contact();
    anna.send("Kben", "hello");
    anna.accept("anonymous");
    const id = anna.idOf("hello");
    anna.frames("anonymous", {
      frame: "refused",
      code: PROBLEMS["not-permitted"].number,
      retryAfter: 0,
      ids: [id],
    });
    anna.pass(60_000);
    expect(anna.tellsOf("refused")).toMatchObject([{ code: "not-permitted", to: account("Kben") }]);
    expect(anna.submits().filter((s) => s.startsWith("device"))).toEqual([]);
  });

  it("waits as long as goaway says, whatever is to be sent meanwhile", () => {
    const anna = contact();
    anna.send("Kben", "hello", 10_000);
    anna.accept("anonymous");
    anna.frames("anonymous", { frame: "goaway", code: PROBLEMS["shutting-down"].number, retryAfter: 60_000 });
    anna.close("anonymous", PROBLEMS["shutting-down"].close);
    for (let i = 0; i < 59; i++) {
      anna.step({ event: "signal", to: account("Kben"), body: new Uint8Array(1) });
      anna.send("Kben", `hello ${i}`, 500); // expires before the next: in between nothing is to be sent
      anna.pass(1_000);
      anna.frames("device", { frame: "pong", token: 0 });
      expect(opens(anna, "anonymous")).toBe(1);
    }
    anna.send("Kben", "still here");
    anna.pass(62_000);
    expect(opens(anna, "anonymous")).toBeGreaterThan(1);
  });

  it("is not opened for strangers: a first message goes as a request", () => {
    const anna = new Bench().online();
    anna.send("Kben", "hello");
    expect(opens(anna, "anonymous")).toBe(0);
    expect(anna.submits()).toEqual(["device: hello"]);
  });
});

describe("first contact", () => {
  it("asks for devices, keeps the message durably meanwhile, and seals it when they are known", () => {
    const anna = new Bench().online();
    anna.send("stranger", "hello");
    expect(anna.tellsOf("queued")).toHaveLength(1);
    expect(anna.rows("unsealed")).toBe(1);
    const again = new Bench({}, anna.store).online();
    const ask = again.sent.at(-1)?.frame;
    if (ask?.frame !== "ask-devices") throw new Error(`asked ${ask?.frame}`);
    const empty = new Uint8Array();
    again.frames("device", {
      frame: "has-devices",
      request: ask.request,
      version: 1,
      deviceList: empty,
      certificates: [],
    });
    expect(again.submits()).toEqual(["device: hello"]);
    expect(again.rows("unsealed")).toBe(0);
  });

  it("asks the same again on the next connection", () => {
    const anna = new Bench().online();
    anna.send("stranger", "hello");
    anna.close("device");
    anna.reconnect("device");
    const asked = anna.sent.filter(({ frame }) => frame.frame === "ask-devices");
    expect(asked).toHaveLength(2);
    expect(asked[1]).toEqual(asked[0]);
  });

  it("waits as long as a refusal says before it asks again", () => {
    const anna = new Bench().online();
    anna.send("stranger", "hello");
    const ask = anna.sent.at(-1)?.frame;
    if (ask?.frame !== "ask-devices") throw new Error("no question");
    const code = PROBLEMS["rate-limited"].number;
    anna.frames("device", { frame: "ask-refused", request: ask.request, code, retryAfter: 10_000 });
    anna.pass(9_999);
    expect(anna.sent.filter(({ frame }) => frame.frame === "ask-devices")).toHaveLength(1);
    anna.pass(1_100);
    expect(anna.sent.filter(({ frame }) => frame.frame === "ask-devices")).toHaveLength(2);
  });

  it("reports a message that waited for keys until it expired", () => {
    const anna = new Bench().online();
    anna.send("stranger", "hello", 5_000);
    anna.pass(6_000);
    expect(anna.tellsOf("expired")).toHaveLength(1);
    expect(anna.rows("unsealed")).toBe(0);
  });
});
