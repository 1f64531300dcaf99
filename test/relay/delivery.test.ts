// The rules of delivery.md, one story each, on the machines themselves: what goes in, what comes out, in which order.
import { type AccountId, addressOf, type DeviceNumber } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { appended, ben, entry, envelope, FAR, id, owner, Story, stored } from "./delivery-story.ts";
import type { NodeId } from "@lethe/queue";

const elsewhere = owner("B1", 4);

describe("a device connects", () => {
  it("claims, is welcomed, is pushed what waited, and hears `drained` when a read returns nothing", () => {
    const a = new Story();
    expect(a.connect(1, 7)).toEqual(["claim as A1/1 with epoch 7"]);
    expect(a.answer("claim", { is: "claimed", previous: undefined })).toEqual([
      "welcome to 1",
      "ben is online",
      "read 64 after 0",
    ]);
    expect(a.answer("read", a.page([entry(5, "one", [0x01]), entry(9, "two", [0x02])]))).toEqual([
      "push one 01 to 1",
      "push two 02 to 1",
      "read 62 after 9",
    ]);
    expect(a.answer("read", a.page([]))).toEqual(["drained to 1"]);
    expect(a.ack("one", "two")).toEqual(["remove 5 one, 9 two"]);
    expect(a.answer("remove", { is: "done" })).toEqual([]);
  });

  it("is told the last epoch when its own is not above it, and is ended", () => {
    const a = new Story();
    a.connect(1, 7);
    expect(a.answer("claim", { is: "behind", last: 12 })).toEqual([
      "epoch-behind 12 to 1",
      "end 1: epoch-behind",
      "append () and release as A1/1",
    ]);
  });

  it("displaces its earlier connection, at this node at once and at another over the link", () => {
    const a = new Story().live(1);
    a.connect(2, 2);
    expect(a.answer("claim", { is: "claimed", previous: owner("A1", 1) })).toEqual([
      "welcome to 2",
      "ben is online",
      "end 1: displaced",
      "append () and release as A1/1",
      "read 64 after 0",
    ]);

    const b = new Story("B1");
    b.connect(1, 3);
    expect(b.answer("claim", { is: "claimed", previous: owner("A1", 2) })).toEqual([
      "welcome to 1",
      "ben is online",
      "open a link to A1",
      "read 64 after 0",
    ]);
    expect(b.linkUp("A1")).toEqual(["to A1: displace A1/2"]);
  });

  it("that goes before its claim is answered leaves no owner behind", () => {
    const a = new Story();
    a.connect(1);
    expect(a.gone()).toEqual(["append () and release as A1/1"]);
    expect(a.answer("claim", { is: "claimed", previous: undefined })).toEqual([
      "append () and release as A1/1",
    ]);
  });

  it("is ended with `device-removed` once it is retired", () => {
    const a = new Story();
    a.connect(1);
    expect(a.answer("claim", { is: "no-device" })[0]).toBe("end 1: device-removed");
  });
});

describe("an envelope for a device that is online here", () => {
  it("is pushed at once, accepted after the delivered-ack, and touches no store", () => {
    const a = new Story().live();
    expect(a.submit("hi", 9, [0xbe, 0xef])).toEqual(["push hi beef to 1"]);
    expect(a.ack("hi")).toEqual(["accepted hi to 9"]);
    expect(a.asked).toEqual([]);
    expect(a.node.sizes()).toEqual({ sessions: 1, flows: 0, unsettledBytes: 0, calls: 0 });
  });

  it("is spilled when the live window is over, and removed when its ack comes after all", () => {
    const a = new Story().live();
    a.submit("hi");
    expect(a.after(1_999)).toEqual([]);
    expect(a.after(1)).toEqual(["append hi as A1/1"]);
    expect(a.answer("appendAsOwner", stored(3))).toEqual(["accepted hi to 9", "read 63 after 0"]);
    expect(a.answer("read", a.page([entry(3, "hi")]))).toEqual(["read 63 after 3"]);
    expect(a.answer("read", a.page([]))).toEqual([]);
    expect(a.ack("hi")).toEqual(["remove 3 hi"]);
  });

  it("is not pushed again by a page that was asked for before its ack: that copy goes", () => {
    const a = new Story().live();
    a.submit("hi");
    a.after(2_000);
    expect(a.answer("appendAsOwner", stored(3))).toEqual(["accepted hi to 9", "read 63 after 0"]);
    expect(a.ack("hi")).toEqual(["remove 3 hi"]);
    expect(a.answer("read", a.page([entry(3, "hi"), entry(4, "next")]))).toEqual([
      "push next cafe to 1",
      "remove 3 hi",
      "read 63 after 4",
    ]);
    expect(a.answer("read", a.page([]))).toEqual([]);
  });

  it("is left to the next tick when so much is spilled at once that others would wait", () => {
    const a = new Story("A1", { tickSpills: 1 }).live();
    const anna = addressOf("anna............" as AccountId, 1 as DeviceNumber);
    a.step({ is: "connected", connection: 2, address: anna, epoch: 1 });
    a.answer("claim", { is: "claimed", previous: undefined });
    a.answer("read", a.page([], owner("A1", 2)));
    a.submit("to-ben");
    a.step({ is: "submitted", connection: 9, address: anna, envelope: envelope("to-anna") });
    expect(a.after(2_000)).toEqual(["append to-ben as A1/1"]);
    expect(a.after(50)).toEqual(["append to-anna as A1/2"]);
    expect(a.after(50)).toEqual([]);
  });

  it("is settled by an ack that comes while it is being appended; the copy is removed when its place is known", () => {
    const a = new Story().live();
    a.submit("hi");
    a.after(2_000);
    expect(a.ack("hi")).toEqual(["accepted hi to 9"]);
    expect(a.answer("appendAsOwner", stored(3))).toEqual(["remove 3 hi", "read 64 after 0"]);
  });

  it("waits behind what is being read, and is appended, so that the order holds", () => {
    const a = new Story();
    a.connect(1);
    a.answer("claim", { is: "claimed", previous: undefined });
    expect(a.submit("new")).toEqual([]);
    expect(a.answer("read", a.page([entry(1, "old", [0x01])]))).toEqual([
      "push old 01 to 1",
      "append new as A1/1",
    ]);
    expect(a.answer("appendAsOwner", stored(2))).toEqual(["accepted new to 9", "read 63 after 1"]);
    expect(a.answer("read", a.page([entry(2, "new")]))).toEqual(["push new cafe to 1", "read 62 after 2"]);
    expect(a.answer("read", a.page([]))).toEqual(["drained to 1"]);
  });

  it("waits for the first read, and is pushed when that returns nothing", () => {
    const a = new Story();
    a.connect(1);
    a.answer("claim", { is: "claimed", previous: undefined });
    a.submit("new");
    expect(a.answer("read", a.page([]))).toEqual(["drained to 1", "push new cafe to 1"]);
  });

  it("spills with all that is in flight, in order, when the push window is full", () => {
    const a = new Story("A1", { pushEnvelopes: 2 }).live();
    expect(a.submit("one")).toEqual(["push one cafe to 1"]);
    expect(a.submit("two")).toEqual(["push two cafe to 1"]);
    expect(a.submit("three")).toEqual(["append one two three as A1/1"]);
    expect(a.answer("appendAsOwner", stored(1, 2, 3))).toEqual([
      "accepted one to 9",
      "accepted two to 9",
      "accepted three to 9",
    ]);
    expect(a.ack("one")).toEqual(["remove 1 one", "read 1 after 0"]);
  });

  it("is refused when its mailbox is full, and still counts in the window until the device acknowledges it", () => {
    const a = new Story("A1", { pushEnvelopes: 2 }).live();
    a.submit("one");
    a.after(2_000);
    expect(a.answer("appendAsOwner", stored("mailbox-full"))).toEqual([
      "refused one to 9: mailbox-full",
      "read 1 after 0",
    ]);
    expect(a.answer("read", a.page([]))).toEqual([]);
    expect(a.submit("one")).toEqual(["append one as A1/1"]);
    expect(a.ack("one")).toEqual(["accepted one to 9"]);
  });

  it("goes to the store first where the live window is set to 0", () => {
    const a = new Story("A1", { liveStart: 0 }).live();
    expect(a.submit("hi")).toEqual(["append hi as A1/1"]);
    expect(a.answer("appendAsOwner", stored(1))).toEqual(["accepted hi to 9", "read 64 after 0"]);
    expect(a.answer("read", a.page([entry(1, "hi")]))).toEqual(["push hi cafe to 1", "read 63 after 1"]);
  });
});

describe("an envelope for a device that is not here", () => {
  it("is stored when nobody owns the mailbox, and accepted only when the store has said so", () => {
    const a = new Story();
    expect(a.submit("hi")).toEqual(["lookUp"]);
    expect(a.answer("lookUp", { is: "found", owner: undefined, lastSeen: FAR })).toEqual([
      "append hi unless owned, suspect nobody",
    ]);
    expect(a.answer("appendUnlessOwned", appended([1]))).toEqual(["accepted hi to 9"]);
  });

  it("is offered to an owner that came in the meantime", () => {
    const a = new Story();
    a.submit("hi");
    a.answer("lookUp", { is: "found", owner: undefined, lastSeen: FAR });
    expect(a.answer("appendUnlessOwned", { is: "owned", owner: elsewhere })).toEqual(["open a link to B1"]);
    expect(a.linkUp()).toEqual(["to B1: offer hi to B1/4"]);
    expect(a.answered(elsewhere, ["hi"], "delivered")).toEqual(["accepted hi to 9"]);
  });

  it("is stored past an owner whose node has no lease, which is woken before anything is accepted", () => {
    const a = new Story();
    a.leases("A1");
    a.submit("hi");
    expect(a.answer("lookUp", { is: "found", owner: elsewhere, lastSeen: FAR })).toEqual([
      "append hi unless owned, suspect B1/4",
    ]);
    expect(a.answer("appendUnlessOwned", appended([1], elsewhere))).toEqual(["wake B1"]);
    expect(a.answer("wake", { is: "done" })).toEqual(["accepted hi to 9"]);
  });

  it("is refused once the device is removed", () => {
    const a = new Story();
    a.submit("hi");
    expect(a.answer("lookUp", { is: "no-device" })).toEqual(["refused hi to 9: no-device"]);
  });
});

/** Node A with `names` offered to Ben's session at node B. */
function offering(...names: readonly string[]): Story {
  const a = new Story();
  for (const name of names) a.submit(name);
  a.answer("lookUp", { is: "found", owner: elsewhere, lastSeen: FAR });
  a.linkUp();
  return a;
}

describe("what was offered comes back", () => {
  it("all of it, in order, when one offer is answered `not-owner`", () => {
    const a = offering("one");
    a.submit("two");
    a.submit("three");
    expect(a.answered(elsewhere, ["one"], "not-owner")).toEqual([
      "append one two three unless owned, suspect B1/4",
    ]);
    expect(a.answer("appendUnlessOwned", appended([1, 2, 3]))).toEqual([
      "accepted one to 9",
      "accepted two to 9",
      "accepted three to 9",
    ]);
  });

  it("when the link breaks, and the owner that is still on record is woken", () => {
    const a = offering("one");
    expect(a.linkDown()).toEqual(["append one unless owned, suspect B1/4"]);
    expect(a.answer("appendUnlessOwned", appended([1], elsewhere))).toEqual(["wake B1"]);
    expect(a.answer("wake", { is: "done" })).toEqual(["accepted one to 9"]);
  });

  it("when another link takes the place of the one that stood, though nobody said that it broke", () => {
    const a = offering("one");
    expect(a.linkUp()).toEqual(["append one unless owned, suspect B1/4"]);
  });

  it("when nobody answers in time, and an answer that comes later is ignored", () => {
    const a = offering("one");
    expect(a.after(11_999)).toEqual([]);
    expect(a.after(1)).toEqual(["append one unless owned, suspect B1/4"]);
    expect(a.answered(elsewhere, ["one"], "delivered")).toEqual([]);
    expect(a.answer("appendUnlessOwned", appended([1]))).toEqual(["accepted one to 9"]);
  });

  it("and goes to the next owner, if there is one by then", () => {
    const a = offering("one");
    a.answered(elsewhere, ["one"], "not-owner");
    expect(a.answer("appendUnlessOwned", { is: "owned", owner: owner("C1", 8) })).toEqual([
      "open a link to C1",
    ]);
    expect(a.linkUp("C1")).toEqual(["to C1: offer one to C1/8"]);
  });

  it("without anything behind it being asked for a way of its own meanwhile", () => {
    const a = offering("one");
    a.answered(elsewhere, ["one"], "not-owner");
    expect(a.submit("two")).toEqual([]);
    expect(a.answer("appendUnlessOwned", appended([1]))).toEqual(["accepted one to 9", "lookUp"]);
  });
});

describe("a sender that asks again", () => {
  it("under the same id is answered once, on the connection that asked last", () => {
    const a = new Story().live();
    a.submit("hi", 9);
    expect(a.submit("hi", 10)).toEqual([]);
    expect(a.ack("hi")).toEqual(["accepted hi to 10"]);
  });

  it("by two nodes is answered by both, for one push", () => {
    const a = new Story().live();
    a.linkUp("B1");
    a.linkUp("C1");
    expect(a.offer(owner("A1", 1), ["hi"], "B1")).toEqual(["push hi cafe to 1"]);
    expect(a.offer(owner("A1", 1), ["hi"], "C1")).toEqual([]);
    expect(a.ack("hi")).toEqual(["to B1: delivered hi", "to C1: delivered hi"]);
  });

  it("while its envelope is being appended hears what becomes of that append", () => {
    const a = new Story().live();
    a.linkUp("B1");
    a.linkUp("C1");
    a.offer(owner("A1", 1), ["hi"], "B1");
    a.after(2_000);
    expect(a.offer(owner("A1", 1), ["hi"], "C1")).toEqual([]);
    expect(a.answer("appendAsOwner", stored(1))).toEqual([
      "to B1: stored hi",
      "to C1: stored hi",
      "read 63 after 0",
    ]);
  });

  it("too much at once hears `busy`", () => {
    const a = new Story("A1", { flowEnvelopes: 1 });
    a.submit("one");
    expect(a.submit("two")).toEqual(["refused two to 9: busy"]);
  });
});

describe("a session ends", () => {
  it("by appending what is in flight and releasing the mailbox in one step", () => {
    const a = new Story().live();
    a.submit("one");
    a.submit("two");
    expect(a.gone()).toEqual(["append (one two) and release as A1/1", "ben is offline"]);
    expect(a.answer("appendAndRelease", stored(1, 2))).toEqual(["accepted one to 9", "accepted two to 9"]);
  });

  it("with `not-owner` for what is in flight when somebody else owns the mailbox by now", () => {
    const a = new Story().live();
    a.submit("one");
    a.gone();
    expect(a.answer("appendAndRelease", { is: "fenced", owner: elsewhere })).toEqual([
      "append one unless owned, suspect A1/1",
    ]);
  });

  it("in the middle of an append by sending back what would otherwise overtake it", () => {
    const a = new Story().live();
    a.linkUp();
    a.offer(owner("A1", 1), ["one"]);
    a.after(2_000);
    a.offer(owner("A1", 1), ["two"]);
    expect(a.gone()).toEqual(["to B1: not-owner two", "append () and release as A1/1", "ben is offline"]);
    expect(a.answer("appendAsOwner", stored(1))).toEqual(["to B1: stored one"]);
  });

  it("when it is fenced, and its device reconnects", () => {
    const a = new Story().live();
    a.submit("one");
    a.after(2_000);
    expect(a.answer("appendAsOwner", { is: "fenced", owner: elsewhere })).toEqual([
      "append one unless owned, suspect A1/1",
      "end 1: fenced",
      "append () and release as A1/1",
      "ben is offline",
    ]);
  });

  it("and an offer to it is answered `not-owner`, with its record given free", () => {
    const b = new Story("A1");
    b.linkUp();
    expect(b.offer(owner("A1", 77), ["hi"])).toEqual([
      "to B1: not-owner hi",
      "append () and release as A1/77",
    ]);
  });
});

describe("a live session finds mail", () => {
  it("when it is woken: it reads from the start, and pushes what it has not pushed", () => {
    const a = new Story().live();
    a.submit("known");
    expect(a.step({ is: "wakes", addresses: [ben] })).toEqual(["read 63 after 0"]);
    expect(a.answer("read", a.page([entry(1, "known"), entry(2, "past", [0x02])]))).toEqual([
      "push past 02 to 1",
      "read 62 after 2",
    ]);
    a.answer("read", a.page([]));
    expect(a.ack("known", "past")).toEqual(["accepted known to 9", "remove 1 known, 2 past"]);
  });

  it("when it looks, once a minute", () => {
    const a = new Story().live();
    expect(a.after(90_000)).toEqual(["look"]);
    expect(a.answer("look", { is: "seen", owner: owner("A1", 1), waiting: 1 })).toEqual(["read 64 after 0"]);
    a.answer("read", a.page([]));
    expect(a.after(59_999)).toEqual([]);
    expect(a.after(1)).toEqual(["look"]);
  });

  it("is not the owner any more: it closes, and its device reconnects", () => {
    const a = new Story().live();
    a.after(90_000);
    expect(a.answer("look", { is: "seen", owner: undefined, waiting: 0 })).toEqual([
      "end 1: fenced",
      "append () and release as A1/1",
      "ben is offline",
    ]);
  });

  it("after the store moved: it reads from the start, and goes by id where a position has another owner", () => {
    const a = new Story().live();
    a.step({ is: "wakes", addresses: [ben] });
    a.answer("read", a.page([entry(7, "lost", [0x01])]));
    a.answer("read", a.page([]));
    expect(a.step({ is: "store-moved" })).toEqual(["read 63 after 0"]);
    expect(a.answer("read", a.page([entry(7, "other", [0x02])]))).toEqual([
      "push other 02 to 1",
      "read 62 after 7",
    ]);
    a.answer("read", a.page([]));
    expect(a.ack("lost")).toEqual(["remove 7 lost"]);
    expect(a.ack("other")).toEqual(["remove 7 other"]);
  });
});

describe("the store fails", () => {
  it("a removal is tried again", () => {
    const a = new Story();
    a.connect(1);
    a.answer("claim", { is: "claimed", previous: undefined });
    a.answer("read", a.page([entry(5, "one")]));
    a.ack("one");
    expect(a.answer("remove", { is: "failed", code: "storage-failed" })).toEqual([]);
    expect(a.after(499)).toEqual([]);
    expect(a.after(1)).toEqual(["remove 5 one"]);
  });

  it("what is pushed stays in memory and may be acknowledged, what waits is refused, and the mailbox is read again", () => {
    const a = new Story("A1", { pushEnvelopes: 1 }).live();
    a.submit("pushed");
    expect(a.submit("waits")).toEqual(["append pushed waits as A1/1"]);
    expect(a.answer("appendAsOwner", { is: "failed", code: "storage-full" })).toEqual([
      "refused waits to 9: storage-full",
    ]);
    expect(a.ack("pushed")).toEqual(["accepted pushed to 9"]);
    expect(a.after(500)).toEqual(["read 1 after 0"]);
    expect(a.answer("read", a.page([]))).toEqual([]);
  });

  it("a submit is refused, and the sender asks again later", () => {
    const a = new Story();
    a.submit("hi");
    expect(a.answer("lookUp", { is: "failed", code: "storage-failed" })).toEqual([
      "refused hi to 9: storage-failed",
    ]);
    expect(a.node.idle).toBe(true);
  });
});

describe("a node", () => {
  it("that closes spills and releases every session, takes no new one, and is idle when all is answered", () => {
    const a = new Story().live();
    a.submit("one");
    expect(a.step({ is: "closing" })).toEqual([
      "end 1: shutting-down",
      "append (one) and release as A1/1",
      "ben is offline",
    ]);
    expect(a.connect(2)).toEqual(["end 2: shutting-down"]);
    a.answer("appendAndRelease", stored(1));
    expect(a.node.idle).toBe(true);
  });

  it("without a lease closes its sessions, and takes new ones only under its new id", () => {
    const a = new Story().live();
    expect(a.step({ is: "fenced" })[0]).toBe("end 1: fenced");
    expect(a.connect(2)).toEqual(["end 2: fenced"]);
    a.step({ is: "renamed", node: "A2" as NodeId });
    expect(a.connect(3)).toEqual(["claim as A2/2 with epoch 1"]);
  });

  it("passes a signal to a device that is here, and stores it for nobody", () => {
    const a = new Story().live();
    const signal = {
      is: "signalled",
      address: ben,
      id: id("typing"),
      ciphertext: envelope("typing").ciphertext,
    } as const;
    expect(a.step(signal)).toEqual(["push typing cafe to 1 as a signal"]);
    expect(new Story().step(signal)).toEqual(["lookUp"]);
  });
});
