// Attacks on the ratchet: order, repeats, forged headers, limits, failing tags, stolen states. Named by number.
import { type EnvelopeId, fromBytes, type Time } from "@lethe/protocol";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { type Head, seal, viewOf } from "../../crypto/envelope.ts";
import { type Header, isHeaderOf, readHeader, writeHeader } from "../../crypto/header.ts";
import {
  decodeRatchet,
  encodeIdentity,
  encodePrekey,
  encodeRatchet,
  isRenewalDue,
  MAX_JUMP,
  MAX_SKIPPED,
  type Ratchet,
  RENEW_AFTER_MESSAGES,
  RENEW_AFTER_MS,
  ready,
  Secret,
  SKIPPED_LIFETIME_MS,
  type UnsealedEnvelope,
  unseal,
} from "../../crypto/index.ts";
import { letheSuite } from "../../crypto/suite.ts";
import { deliver, type Flying, lookAt, runSchedule, sendFrom, twoCores } from "./model.ts";
import { type Device, later, type Mail, pair, seededRandom, seedOf, START, talkingPair } from "./support.ts";

beforeAll(ready);

describe("attack 14: order, loss and repeats", () => {
  it("delivers each message once or reports it, over random schedules", () => {
    const seed = seedOf("attack 14", 14);
    const total = { sent: 0, delivered: 0, reported: 0 };
    for (let i = 0; i < 60; i++) {
      const tally = runSchedule(seed + i, { steps: 600, inFlight: 40 });
      total.sent += tally.sent;
      total.delivered += tally.delivered;
      total.reported += tally.reported;
    }
    expect(total.delivered).toBeGreaterThan(0.8 * total.sent);
  });

  it("does so with up to 3,000 messages in flight", () => {
    const tally = runSchedule(seedOf("attack 14, long", 3_000), { steps: 16_000, inFlight: 3_000 });
    expect(tally.delivered).toBeGreaterThan(1_000);
  });

  it("delivers 3,000 messages that arrive backwards, but for those whose keys had to go", () => {
    const sides = twoCores(seededRandom(1));
    const mail = Array.from({ length: 3_000 }, (_, number) => sendFrom(sides, 0, number));
    const codes = mail.toReversed().map((flying) => deliver(sides, flying).code);
    expect(codes.filter((code) => code === "ok").length).toBe(MAX_SKIPPED + 1);
    expect(new Set(codes.slice(MAX_SKIPPED + 1))).toEqual(new Set(["key-expired"]));
  });

  it("delivers both sides' messages that cross, whole envelopes and all", () => {
    const { alice, bob } = talkingPair(14);
    const random = seededRandom(14);
    const [toBob, toAlice]: [Mail[], Mail[]] = [[], []];
    const read: string[] = [];
    for (let i = 0; i < 40; i++) {
      toBob.push(alice.send(bob, `a${i}`));
      toAlice.push(bob.send(alice, `b${i}`));
      for (const [box, owner] of [
        [toBob, bob],
        [toAlice, alice],
      ] as const) {
        if (random.below(3) !== 0) continue;
        const [mail] = box.splice(random.below(box.length), 1);
        read.push(owner.read(mail as Mail), owner.read(mail as Mail));
      }
    }
    read.push(...toBob.map((mail) => bob.read(mail)), ...toAlice.map((mail) => alice.read(mail)));
    const texts = read.filter((said) => said !== "!duplicate");
    expect(texts.length).toBe(80);
    expect(new Set(texts).size).toBe(80);
  });
});

/** Mail from `from` with a message of the attacker's choice, in an envelope that is right in everything else. */
function forge(from: Device, to: Device, message: Uint8Array): Mail {
  const id = fromBytes<EnvelopeId>(from.random.bytes(16));
  const { identity, random } = from;
  const peer = from.peer(to);
  const head: Head = {
    content: "lasting",
    sender: from.address,
    senderList: viewOf(identity.list),
    recipientList: viewOf(peer.list),
    opening: undefined,
  };
  const ciphertext = seal({ identity, peer, envelope: id, head, random, message: () => message });
  if (ciphertext === undefined) throw new Error("no sealing key");
  return { id, ciphertext };
}

describe("attack 15: forged headers", () => {
  const forgeries = (genuine: Ratchet): { name: string; header: Uint8Array }[] => {
    const wrongKeys = { ...genuine, headerKey: twoCores(seededRandom(5)).cores[0].root };
    const publicKey = letheSuite.generate(seededRandom(6)).publicKey;
    const known = genuine.core.sending.at === "chain" ? genuine.core.sending.own.publicKey : publicKey;
    const header = (n: number, previousCount: number, key: Uint8Array): Uint8Array => {
      const said: Omit<Header, "bytes"> = {
        counters: { publicKey: key, previousCount, n: 1 },
        first: false,
        fromInitiator: true,
      };
      const bytes = writeHeader(wrongKeys, said);
      const view = new DataView(bytes.buffer);
      view.setUint32(34, previousCount);
      view.setUint32(38, n);
      return bytes;
    };
    return [
      { name: "n = 2^31", header: header(2 ** 31, 0, known) },
      { name: "n = 2^31 - 1", header: header(2 ** 31 - 1, 0, known) },
      { name: "a new ratchet key", header: header(1, 1, publicKey) },
      { name: "a huge pn", header: header(0, 2 ** 31, publicKey) },
      { name: "a pn of 2^32 - 1", header: header(0, 2 ** 32 - 1, publicKey) },
    ];
  };

  it("refuses them by the header's MAC, without one DH or chain step, and leaves the chain alone", () => {
    const { alice, bob } = talkingPair(15);
    expect(bob.read(alice.send(bob, "one"))).toBe("one");
    const before = encodeRatchet(bob.ratchet(alice));
    const steps = (["dh", "root", "chain", "open"] as const).map((step) => vi.spyOn(letheSuite, step));
    for (const { name, header } of forgeries(alice.ratchet(bob))) {
      const mail = forge(alice, bob, Uint8Array.of(...header, ...new Uint8Array(296)));
      expect([name, bob.read(mail)]).toEqual([name, expect.stringMatching(/^!(header-mac|malformed)$/)]);
      expect(encodeRatchet(bob.ratchet(alice))).toEqual(before);
    }
    expect(steps.map((step) => step.mock.calls.length)).toEqual([0, 0, 0, 0]);
    const genuine = alice.send(bob, "two");
    for (const step of steps) step.mockClear();
    expect(bob.read(genuine)).toBe("two");
    expect(
      steps.map((step) => step.mock.calls.length),
      "a genuine one is counted",
    ).toEqual([0, 0, 1, 1]);
    for (const step of steps) step.mockRestore();
  });

  it("takes a header for the other side's only: one's own is refused", () => {
    const { alice, bob } = talkingPair(16);
    const said = {
      counters: { publicKey: letheSuite.generate(seededRandom(7)).publicKey, previousCount: 0, n: 0 },
    };
    for (const [one, other] of [
      [alice.ratchet(bob), bob.ratchet(alice)],
      [bob.ratchet(alice), alice.ratchet(bob)],
    ] as const) {
      const bytes = writeHeader(one, { ...said, first: false, fromInitiator: one.role === "initiator" });
      expect([isHeaderOf(one, readHeader(bytes)), isHeaderOf(other, readHeader(bytes))]).toEqual([
        false,
        true,
      ]);
    }
  });
});

describe("attack 16: limits", () => {
  it("walks 25,000 messages forward and refuses 25,001", () => {
    const sides = twoCores(seededRandom(16));
    deliver(sides, sendFrom(sides, 0, 0));
    for (let n = 1; n <= MAX_JUMP; n++) sendFrom(sides, 0, n);
    const farthest = sendFrom(sides, 0, MAX_JUMP + 1);
    const tooFar = sendFrom(sides, 0, MAX_JUMP + 2);
    expect(lookAt(sides, tooFar).code).toBe("too-far");
    expect(deliver(sides, farthest).code).toBe("ok");
    expect(sides.cores[1].skipped.length).toBe(MAX_SKIPPED);
    expect(deliver(sides, tooFar).code).toBe("ok");
  });

  it("counts the rest of the old chain into the same limit", () => {
    const sides = twoCores(seededRandom(17));
    deliver(sides, sendFrom(sides, 0, 0));
    for (let n = 0; n < MAX_JUMP; n++) sendFrom(sides, 0, 1 + n);
    deliver(sides, sendFrom(sides, 1, 0));
    const [first, second] = [sendFrom(sides, 0, 1), sendFrom(sides, 0, 2)];
    expect(first.counters).toMatchObject({ previousCount: MAX_JUMP + 1, n: 0 });
    expect(lookAt(sides, second).code).toBe("too-far");
    expect(deliver(sides, first).code).toBe("ok");
    expect(deliver(sides, second).code).toBe("ok");
  });

  it("drops the oldest of 2,001 kept keys, says so of its message, and still opens the next oldest", () => {
    const sides = twoCores(seededRandom(18));
    const mail = Array.from({ length: MAX_SKIPPED + 2 }, (_, number) => sendFrom(sides, 0, number));
    expect(deliver(sides, mail[MAX_SKIPPED] as Flying).code).toBe("ok");
    expect(sides.cores[1].skipped.length).toBe(MAX_SKIPPED);
    sendFrom(sides, 0, -1);
    expect(deliver(sides, sendFrom(sides, 0, -2)).code).toBe("ok");
    expect(sides.cores[1].skipped.length).toBe(MAX_SKIPPED);
    expect(deliver(sides, mail[0] as Flying).code).toBe("key-expired");
    expect(deliver(sides, mail[1] as Flying).code).toBe("key-expired");
    expect(deliver(sides, mail[2] as Flying).code).toBe("ok");
  });

  it("forgets a kept key R + 2 d after it was kept", () => {
    const sides = twoCores(seededRandom(19));
    const [late, tooLate, next] = [0, 1, 2].map((number) => sendFrom(sides, 0, number)) as [
      Flying,
      Flying,
      Flying,
    ];
    expect(deliver(sides, next).code).toBe("ok");
    expect(deliver(sides, late, later(START, SKIPPED_LIFETIME_MS - 1)).code).toBe("ok");
    const end = later(START, SKIPPED_LIFETIME_MS);
    expect(lookAt(sides, tooLate, end).code).toBe("key-expired");
    expect(deliver(sides, sendFrom(sides, 0, 3), end).code).toBe("ok");
    expect(sides.cores[1].skipped.length).toBe(0);
    expect(deliver(sides, tooLate, end).code).toBe("key-expired");
  });

  it("asks for a new ratchet after 2,000 messages without a reply, or after 7 days", () => {
    const { alice, bob } = talkingPair(20);
    const ratchet = alice.ratchet(bob);
    expect(isRenewalDue(ratchet, START)).toBe(false);
    expect(isRenewalDue({ ...ratchet, unanswered: RENEW_AFTER_MESSAGES }, START)).toBe(true);
    expect(isRenewalDue(ratchet, later(START, RENEW_AFTER_MS))).toBe(true);
  });
});

/** Everything that a device keeps, as bytes. */
function everything(device: Device): string {
  const ratchets = [...device.ratchets.values()].flat().map((ratchet) => encodeRatchet(ratchet));
  const prekeys = [...device.prekeys.values()].map((record) => encodePrekey(record));
  return Buffer.concat([encodeIdentity(device.identity), ...ratchets, ...prekeys]).toString("hex");
}

/** The envelope with one bit of its message's body turned, sealed and tagged as the sender would. */
function corrupted(from: Device, to: Device, mail: Mail): Mail {
  const opened = unseal({
    identity: to.identity,
    ciphertext: mail.ciphertext,
    envelope: mail.id,
    now: START,
  });
  if (opened.code !== "ok") throw new Error(opened.code);
  const { head, message } = opened.envelope.seal;
  const broken = message.slice();
  broken[broken.length - 1] = (broken[broken.length - 1] as number) ^ 1;
  const { identity, random } = from;
  const making = { identity, peer: from.peer(to), envelope: mail.id, head, random, message: () => broken };
  return { id: mail.id, ciphertext: seal(making) as Uint8Array };
}

describe("attack 17: failing tags", () => {
  it.each([
    ["a first message", (two: { alice: Device; bob: Device }) => two, pair],
    ["a message of the current chain", (two: { alice: Device; bob: Device }) => two, oneWay],
    ["a ratchet step", (two: { alice: Device; bob: Device }) => two, talkingPair],
  ] as const)("leave every byte of the state as it was: %s", (_, of, make) => {
    const { alice, bob } = of(make(17));
    const mail = alice.send(bob, "hello");
    const broken = corrupted(alice, bob, mail);
    const before = everything(bob);
    expect(bob.read(broken)).toBe("!aead-fail");
    expect(everything(bob)).toBe(before);
    expect(bob.peers.size).toBe(bob.ratchets.size);
    expect(bob.read(mail)).toBe("hello");
  });

  it("leave a kept key in place", () => {
    const { alice, bob } = talkingPair(17);
    const [skipped, next] = [alice.send(bob, "one"), alice.send(bob, "two")];
    expect(bob.read(next)).toBe("two");
    const before = everything(bob);
    expect(bob.read(corrupted(alice, bob, skipped))).toBe("!aead-fail");
    expect(everything(bob)).toBe(before);
    expect(bob.read(skipped)).toBe("one");
  });

  it("never change the state that was given, whatever the outcome", () => {
    const { alice, bob } = talkingPair(18);
    const held = encodeRatchet(alice.ratchet(bob));
    const given = decodeRatchet(held);
    alice.ratchets.set(bob.address, [given]);
    const mail = bob.send(alice, "hello");
    expect(alice.read(mail)).toBe("hello");
    expect(encodeRatchet(given)).toEqual(held);
    alice.send(bob, "hello");
    expect(encodeRatchet(given)).toEqual(held);
  });
});

function oneWay(seed: number): { alice: Device; bob: Device } {
  const two = talkingPair(seed);
  two.bob.read(two.alice.send(two.bob, "the chain begins"));
  return two;
}

describe("attack 18: stolen states", () => {
  it("forward secrecy: nothing that the state holds opens what was delivered before", () => {
    const { alice, bob } = talkingPair(18);
    const old = Array.from({ length: 5 }, (_, i) => alice.send(bob, `secret ${i}`));
    const seals = old.map((mail) => unsealed(bob, mail));
    for (const mail of old) expect(bob.read(mail)).toMatch(/^secret/);
    const stolen = Buffer.from(everything(bob), "hex");
    const { ad } = bob.ratchet(alice);
    const opened: string[] = [];
    for (let at = 0; at + 32 <= stolen.length; at++) {
      const window = Uint8Array.from(stolen.subarray(at, at + 32));
      const { next, message } = letheSuite.chain(window);
      for (const key of [window, next, message])
        for (const { seal: found } of seals) {
          const parts = [ad, found.message.subarray(0, 58), found.context];
          if (letheSuite.open(key, parts, found.message.subarray(58)) !== undefined) opened.push(`at ${at}`);
        }
    }
    expect(opened).toEqual([]);
    expect(old.map((mail) => bob.read(mail))).toEqual(Array(5).fill("!duplicate"));
  });

  it("the same search finds the key of a message that has not been delivered: the search works", () => {
    const { alice, bob } = talkingPair(19);
    expect(bob.read(alice.send(bob, "one"))).toBe("one");
    const { seal: found } = unsealed(bob, alice.send(bob, "two"));
    const stolen = Buffer.from(everything(bob), "hex");
    const parts = [bob.ratchet(alice).ad, found.message.subarray(0, 58), found.context];
    let hits = 0;
    for (let at = 0; at + 32 <= stolen.length; at++) {
      const { message } = letheSuite.chain(Uint8Array.from(stolen.subarray(at, at + 32)));
      if (letheSuite.open(message, parts, found.message.subarray(58)) !== undefined) hits++;
    }
    expect(hits).toBe(1);
  });

  it("healing: after a round trip the stolen state opens nothing, though it sees all mail", () => {
    const { alice, bob } = talkingPair(20);
    const stolen = bob.ratchet(alice);
    const readable = alice.send(bob, "the thief reads this");
    expect(bob.read(readable)).toBe("the thief reads this");
    expect(alice.read(bob.send(alice, "a new key of mine"))).toBe("a new key of mine");
    const healed = alice.send(bob, "and now not");
    bob.ratchets.set(alice.address, [stolen]);
    expect(bob.read(readable)).toBe("the thief reads this");
    expect(bob.read(healed)).toBe("!forked");
  });
});

function unsealed(device: Device, mail: Mail): UnsealedEnvelope {
  const now: Time = device.now;
  const opened = unseal({ identity: device.identity, ciphertext: mail.ciphertext, envelope: mail.id, now });
  if (opened.code !== "ok") throw new Error(opened.code);
  return opened.envelope;
}

describe("attack 20: a copied store", () => {
  it("is noticed by the second message of the same number, and no keystream is used twice", () => {
    const { alice, bob } = talkingPair(21);
    const copied = alice.ratchet(bob);
    const one = alice.send(bob, "from the original");
    alice.ratchets.set(bob.address, [copied]);
    const two = alice.send(bob, "from the copy");
    const [a, b] = [unsealed(bob, one).seal.message, unsealed(bob, two).seal.message];
    expect(a.subarray(0, 2)).toEqual(b.subarray(0, 2));
    expect(bob.read(one)).toBe("from the original");
    expect(bob.read(two)).toBe("!forked");
    const [x, y] = [a.subarray(82), b.subarray(82)];
    const xor = x.map((byte, i) => byte ^ (y[i] as number));
    expect(xor.filter((byte) => byte === 0).length).toBeLessThan(20);
  });

  it("is noticed in a running chain by the tag of its number", () => {
    const sides = twoCores(seededRandom(22));
    deliver(sides, sendFrom(sides, 0, 0));
    const copied = sides.cores[0];
    expect(deliver(sides, sendFrom(sides, 0, 1)).code).toBe("ok");
    sides.cores[0] = copied;
    const again = sendFrom(sides, 0, 2);
    expect(deliver(sides, again).code).toBe("forked");
  });
});

it("attack 24: a message with a good tag and bad content advances the ratchet and delivers nothing", () => {
  const { alice, bob } = talkingPair(24);
  const ratchet = alice.ratchet(bob);
  const mail = alice.send(bob, "hello");
  // The same step again, with a plaintext that is no padded content.
  const poison = poisoned(alice, bob, ratchet, mail);
  const outcome = bob.receive(poison);
  expect(outcome.code).toBe("malformed-content");
  expect(bob.read(poison)).toBe("!duplicate");
  expect(bob.read(alice.send(bob, "flows on"))).toBe("flows on");
});

function poisoned(alice: Device, bob: Device, ratchet: Ratchet, mail: Mail): Mail {
  const { head, message } = unsealed(bob, mail).seal;
  const header = readHeader(message);
  // The chain's key is in the state that the genuine message advanced: take the one before it.
  const again = decodeRatchet(encodeRatchet(alice.ratchet(bob)));
  if (again.core.sending.at !== "chain" || ratchet.core.sending.at !== "due")
    throw new Error("another state");
  const next = again.core.sending.next;
  const { next: key, message: messageKey } = letheSuite.chain(again.core.sending.key.reveal());
  const sending = { ...again.core.sending, next: next + 1, key: new Secret(key) };
  alice.ratchets.set(bob.address, [{ ...again, core: { ...again.core, sending } }]);
  const counters = { ...header.counters, n: next };
  const { identity, random } = alice;
  const made = (context: Uint8Array): Uint8Array => {
    const bytes = writeHeader(ratchet, { counters, first: false, fromInitiator: true });
    const garbage = new Uint8Array(256).fill(0x55);
    return Uint8Array.of(
      ...bytes,
      ...letheSuite.seal(messageKey, [ratchet.ad, bytes, context], garbage, random),
    );
  };
  const making = { identity, peer: alice.peer(bob), envelope: mail.id, head, random, message: made };
  return { id: mail.id, ciphertext: seal(making) as Uint8Array };
}
