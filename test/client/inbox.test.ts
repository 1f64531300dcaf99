import { describe, expect, it } from "vitest";
import { addressOf, type EnvelopeId, type FrameOf } from "@lethe/protocol";
import type { Content, Place, StreamId } from "@lethe/client";
import { account, Bench, DEVICE, id16, messageId } from "./support/bench-core.ts";
import { stubCipher } from "./support/stub-cipher.ts";

const STREAM = "stream-1" as StreamId;
const text = (body: string): Content => ({ kind: "message", body: new TextEncoder().encode(body) });

/** What the relay pushes of a message that `from` sealed. */
function push(
  body: string | Content,
  sequence?: number,
  { from = "Kben", id = "", kind = "pairwise" as FrameOf<"push">["kind"], stream = STREAM } = {},
): FrameOf<"push"> {
  const content = typeof body === "string" ? text(body) : body;
  const name = typeof body === "string" ? body : `${body.kind}${sequence ?? ""}${id}`;
  const place: Place | undefined = sequence === undefined ? undefined : { stream, sequence };
  const sealed = stubCipher(addressOf(account(from), DEVICE), from.slice(1)).seal({
    to: addressOf(account("Kanna"), DEVICE),
    id: id16(`e${name}${id}`) as EnvelopeId,
    message: messageId(name),
    place,
    content,
    sentAt: 5 as never,
    now: 5 as never,
  });
  if (sealed.ciphertext === undefined) throw new Error(sealed.code);
  return { frame: "push", id: id16(`e${name}${id}`) as EnvelopeId, kind, ciphertext: sealed.ciphertext };
}

const drained = { frame: "drained" } as const;
const acked = (bench: Bench): string[] =>
  bench.sent.flatMap(({ frame }) => (frame.frame === "delivered" ? frame.ids : []));

describe("the inbox", () => {
  it("commits, then acknowledges, then hands over", () => {
    const anna = new Bench().online();
    anna.log.length = 0;
    anna.holdCommits = true;
    anna.frames("device", push("hello", 1));
    expect(anna.log).toEqual(["commit 2"]);
    anna.letCommit();
    expect(anna.log).toEqual(["commit 2", "send delivered", "hand hello"]);
  });

  it("puts ratchet, entry, ids, stream, contact and receipt in one transaction", () => {
    const anna = new Bench().online();
    anna.holdCommits = true;
    anna.frames("device", push("hello", 1));
    const tables = anna.held[0]?.writes.map(({ table }) => table);
    expect(new Set(tables)).toEqual(new Set(["stub", "seen", "contact", "stream-in", "inbox", "receipt"]));
  });

  it("attack 28: never acknowledges before the commit, whatever comes meanwhile", () => {
    const anna = new Bench().online();
    anna.holdCommits = true;
    anna.frames("device", push("one", 1));
    anna.frames("device", push("two", 2), push("one", 1));
    anna.pass(3_000);
    expect(acked(anna)).toEqual([]);
    anna.letCommit();
    expect(acked(anna)).toEqual([id16("eone")]);
    anna.letCommit();
    expect(acked(anna)).toEqual([id16("eone"), id16("etwo"), id16("eone")]);
    expect(anna.texts()).toEqual(["one", "two"]);
  });

  it("acknowledges many ids in one frame", () => {
    const anna = new Bench().online();
    anna.frames("device", ...Array.from({ length: 50 }, (_, i) => push(`m${i}`, i + 1)));
    expect(anna.sent.filter(({ frame }) => frame.frame === "delivered")).toHaveLength(1);
    expect(acked(anna)).toHaveLength(50);
    expect(anna.texts()).toHaveLength(50);
  });

  it("acknowledges a repeated envelope in silence, also after a restart", () => {
    const anna = new Bench().online();
    anna.frames("device", push("hello", 1), push("hello", 1));
    expect(anna.store.get("stub")?.get("opened")).toEqual(Uint8Array.of(1));
    const again = new Bench({}, anna.store).online();
    again.frames("device", push("hello", 1));
    expect(acked(again)).toEqual([id16("ehello")]);
    expect(anna.texts()).toEqual(["hello"]);
  });

  it("hands a message over once though it comes under two envelopes", () => {
    const anna = new Bench().online();
    anna.frames("device", push("hello", 1), push("hello", 1, { id: "2" }));
    expect(anna.texts()).toEqual(["hello"]);
    expect(acked(anna)).toHaveLength(2);
  });

  it("hands over again, under the same id, what was not settled when the process ended", () => {
    const anna = new Bench().online();
    anna.frames("device", push("one", 1), push("two", 2));
    const first = anna.handed[0]?.entry ?? -1;
    anna.step({ event: "settled", entry: first });
    const again = new Bench({}, anna.store);
    again.step({ event: "start" });
    expect(again.handed).toEqual([anna.handed[1]]);
  });

  it("holds back what arrives early and hands it over in order", () => {
    const anna = new Bench().online();
    anna.frames("device", push("two", 2), push("three", 3));
    expect(anna.texts()).toEqual([]);
    expect(acked(anna)).toHaveLength(2);
    anna.frames("device", push("one", 1));
    expect(anna.texts()).toEqual(["one", "two", "three"]);
  });

  it("holds back through a restart, and reports the gap 10 s after the mailbox is drained", () => {
    const anna = new Bench().online();
    anna.frames("device", push("one", 1), push("three", 3));
    const again = new Bench({}, anna.store).online();
    again.pass(20_000);
    expect(again.texts()).toEqual(["one"]);
    again.frames("device", drained);
    again.pass(9_999);
    expect(again.texts()).toEqual(["one"]);
    again.pass(1);
    expect(again.texts()).toEqual(["one", "gap 2-2", "three"]);
  });

  it("tells each gap where it stands between the messages", () => {
    const anna = new Bench().online();
    anna.frames("device", drained, push("two", 2), push("four", 4));
    anna.pass(10_000);
    expect(anna.texts()).toEqual(["gap 1-1", "two", "gap 3-3", "four"]);
  });

  it("gives a gap up durably: told again, under the same id, until the application has settled it", () => {
    const anna = new Bench().online();
    anna.frames("device", drained, push("three", 3));
    anna.holdCommits = true;
    anna.pass(10_000);
    expect(anna.texts(), "nothing before the commit").toEqual([]);
    const died = new Bench(
      {},
      new Map([...anna.store].map(([table, rows]) => [table, new Map(rows)])),
    ).online();
    died.frames("device", drained);
    died.pass(10_000);
    expect(died.texts(), "not given up before the crash: given up after it").toEqual(["gap 1-2", "three"]);
    anna.letCommit();
    const told = anna.handed[0];
    const again = new Bench({}, anna.store).online();
    expect(again.texts()).toEqual(["gap 1-2", "three"]);
    expect(again.handed[0]).toEqual(told);
    again.step({ event: "settled", entry: told?.entry ?? -1 });
    expect(new Bench({}, anna.store).online().texts()).toEqual(["three"]);
  });

  it("reports a gap 10 s after the arrival, when that is later than drained", () => {
    const anna = new Bench().online();
    anna.frames("device", drained);
    anna.pass(15_000);
    anna.frames("device", push("two", 2));
    anna.pass(9_999);
    expect(anna.texts()).toEqual([]);
    anna.pass(1);
    expect(anna.texts()).toEqual(["gap 1-1", "two"]);
  });

  it("gives nothing up while it is not connected", () => {
    const anna = new Bench().online();
    anna.frames("device", drained, push("two", 2));
    anna.close("device");
    anna.pass(60_000);
    expect(anna.texts()).toEqual([]);
  });

  it("hands over once, marked late, what arrives after its gap was reported", () => {
    const anna = new Bench().online();
    anna.frames("device", drained, push("two", 2));
    anna.pass(10_000);
    anna.frames("device", push("one", 1), push("one", 1));
    expect(anna.texts()).toEqual(["gap 1-1", "two", "one (late)"]);
  });

  it("keeps the streams of senders apart, and begins anew with a sender that does", () => {
    const anna = new Bench().online();
    anna.frames("device", push("ben 2", 2), push("cleo 1", 1, { from: "Kcleo" }));
    expect(anna.texts()).toEqual(["cleo 1"]);
    anna.frames("device", push("anew", 1, { stream: "stream-2" as StreamId }));
    expect(anna.texts()).toEqual(["cleo 1", "anew"]);
  });

  it("attack 24: quarantines and acknowledges what does not open, and the next flows", () => {
    const anna = new Bench().online();
    const poison = { ...push("x", 1), ciphertext: Uint8Array.of(1, 2, 3) };
    anna.frames("device", poison, push("hello", 1));
    expect(anna.tellsOf("quarantined")).toMatchObject([{ code: "malformed" }]);
    expect(acked(anna)).toHaveLength(2);
    expect(anna.rows("quarantine")).toBe(1);
    expect(anna.texts()).toEqual(["hello"]);
  });

  it("keeps at most 100 quarantined envelopes", () => {
    const anna = new Bench().online();
    for (let i = 0; i < 130; i++) {
      const id = id16(`poison ${i}`) as EnvelopeId;
      anna.frames("device", { frame: "push", id, kind: "pairwise", ciphertext: Uint8Array.of(1) });
    }
    expect(anna.rows("quarantine")).toBe(100);
  });

  it("leaves at the relay what the application has no room for, and takes it when it has", () => {
    const anna = new Bench().online();
    for (let at = 0; at < 1_050; at += 50)
      anna.frames("device", ...Array.from({ length: 50 }, (_, i) => push(`m${at + i}`, at + i + 1)));
    expect(anna.handed).toHaveLength(1_000);
    expect(acked(anna)).toHaveLength(1_000);
    for (const { entry } of anna.handed.slice(0, 50)) anna.step({ event: "settled", entry });
    expect(anna.texts().at(-1)).toBe("m1049");
    expect(acked(anna)).toHaveLength(1_050);
  });

  it("disconnects from a relay that pushes past every window", () => {
    const anna = new Bench().online();
    for (let at = 0; at < 1_400; at += 50)
      anna.frames("device", ...Array.from({ length: 50 }, (_, i) => push(`m${at + i}`, at + i + 1)));
    expect(anna.closes).toMatchObject([{ socket: "device" }]);
  });

  it("holds back at most 1,000, then reports the gap at once", () => {
    const anna = new Bench().online();
    for (let i = 0; i < 1_001; i++) anna.frames("device", push(`m${i}`, i + 2));
    expect(anna.gaps()).toEqual([[1, 1]]);
    expect(anna.handed).toHaveLength(1_002);
  });

  it("survives content of a later version", () => {
    const anna = new Bench().online();
    anna.frames("device", push({ kind: "unknown", body: Uint8Array.of(9) } as never, 1), push("two", 2));
    expect(anna.handed.map(({ content }) => content.kind)).toEqual(["unknown", "message"]);
  });

  it("tells signals of contacts, and neither keeps nor acknowledges them", () => {
    const anna = new Bench().online();
    const typing: Content = { kind: "signal", body: Uint8Array.of(1) };
    anna.frames("device", push(typing, undefined, { kind: "signal" }));
    expect(anna.tellsOf("signal")).toEqual([]);
    anna.frames("device", push("hello", 1), push(typing, undefined, { kind: "signal" }));
    expect(anna.tellsOf("signal")).toHaveLength(1);
    expect(acked(anna)).toEqual([id16("ehello")]);
  });
});

describe("requests", () => {
  it("keeps a stranger's mail until the person accepts, without a receipt", () => {
    const anna = new Bench({ requests: "ask" }).online();
    anna.frames("device", push("one", 1), push("two", 2));
    anna.pass(10_000);
    expect(anna.texts()).toEqual([]);
    expect(acked(anna)).toHaveLength(2);
    expect(anna.tellsOf("request")).toEqual([{ tell: "request", account: account("Kben"), name: "ben" }]);
    expect(anna.rows("receipt")).toBe(0);
    const again = new Bench({ requests: "ask" }, anna.store).online();
    expect(again.tellsOf("request")).toHaveLength(1);
    again.step({ event: "decide", account: account("Kben"), decision: "accepted" });
    expect(again.texts()).toEqual(["one", "two"]);
  });

  it("drops what is blocked: the mail that waits and the mail that comes, acknowledged all the same", () => {
    const anna = new Bench({ requests: "ask" }).online();
    anna.frames("device", push("one", 1), push("three", 3));
    anna.step({ event: "decide", account: account("Kben"), decision: "blocked" });
    anna.frames("device", push("two", 2));
    expect(anna.texts()).toEqual([]);
    expect(anna.rows("inbox")).toBe(0);
    expect(acked(anna)).toHaveLength(3);
  });

  it("keeps a stranger's gap where it stands, and tells it to nobody before the person has accepted", () => {
    const anna = new Bench({ requests: "ask" }).online();
    anna.frames("device", drained, push("one", 1), push("three", 3));
    anna.pass(10_000);
    expect(anna.handed).toEqual([]);
    const again = new Bench({ requests: "ask" }, anna.store).online();
    again.step({ event: "decide", account: account("Kben"), decision: "accepted" });
    expect(again.texts()).toEqual(["one", "gap 2-2", "three"]);
  });

  it("keeps at most 500 messages of one stranger", () => {
    const anna = new Bench({ requests: "ask" }).online();
    for (let i = 0; i < 510; i++) anna.frames("device", push(`m${i}`, i + 1));
    expect(anna.rows("inbox")).toBe(500);
    expect(acked(anna)).toHaveLength(510);
    anna.step({ event: "decide", account: account("Kben"), decision: "accepted" });
    expect(anna.texts()).toEqual(Array.from({ length: 500 }, (_, i) => `m${i}`));
  });

  it("keeps at most 256 KiB of one stranger, and as much of another", () => {
    const anna = new Bench({ requests: "ask" }).online();
    const large = (fill: number): Content => ({ kind: "message", body: new Uint8Array(60_000).fill(fill) });
    for (const from of ["Kben", "Kcleo"])
      for (let i = 1; i <= 5; i++) anna.frames("device", push(large(i), i, { from, id: `${from}${i}` }));
    expect(anna.rows("inbox")).toBe(8);
    expect(acked(anna)).toHaveLength(10);
  });
});

describe("receipts", () => {
  it("names many messages in one receipt, after a jitter, over the anonymous connection", () => {
    const anna = new Bench({ receiptJitterMs: 5_000 }).online();
    anna.frames("device", push("one", 1), push("two", 2), push("three", 3));
    anna.pass(5_001);
    anna.accept("anonymous");
    expect(anna.submits()).toEqual(["anonymous: receipt"]);
    expect(anna.rows("receipt")).toBe(0);
  });

  it("attack 41: believes a receipt only from the account that the message went to, and once", () => {
    const anna = new Bench().online();
    const one = anna.send("Kben", "one");
    const receipt: Content = { kind: "receipt", delivered: [one], read: [] };
    anna.frames("device", push(receipt, undefined, { from: "Kmallory", id: "m" }));
    anna.frames("device", push({ ...receipt, delivered: [messageId("never sent")] }, undefined, { id: "n" }));
    expect(anna.handed).toEqual([]);
    anna.frames("device", push(receipt, undefined, { id: "1" }));
    expect(anna.texts()).toEqual(["receipt 1/0"]);
    expect(anna.core.view.sent(one)?.state).toBe("delivered");
  });
});
