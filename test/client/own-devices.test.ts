// What the devices of one account tell each other: real client cores on the real cryptography, and a relay that does what
// the test wants.
import { beforeAll, describe, expect, it } from "vitest";
import { encode, type EnvelopeId, fromBytes, PROBLEMS, type Time } from "@lethe/protocol";
import type { MessageId } from "@lethe/client";
import { noteBody } from "../../client-lib/content/content.ts";
import type { Control } from "../../client-lib/delivery/events.ts";
import { ownNote } from "../../client-lib/delivery/own-notes.ts";
import { accessKey, publicIdentity, ready } from "../../crypto/index.ts";
import { AttackWorld, type Side } from "../crypto/attack-world.ts";

beforeAll(ready);

/** Anna with a phone and a laptop, and contacts. */
function anna(...contacts: string[]): { world: AttackWorld; phone: Side; laptop: Side } {
  const world = new AttackWorld("phone", ...contacts);
  for (const each of contacts) world.befriend("phone", each);
  const laptop = world.link("phone", "laptop");
  world.pass(10_000);
  return { world, phone: world.side("phone"), laptop };
}

const decisionOf = (side: Side, about: Side) => side.core.view.contact(about.account).decision;
const keyOf = (side: Side): Uint8Array => accessKey(side.keys.identity);
/** The relay is told the hash of an access key that is waiting for it, as the library does in its background. */
function tellRelay(world: AttackWorld, side: Side): void {
  side.keys.accessPending = false;
  for (const each of world.sides.values())
    if (each.account === side.account) each.accessHash = publicIdentity(side.keys.identity).accessKeyHash;
}

describe("a device that is new", () => {
  it("is told all contacts by the primary one, and writes to them with their access keys at once", () => {
    const { world, phone, laptop } = anna("ben", "carla");
    for (const name of ["ben", "carla"]) {
      const { account } = world.side(name);
      expect(laptop.core.view.contact(account)).toMatchObject({ decision: "accepted" });
      expect(laptop.core.view.contact(account).accessKey).toEqual(keyOf(world.side(name)));
    }
    world.say("laptop", "ben", "from my laptop");
    expect(world.submitsOf("laptop").find(({ to }) => to === "ben")).toMatchObject({ on: "anonymous" });
    expect(world.side("ben").texts.at(-1)).toBe("from my laptop");
    expect(phone.own.at(-1)).toBe("ben: from my laptop");
  });

  it("is told once, whatever the others start anew", () => {
    const { world, phone } = anna("ben");
    const before = world.submitsOf("phone").length;
    world.start(phone);
    world.pass(10_000);
    expect(world.submitsOf("phone")).toHaveLength(before);
  });
});

describe("a newer list of devices", () => {
  const CONTROLS: readonly Control[] = [
    { kind: "access-key", accessKey: new Uint8Array(16) },
    { kind: "group", told: Uint8Array.of(0x24, ...new Uint8Array(20)) },
  ];

  it.each(CONTROLS)("is learned from a control message of kind $kind as well", (control) => {
    const world = new AttackWorld("phone", "ben");
    world.befriend("phone", "ben");
    world.link("phone", "laptop");
    const [phone, ben] = [world.side("phone"), world.side("ben")];
    const request = { to: ben.address, now: world.now };
    const arrive = (seed: number) => {
      const id: EnvelopeId = fromBytes(new Uint8Array(16).fill(seed));
      const { code, ciphertext } = phone.cipher.sealControl({ ...request, id, control });
      if (ciphertext === undefined) throw new Error(code);
      return ben.cipher.open({ id, kind: "pairwise", ciphertext, now: world.now });
    };
    expect(arrive(1)).toMatchObject({ outcome: "control", relisted: [phone.account] });
    expect(arrive(2), "which is known now").toMatchObject({ outcome: "control", relisted: [] });
  });
});

describe("a decision about somebody", () => {
  it("holds on all devices, whichever it was made on", () => {
    const { world, phone, laptop } = anna("ben", "carla");
    world.say("laptop", "ben", "hi");
    world.step(laptop, { event: "decide", account: world.side("ben").account, decision: "blocked" });
    world.pass(3_000);
    expect(decisionOf(phone, world.side("ben"))).toBe("blocked");
    expect(decisionOf(phone, world.side("carla"))).toBe("accepted");
    world.step(phone, { event: "decide", account: world.side("ben").account, decision: "accepted" });
    world.pass(3_000);
    expect(decisionOf(laptop, world.side("ben"))).toBe("accepted");
  });

  it("made on two devices at once is the later one's on both, whatever comes first", () => {
    for (const later of ["phone", "laptop"]) {
      const { world, phone, laptop } = anna("ben");
      world.ownJitterMs = 0;
      const { account } = world.side("ben");
      const earlier = later === "phone" ? laptop : phone;
      world.step(earlier, { event: "decide", account, decision: "blocked" });
      world.now = (world.now + 1) as Time;
      world.step(world.side(later), { event: "decide", account, decision: "accepted" });
      world.pass(5_000);
      for (const side of [phone, laptop])
        expect([later, decisionOf(side, world.side("ben"))]).toEqual([later, "accepted"]);
    }
  });

  it("of the same millisecond is that of the device with the higher number", () => {
    const { world, phone, laptop } = anna("ben");
    const { account } = world.side("ben");
    world.step(phone, { event: "decide", account, decision: "accepted" });
    world.step(laptop, { event: "decide", account, decision: "blocked" });
    world.pass(5_000);
    for (const side of [phone, laptop]) expect(decisionOf(side, world.side("ben"))).toBe("blocked");
  });

  it("brings a name that the directory gave, and a safety number that was compared", () => {
    const { world, phone, laptop } = anna("ben");
    const { account } = world.side("ben");
    world.step(phone, { event: "named", account, name: "ben" });
    const compared = phone.cipher.accountKey(account) as Uint8Array;
    phone.keys.trust.set(account, { verified: compared, successor: undefined });
    world.step(phone, { event: "verified", account });
    world.pass(3_000);
    expect(laptop.core.view.contact(account)).toMatchObject({ name: "ben", nameFrom: "found" });
    expect(laptop.keys.trust.get(account)?.verified).toEqual(compared);
  });
});

describe("the access key, where somebody is blocked", () => {
  it("is a new one on all devices, and contacts keep reaching all of them", () => {
    const { world, phone, laptop } = anna("ben", "carla");
    const before = keyOf(phone);
    world.step(laptop, { event: "decide", account: world.side("ben").account, decision: "blocked" });
    world.pass(3_000);
    tellRelay(world, laptop);
    expect(keyOf(laptop)).not.toEqual(before);
    expect(keyOf(phone)).toEqual(keyOf(laptop));
    world.say("phone", "carla", "the key by the way");
    world.say("carla", "phone", "to both of you");
    for (const side of [phone, laptop]) expect(side.texts.at(-1)).toBe("to both of you");
    world.start(phone);
    expect(keyOf(phone)).toEqual(keyOf(laptop));
  });

  it("replaced on two devices at once is one key on both in the end, and it is told to contacts and the relay", () => {
    const { world, phone, laptop } = anna("ben", "carla", "dora");
    world.say("laptop", "carla", "hi, Carla");
    world.say("laptop", "dora", "hi, Dora");
    world.step(phone, { event: "decide", account: world.side("ben").account, decision: "blocked" });
    world.now = (world.now + 1) as Time;
    world.step(laptop, { event: "decide", account: world.side("dora").account, decision: "blocked" });
    world.pass(5_000);
    expect(keyOf(phone)).toEqual(keyOf(laptop));
    for (const name of ["ben", "dora"])
      for (const side of [phone, laptop]) expect(decisionOf(side, world.side(name))).toBe("blocked");
    expect(laptop.keys.accessPending).toBe(true);
    tellRelay(world, laptop);
    expect(world.side("carla").core.view.contact(phone.account).accessKey).toEqual(keyOf(phone));
    world.say("carla", "phone", "to both");
    for (const side of [phone, laptop]) expect(side.texts.at(-1)).toBe("to both");
  });
});

describe("what a person has read or removed", () => {
  it("is read for the sender once, and read on the other devices", () => {
    const { world, phone, laptop } = anna("ben");
    const message = world.say("ben", "phone", "read this");
    expect([phone.texts.at(-1), laptop.texts.at(-1)]).toEqual(["read this", "read this"]);
    world.step(laptop, { event: "read", from: world.side("ben").account, messages: [message] });
    world.pass(3_000);
    expect(phone.own).toEqual(["read-elsewhere: read this"]);
    const receipts = world.side("ben").receipts.filter((id) => id === message);
    expect(receipts).toHaveLength(2); // delivered, then read
  });

  it("goes on the other devices, where it was not settled, and is told there; here it is handed over no more", () => {
    const { world, phone, laptop } = anna("ben");
    world.settles = false;
    const message = world.say("ben", "phone", "remove this");
    const kept = (side: Side) => [...(side.tables.get("inbox")?.keys() ?? [])].length;
    const before = [kept(phone), kept(laptop)];
    world.step(laptop, { event: "forget", from: world.side("ben").account, messages: [message] });
    world.pass(3_000);
    expect(phone.own.at(-1)).toBe("deleted-elsewhere: remove this");
    // The phone keeps the news of it in the message's place.
    expect([kept(phone), kept(laptop)]).toEqual([before[0], (before[1] ?? 0) - 1]);
    const texts = phone.texts.length;
    world.start(phone);
    world.start(laptop);
    world.pass(1_000);
    expect(
      [...phone.texts.slice(texts), ...laptop.texts].filter((text) => text === "remove this"),
    ).toHaveLength(1);
    expect(phone.own.at(-1)).toBe("deleted-elsewhere: remove this");
  });
});

describe("receipts of several devices", () => {
  it("count once: the first that comes is told, and no other", () => {
    const world = new AttackWorld("anna", "ben");
    world.befriend("anna", "ben");
    world.link("ben", "phone");
    world.link("ben", "tablet");
    world.say("ben", "anna", "I have more devices");
    const message = world.say("anna", "ben", "who has this?");
    world.pass(5_000);
    for (const name of ["ben", "phone", "tablet"])
      expect(world.side(name).texts.at(-1)).toBe("who has this?");
    expect(world.side("anna").receipts.filter((id) => id === message)).toHaveLength(1);
    // All have confirmed: nothing is kept to be sent again.
    expect(world.side("anna").tables.get("resendable")?.size).toBe(0);
  });

  it("that come before the message is known here count when it is, over a restart too", () => {
    const { world, phone, laptop } = anna("ben");
    world.ownJitterMs = 5_000;
    world.start(phone);
    world.say("phone", "ben", "I have a laptop"); // whose keys ben's receipts wait for
    world.pass(15_000);
    let early = 0;
    for (let n = 0; n < 12; n++) {
      const message = world.say("phone", "ben", `message ${n}`);
      if (laptop.tables.get("early")?.size === 1) {
        early += 1;
        world.start(laptop);
      }
      world.pass(6_000);
      expect(laptop.receipts.filter((id) => id === message)).toHaveLength(1);
      expect(laptop.own.at(-1)).toBe(`ben: message ${n}`);
      expect(laptop.tables.get("early")?.size ?? 0).toBe(0);
    }
    expect(early).toBeGreaterThan(2);
  });

  it("of one's own devices are told to nobody, and end what is kept to be sent again", () => {
    const { world, phone } = anna("ben");
    world.say("phone", "ben", "hi");
    world.pass(12_000);
    expect(phone.tables.get("resendable")?.size).toBe(0);
    expect(phone.tellsOf("refused")).toEqual([]);
  });
});

describe("a note to oneself", () => {
  it("goes to one's own other devices, and is sent and delivered as a message is", () => {
    const { world, phone, laptop } = anna("ben");
    const message = world.say("phone", "phone", "buy milk");
    world.pass(3_000);
    expect(laptop.own).toEqual(["phone: buy milk"]);
    expect(phone.texts).not.toContain("buy milk");
    expect(phone.tellsOf("sent").filter((told) => told.message === message)).toHaveLength(1);
    expect(phone.receipts).toContain(message);
    expect(phone.core.view.contacts().has(phone.account)).toBe(false);
  });

  it("is refused where there is no other device", () => {
    const world = new AttackWorld("anna");
    world.say("anna", "anna", "nobody hears");
    expect(world.side("anna").tellsOf("refused")).toMatchObject([{ code: "no-other-device" }]);
  });
});

describe("attack 30: a device that was removed", () => {
  it("gets no ciphertext once the new list is known, and what was kept with it is dropped at once", () => {
    const world = new AttackWorld("anna", "ben");
    world.link("ben", "lost");
    world.befriend("anna", "ben");
    const [one, lost] = [world.side("anna"), world.side("lost")];
    expect(one.keys.ratchets.has(lost.address)).toBe(true);
    world.unlink("lost");
    world.say("ben", "anna", "I have lost a device"); // the list comes with the message
    expect(one.keys.ratchets.has(lost.address)).toBe(false);
    expect(one.keys.peers.has(lost.address)).toBe(false);
    const rows = ["peer", "ratchet", "ratchet-order", "told"].flatMap((table) => [
      ...(one.tables.get(table) ?? []),
    ]);
    expect(rows.filter(([key]) => key.startsWith(lost.address))).toEqual([]);
    const before = world.frames.length;
    world.say("anna", "ben", "secret");
    const envelopes = world.frames
      .slice(before)
      .flatMap(({ frame }) => (frame.frame === "submit" ? frame.envelopes : []));
    expect(envelopes.map(({ device }) => device)).not.toContain(2);
    expect(world.side("ben").texts.at(-1)).toBe("secret");
    expect(lost.texts).not.toContain("secret");
  });

  it("of one's own gets nothing either; it is told that it is out, and connects no more", () => {
    const { world, phone, laptop } = anna("ben");
    world.unlink("laptop");
    world.say("phone", "ben", "without the laptop");
    world.say("ben", "phone", "good");
    expect(laptop.own).not.toContain("ben: without the laptop");
    expect(phone.keys.ratchets.has(laptop.address)).toBe(false);
    expect(laptop.tellsOf("stopped")).toMatchObject([{ code: "device-removed" }]);
    world.pass(100_000);
    expect(laptop.sockets.size).toBe(0);
    expect(PROBLEMS["device-removed"].retry).toBe("never");
    expect(phone.core.view.outbox).toBe(0);
  });
});

describe("a note", () => {
  it("is believed of one's own devices alone: a contact's is quarantined, and changes nothing", () => {
    const { world, phone } = anna("ben", "carla");
    const ben = world.side("ben");
    const forged = encode(ownNote, {
      kind: "contacts",
      contacts: [
        {
          account: world.side("carla").account,
          decision: "blocked",
          at: (world.now + 1_000_000) as Time,
          by: 9,
          accessKey: undefined,
          name: undefined,
          nameFrom: "claimed",
          verified: undefined,
        },
      ],
    });
    const message = "a forged note...".slice(0, 16) as MessageId;
    world.step(ben, { event: "send", message, to: phone.account, body: noteBody(forged) });
    world.pass(3_000);
    expect(phone.codes).toEqual(["not-an-own-device"]);
    expect(decisionOf(phone, world.side("carla"))).toBe("accepted");
  });
});
