import { describe, expect, it } from "vitest";
import {
  addressOf,
  type DeviceNumber,
  encodeFrames,
  type EnvelopeId,
  MAX_ENVELOPE_BYTES,
  PROBLEMS,
  type Time,
} from "@lethe/protocol";
import { type Item, submits } from "../../client-lib/delivery/flows.ts";
import { account, Bench, id16, messageId } from "./support/bench-core.ts";

const refused = (code: keyof typeof PROBLEMS, retryAfter: number, ...ids: ReturnType<Bench["lastId"]>[]) =>
  ({ frame: "refused", code: PROBLEMS[code].number, retryAfter, ids }) as const;

/** Anna, who has Ben's access key: what she sends goes over the anonymous connection, and her receipts much later. */
function withContact(): Bench {
  const anna = new Bench({ receiptJitterMs: 1_000_000 }).online();
  anna.hears("Kben", "hi");
  return anna;
}

describe("the outbox", () => {
  it("commits ciphertext before the first transmission", () => {
    const anna = new Bench().online();
    anna.holdCommits = true;
    anna.send("Kben", "hello");
    expect(anna.submits()).toEqual([]);
    anna.letCommit();
    expect(anna.submits()).toEqual(["device: hello"]);
  });

  it("is cleared by accepted, and only then tells that the message is sent", () => {
    const anna = new Bench().online();
    anna.send("Kben", "hello");
    expect(anna.rows("outbox")).toBe(1);
    anna.holdCommits = true;
    anna.frames("device", { frame: "accepted", ids: [anna.lastId()] });
    expect(anna.tellsOf("sent")).toEqual([]);
    anna.letCommit();
    expect(anna.tellsOf("sent")).toHaveLength(1);
    expect(anna.rows("outbox")).toBe(0);
  });

  it("sends the same bytes under the same id after a lost connection and after a restart", () => {
    const anna = new Bench().online();
    anna.send("Kben", "hello");
    anna.close("device");
    anna.reconnect("device");
    const again = new Bench({}, anna.store).online();
    const submits = [...anna.sent, ...again.sent]
      .map(({ frame }) => frame)
      .filter((f) => f.frame === "submit");
    expect(submits).toHaveLength(3);
    expect(submits[1]).toEqual(submits[0]);
    expect(submits[2]).toEqual(submits[0]);
  });

  it("sends nothing further to a device after a refusal until the refused item is accepted", () => {
    const anna = new Bench().online();
    anna.send("Kben", "one");
    anna.frames("device", refused("mailbox-full", 5_000, anna.idOf("one")));
    anna.send("Kben", "two");
    anna.send("Kcleo", "hi");
    expect(anna.submits()).toEqual(["device: one", "device: hi"]);
    anna.pass(4_999);
    expect(anna.submits()).toHaveLength(2);
    anna.pass(5_000);
    expect(anna.submits()).toEqual(["device: one", "device: hi", "device: one"]);
    anna.frames("device", { frame: "accepted", ids: [anna.idOf("one")] });
    expect(anna.submits().at(-1)).toBe("device: two");
  });

  it("waits for the earliest refused item when several were under way", () => {
    const anna = withContact();
    for (const text of ["one", "two", "three"]) anna.send("Kben", text);
    anna.accept("anonymous");
    anna.frames("anonymous", refused("mailbox-full", 1_000, anna.idOf("two"), anna.idOf("three")));
    anna.frames("anonymous", refused("mailbox-full", 1_000, anna.idOf("one")));
    anna.pass(10_000);
    expect(anna.submits().slice(3)).toEqual(["anonymous: one"]);
    anna.frames("anonymous", { frame: "accepted", ids: [anna.idOf("one")] });
    anna.pass(10_000);
    expect(anna.submits().slice(4)).toEqual(["anonymous: two", "anonymous: three"]);
  });

  it("waits as long as the relay says for every reason that passes, over reconnects too", () => {
    for (const code of ["rate-limited", "busy", "mailbox-full", "storage-full"] as const) {
      const anna = new Bench().online();
      anna.send("Kben", "one");
      anna.frames("device", refused(code, 60_000, anna.idOf("one")));
      expect(anna.tellsOf("waiting")).toMatchObject([{ code }]);
      for (let i = 0; i < 5; i++) {
        anna.close("device");
        anna.reconnect("device");
      }
      const before = anna.submits().length;
      expect(before).toBe(1);
      anna.frames("device", { frame: "pong", token: 0 });
      while (anna.submits().length === 1) {
        anna.pass(100);
        anna.frames("device", { frame: "pong", token: 0 });
      }
      expect(anna.now).toBeGreaterThanOrEqual(1_000_000 + 60_000);
      expect(anna.now).toBeLessThan(1_000_000 + 62_000);
    }
  });

  it("reports what is refused for good, drops it, and goes on", () => {
    const anna = new Bench().online();
    anna.send("Kben", "one");
    anna.send("Kben", "two");
    anna.frames("device", refused("envelope-too-large", 0, anna.idOf("one")));
    expect(anna.tellsOf("refused")).toMatchObject([{ code: "envelope-too-large" }]);
    expect(anna.rows("outbox")).toBe(1);
  });

  it("never renews an expiry, reports what expired, and says so only while no answer can come", () => {
    const anna = new Bench().online();
    anna.send("Kben", "brief", 20_000);
    anna.close("device", 1006);
    anna.pass(19_000);
    expect(anna.tellsOf("expired")).toEqual([]);
    anna.pass(2_000);
    expect(anna.tellsOf("expired")).toMatchObject([{ to: account("Kben") }]);
    expect(anna.rows("outbox")).toBe(0);
  });

  it("keeps at most the window under way", () => {
    const anna = withContact();
    for (let i = 0; i < 300; i++) anna.send("Kben", `m${i}`);
    anna.accept("anonymous");
    expect(anna.submits()).toHaveLength(128);
    anna.frames("anonymous", { frame: "accepted", ids: [anna.idOf("m0"), anna.idOf("m1")] });
    expect(anna.submits()).toHaveLength(130);
  });

  it("sends requests one at a time, and with the key, once it is known, all that no relay has seen", () => {
    const anna = new Bench({ receiptJitterMs: 1_000_000 }).online();
    for (const text of ["one", "two", "three"]) anna.send("Kben", text);
    expect(anna.submits()).toEqual(["device: one"]);
    anna.frames("device", { frame: "accepted", ids: [anna.idOf("one")] });
    expect(anna.submits()).toEqual(["device: one", "device: two"]);
    anna.frames("device", refused("rate-limited", 20_000, anna.idOf("two")));
    anna.hears("Kben", "yes?");
    anna.accept("anonymous");
    expect(anna.submits(), "in order all the same").toHaveLength(2);
    for (let i = 0; i < 22; i++) {
      anna.pass(1_000);
      for (const socket of ["device", "anonymous"] as const) anna.frames(socket, { frame: "ping", token: i });
    }
    expect(anna.submits().slice(2)).toEqual(["device: two"]);
    anna.frames("device", { frame: "accepted", ids: [anna.idOf("two")] });
    expect(anna.submits().slice(3)).toEqual(["anonymous: three"]);
    const again = new Bench({ receiptJitterMs: 1_000_000 }, anna.store).online();
    again.accept("anonymous");
    expect(again.submits()[0], "under the key after a restart too").toBe("anonymous: three");
  });

  it("keeps a request that a relay may have seen a request, over a restart too", () => {
    const anna = new Bench().online();
    anna.send("Kben", "one");
    const again = new Bench({ receiptJitterMs: 1_000_000 }, anna.store);
    again.step({ event: "start" });
    again.accept("device");
    again.hears("Kben", "yes?");
    again.close("device");
    again.reconnect("device");
    expect(new Set(again.submits())).toEqual(new Set(["device: one"]));
    expect(again.opens.filter(({ socket }) => socket === "anonymous")).toEqual([]);
  });

  it("submits again what got no answer", () => {
    const anna = new Bench().online();
    anna.send("Kben", "hello");
    for (let i = 0; i < 31; i++) {
      anna.pass(1_000);
      anna.frames("device", { frame: "ping", token: i });
    }
    expect(anna.submits()).toEqual(["device: hello", "device: hello"]);
  });

  it("asks for the device list when it is stale, and submits the same envelope under the new version", () => {
    const anna = new Bench().online();
    anna.send("Kben", "hello");
    const ids = [anna.lastId()];
    anna.frames("device", {
      frame: "stale-list",
      account: account("Kben"),
      version: 2,
      missing: [],
      extra: [],
      ids,
    });
    const ask = anna.sent.at(-1)?.frame;
    if (ask?.frame !== "ask-devices") throw new Error("no question");
    const empty = new Uint8Array();
    anna.frames("device", {
      frame: "has-devices",
      request: ask.request,
      version: 2,
      deviceList: empty,
      certificates: [],
    });
    anna.pass(1);
    expect(anna.submits()).toEqual(["device: hello", "device: hello"]);
    expect(anna.lastId()).toBe(ids[0]);
  });
});

describe("what the relay takes", () => {
  const takes = (bench: Bench, maxEnvelopeBytes: number, maxTtlMs = 30 * 86_400_000): void =>
    void bench.step({ event: "terms", terms: { maxEnvelopeBytes, maxTtlMs } });

  it("is not tried to be exceeded: a message that is too large is refused here, and later ones go", () => {
    const anna = new Bench().online();
    takes(anna, 200);
    anna.send("Kben", "x".repeat(150)); // under the limit, but not once it is sealed
    anna.send("Kben", "y".repeat(300));
    anna.send("Kben", "small");
    expect(anna.tellsOf("refused").map(({ code }) => code)).toEqual(["body-too-large", "body-too-large"]);
    expect(anna.submits()).toEqual(["device: small"]);
    expect(anna.core.view.outbox).toBe(1);
    expect(anna.rows("unsealed")).toBe(0);
  });

  it("is the last word of it, of the policy or of a connection, and never more than the protocol allows", () => {
    const anna = new Bench().online();
    takes(anna, 200);
    anna.close("device");
    anna.reconnect("device"); // says 70,000
    anna.send("Kben", "x".repeat(300));
    takes(anna, 10_000_000, 365 * 86_400_000);
    anna.send("Kben", "z".repeat(63_489));
    expect(anna.tellsOf("refused").map(({ code }) => code)).toEqual(["body-too-large"]);
    anna.send("Kcleo", "long", 300 * 86_400_000);
    takes(anna, 10_000, 60_000);
    anna.send("Kdora", "short", 300 * 86_400_000);
    const expiries = anna.sent.flatMap(({ frame }) =>
      frame.frame === "submit" ? [frame.expiry - anna.now] : [],
    );
    expect(expiries.slice(1)).toEqual([30 * 86_400_000, 60_000]);
  });
});

describe("the frames of a submit", () => {
  const item = (order: number, message: string, device: number, bytes = 100): Item => ({
    id: id16(`e${order}`) as EnvelopeId,
    message: messageId(message),
    to: addressOf(account("ben"), device as DeviceNumber),
    shown: false,
    listVersion: 1,
    expiry: 1_000 as Time,
    accessKey: undefined,
    told: "yes",
    ciphertext: new Uint8Array(bytes),
    order,
    progress: { at: "ready" },
    tries: 0,
  });
  const shape = (items: Item[]): number[][] =>
    submits(items).map((frame) =>
      frame.frame === "submit" ? frame.envelopes.map(({ device }) => device) : [],
    );

  it("hold one message for as many devices as an account may have", () => {
    const items = Array.from({ length: 16 }, (_, n) => item(n, "one", n + 1));
    expect(shape(items)).toEqual([items.map((_, n) => n + 1)]);
    expect(shape([item(1, "one", 1), item(2, "two", 1), item(3, "two", 2)])).toEqual([[1], [1, 2]]);
  });

  it("stay under the limit of a frame, with the largest envelopes there are", () => {
    const items = Array.from({ length: 16 }, (_, n) => item(n, "one", n + 1, MAX_ENVELOPE_BYTES));
    expect(shape(items).map((devices) => devices.length)).toEqual([7, 7, 2]);
    for (const frame of submits(items)) expect(encodeFrames(frame).length).toBeGreaterThan(0);
  });

  it("give no device a later message in an earlier frame, though one was sealed for it later than for others", () => {
    // "one" is with device 1 already, and is sealed for device 2, new, only when "two" is on its way to device 1.
    expect(shape([item(1, "two", 1), item(2, "one", 2), item(3, "two", 2)])).toEqual([[1], [2], [2]]);
  });
});
