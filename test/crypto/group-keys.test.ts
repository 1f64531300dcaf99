// Attacks on sender keys: by members, former members, newcomers, and one protocol's messages in the other. Named by number.
import { type EnvelopeId, fromBytes, type GroupEnvelopeId } from "@lethe/protocol";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { stepChain } from "../../crypto/group-chain.ts";
import { sealGroup } from "../../crypto/group-envelope.ts";
import {
  decodeControl,
  decodeTold,
  encodeControl,
  encodeTold,
  LIST_LIFETIME_MS,
  maintainIdentity,
  ROTATE_AFTER_MESSAGES,
  ROTATE_AFTER_MS,
  ready,
  Secret,
  senderKeys,
  unseal,
} from "../../crypto/index.ts";
import { pad } from "../../crypto/padding.ts";
import { letheSuite } from "../../crypto/suite.ts";
import {
  announcement,
  everybody,
  forge,
  opensWith,
  refused,
  sealOf,
  type Three,
  three,
} from "./group-tools.ts";
import { type GroupDevice, groupOf, GroupWorld } from "./group-world.ts";
import { later, START, talkingPair } from "./support.ts";

beforeAll(ready);

describe("attack 35: a member that was removed", () => {
  it("reads no message that anybody sends afterwards, though it records all of them", () => {
    const { people } = groupOf(35, 4);
    const [anna, ben, carl, dora] = people as [...Three, GroupDevice];
    for (const each of people) each.send("before");
    const mail = ben.send("still here");
    expect(carl.read(mail)).toBe("still here");
    const removed = anna.made({ kind: "remove", accounts: [carl.account] });
    everybody([anna, ben, dora], removed);
    const recorded = [anna, ben, dora].map((sender) => ({ sender, mail: sender.send("without carl") }));
    for (const { sender, mail: next } of recorded) {
      expect(refused(carl, next), "he has not even the seal key").toBe("!unknown-seal-key");
      for (const other of [anna, ben, dora])
        if (other !== sender) expect(other.read(next)).toBe("without carl");
    }
    // Somebody gives him the seal key all the same: no key that his chains lead to opens what is inside.
    carl.view = anna.group;
    for (const { sender, mail: next } of recorded) {
      expect(refused(carl, next)).toBe("!unknown-chain");
      const { context, message } = sealOf(next, carl);
      const held = carl.theirs.get(sender.address)?.chains ?? [];
      expect(held.length).toBe(1);
      expect(held.flatMap((chain) => opensWith(chain.key.reveal(), [context], message))).toEqual([]);
    }
    const still = ben.send("the control of this test");
    const { context, message } = sealOf(still, anna);
    const key = anna.theirs.get(ben.address)?.chains.at(-1)?.key.reveal();
    expect(opensWith(key ?? new Uint8Array(0), [context], message).length).toBe(1);
  });

  it("makes a sender that was offline rotate before its first send: until then it encrypts nothing", () => {
    const { people } = groupOf(351, 3);
    const [anna, ben, carl] = people as Three;
    ben.send("before");
    const chain = ben.keys.chain.id;
    everybody([anna], anna.made({ kind: "remove", accounts: [carl.account] }));
    ben.view = anna.group; // what he accepts when he comes back
    expect(ben.encrypt("after").made).toEqual({ code: "rotation-due", reason: "member-removed" });
    const mail = ben.send("after");
    expect(ben.keys.chain.id).not.toBe(chain);
    expect(ben.keys.holders.has(carl.address)).toBe(false);
    expect(anna.read(mail)).toBe("after");
  });

  it("cannot make others take a message of its own, nor one on a chain from before it went", () => {
    const { people } = groupOf(352, 3);
    const [anna, ben, carl] = people as Three;
    for (const each of people) each.prepare();
    const underWay = carl.send("under way");
    const old = ben.keys;
    everybody([anna, ben], anna.made({ kind: "remove", accounts: [carl.account] }));
    expect(refused(ben, underWay)).toBe("!not-a-member");
    ben.theirs.delete(carl.address);
    expect(refused(ben, underWay), "whose chain was never told").toBe("!not-a-member");
    expect(ben.hear(carl, announcement(carl, ben))).toBe("not-a-member");
    ben.prepare();
    ben.own = old; // a sender that does not rotate
    expect(refused(anna, forge(ben))).toBe("!stale-chain");
  });

  it("is noticed also where a device of a member is removed: by rotation, and by refusing its messages", () => {
    const world = new GroupWorld(353);
    const [anna, ben] = world.people(2) as [GroupDevice, GroupDevice];
    const tablet = world.link(ben);
    everybody([anna, ben, tablet], anna.create([ben]));
    for (const each of [anna, ben, tablet]) each.prepare();
    expect(anna.keys.holders.size).toBe(3);
    expect(anna.read(tablet.send("from the tablet"))).toBe("from the tablet");
    const stolen = tablet.send("from a thief");
    world.unlink(ben, tablet);
    expect(refused(anna, stolen)).toBe("!untrusted-device");
    expect(anna.hear(tablet, announcement(tablet, anna))).toBe("untrusted-device");
    expect(anna.encrypt("no").made).toEqual({ code: "rotation-due", reason: "device-removed" });
    const after = anna.send("without the tablet");
    expect(ben.read(after)).toBe("without the tablet");
    expect(tablet.read(after)).toBe("!unknown-chain");
  });
});

describe("the rules of rotation", () => {
  const due = (device: GroupDevice): string | undefined =>
    senderKeys.rotationDue({ ...device.inGroup(), own: device.own });

  it("are: no chain, 500 messages, 7 days, own devices that changed", () => {
    const { world, people } = groupOf(7, 2);
    const [anna, ben] = people as [GroupDevice, GroupDevice];
    expect(due(anna)).toBe("no-chain");
    anna.prepare();
    expect(due(anna)).toBeUndefined();
    for (let i = 0; i < ROTATE_AFTER_MESSAGES; i++) {
      expect(due(anna)).toBeUndefined();
      anna.send("x");
    }
    expect(due(anna)).toBe("messages");
    anna.prepare();
    world.now = later(START, ROTATE_AFTER_MS - 1);
    expect(due(anna)).toBeUndefined();
    world.now = later(START, ROTATE_AFTER_MS);
    expect(due(anna)).toBe("age");
    anna.prepare();
    world.link(anna);
    expect(due(anna)).toBe("own-devices-changed");
    ben.prepare();
    const tablet = world.link(anna, 3);
    expect(due(ben), "others only tell the new device").toBeUndefined();
    expect(ben.encrypt("no").made).toEqual({ code: "not-told", devices: [tablet.address] });
  });

  it("are not: somebody was added, a name was changed", () => {
    const { world, people } = groupOf(8, 2);
    const [anna, ben] = people as [GroupDevice, GroupDevice];
    ben.send("one");
    everybody(people, anna.made({ kind: "add", accounts: [world.pinned(world.person())] }));
    everybody(people, anna.made({ kind: "rename", name: "other" }));
    expect(due(ben)).toBeUndefined();
  });

  it("are told with the devices of today: a roster of another state is a mistake that throws", () => {
    const people = three(91);
    const [anna, ben] = people;
    anna.prepare();
    const { roster, ...rest } = anna.inGroup();
    everybody(people, anna.made({ kind: "remove", accounts: [ben.account] }));
    const stale = { ...rest, view: anna.group, roster, own: anna.keys, devices: [] };
    expect(() => senderKeys.rotationDue(stale)).toThrow(RangeError);
    expect(() => senderKeys.tell(stale)).toThrow(RangeError);
    const mail = { ciphertext: new Uint8Array(0), envelope: fromBytes<EnvelopeId>(new Uint8Array(16)) };
    expect(() => senderKeys.open({ ...stale, ...mail, theirs: () => undefined })).toThrow(RangeError);
    const told = announcement(anna, anna);
    expect(() => senderKeys.hear({ ...stale, theirs: undefined, told, teller: anna.address })).toThrow(
      RangeError,
    );
  });

  it("leave out a member whose list is too old to send by, and take its messages", () => {
    const { world, people } = groupOf(92, 3);
    const [anna, ben, carl] = people as Three;
    for (const each of people) each.prepare();
    world.now = later(START, LIST_LIFETIME_MS);
    anna.identity = maintainIdentity(anna.identity, { random: world.random, now: world.now });
    world.publish(anna.identity);
    const roster = anna.roster();
    expect([[...roster.devices], roster.listed.size, roster.missing]).toEqual([[anna.address], 3, []]);
    expect(due(anna)).toBe("device-removed");
    anna.prepare();
    expect(anna.keys.holders).toEqual(new Set([anna.address]));
    carl.own = { ...carl.keys, chain: { ...carl.keys.chain, createdAt: world.now } };
    expect(anna.read(forge(carl))).toBe("forged");
    expect(roster.devices.has(ben.address)).toBe(false);
  });

  it("are: the state that the chain was made in has lost", () => {
    const people = three(9);
    const [anna, ben, carl] = people;
    everybody(people, anna.made({ kind: "promote", account: ben.account }));
    const [winner, loser] = [anna.made({ kind: "renew" }), ben.made({ kind: "renew" })].toSorted((a, b) =>
      Buffer.compare(a.state.hash, b.state.hash),
    ) as [ReturnType<GroupDevice["made"]>, ReturnType<GroupDevice["made"]>];
    everybody([carl], loser);
    carl.prepare();
    expect(due(carl)).toBeUndefined();
    expect(carl.take(winner)).toBe("replaces");
    expect(due(carl)).toBe("state-lost");
    everybody([anna, ben], winner);
    const mail = carl.send("on the winner's side");
    expect([anna.read(mail), ben.read(mail)]).toEqual(["on the winner's side", "on the winner's side"]);
  });
});

describe("attack 36: a new member", () => {
  it("reads nothing from before it joined, with all that it is given and all envelopes recorded", () => {
    const { world, people } = groupOf(36, 2);
    const [anna, ben] = people as [GroupDevice, GroupDevice];
    const before = [0, 1, 2].map((i) => anna.send(`before ${i}`));
    const dora = world.person();
    everybody([anna, ben, dora], anna.made({ kind: "add", accounts: [world.pinned(dora)] }));
    const chain = anna.keys.chain.id;
    const after = anna.send("after");
    expect(anna.keys.chain.id, "the same chain goes on").toBe(chain);
    expect(dora.read(after)).toBe("after");
    for (const mail of before) expect(dora.read(mail)).toBe("!unknown-seal-key");
    dora.view = { ...dora.group, past: anna.group.past };
    for (const mail of before) expect(refused(dora, mail), "even with the old seal key").toBe("!key-expired");
    expect(before.map((mail) => ben.read(mail))).toEqual(["before 0", "before 1", "before 2"]);
    expect(ben.read(after)).toBe("after");
  });
});

describe("attack 37: one member in another's name", () => {
  it("refuses what is not signed by the chain's key: the chain key, which all have, is not enough", () => {
    const [anna, ben, carl] = three(37);
    for (const each of [anna, ben, carl]) each.prepare();
    const steps = vi.spyOn(letheSuite, "open");
    const known = stepChain(anna.keys.chain);
    if (known === undefined) throw new Error("exhausted");
    const asAnna = { sender: anna.address, chain: anna.keys.chain.id, n: known.n };
    const mail = forge(ben, { head: asAnna, messageKey: known.key });
    expect(refused(carl, mail)).toBe("!bad-signature");
    expect(steps.mock.calls.length, "before any step").toBe(0);
    const other = forge(ben, { head: { sender: anna.address } });
    expect(refused(carl, other), "his own chain's id").toBe("!unknown-chain");
    expect(refused(carl, forge(ben, { signer: anna })), "her signature around his message").toBe(
      "!bad-signature",
    );
    expect(carl.read(anna.send("genuine"))).toBe("genuine");
    expect(steps.mock.calls.length, "a genuine one is counted").toBe(1);
    steps.mockRestore();
  });

  it("refuses a chain for one that another announces, in whoever's name", () => {
    const [anna, ben, carl] = three(371);
    for (const each of [anna, ben, carl]) each.prepare();
    const before = carl.theirs.get(anna.address);
    expect(carl.hear(ben, announcement(anna, carl)), "hers, forwarded").toBe("wrong-sender");
    expect(carl.hear(ben, announcement(ben, carl, { sender: anna.address })), "his, as hers").toBe(
      "wrong-sender",
    );
    expect(carl.hear(ben, announcement(anna, carl, { sender: ben.address })), "hers, as his").toBe("ok");
    expect(carl.theirs.get(anna.address)).toBe(before);
    const mail = anna.send("mine");
    const stolen = sealOf(mail, carl);
    const ciphertext = sealGroup({
      view: { ...ben.group, sealKey: ben.group.sealKey as Secret },
      groupEnvelope: mail.groupEnvelope,
      head: { ...stolen.head, sender: ben.address },
      random: ben.random,
      signed: () => stolen,
    });
    expect(refused(carl, { groupEnvelope: mail.groupEnvelope, ciphertext }), "her message as his").toBe(
      "!bad-signature",
    );
    expect(carl.read(mail)).toBe("mine");
  });

  it("refuses a genuine message whose head a member has changed: number, chain, sender", () => {
    const [anna, ben, carl] = three(373);
    for (const each of [anna, ben, carl]) each.prepare();
    const mail = anna.send("mine");
    const stolen = sealOf(mail, ben);
    const again = (head: Partial<typeof stolen.head>): string => {
      const view = { ...ben.group, sealKey: ben.group.sealKey as Secret };
      const random = { bytes: () => mail.ciphertext.slice(25, 49) }; // the very prefix that was signed
      const given = { view, groupEnvelope: mail.groupEnvelope, head: { ...stolen.head, ...head }, random };
      const ciphertext = sealGroup({ ...given, signed: () => stolen });
      return carl.read({ groupEnvelope: mail.groupEnvelope, ciphertext });
    };
    expect(again({ n: stolen.head.n + 1 })).toBe("!bad-signature");
    expect(again({ n: 2 ** 32 - 1 })).toBe("!bad-signature");
    expect(again({ sender: ben.address })).toBe("!unknown-chain");
    expect(again({}), "unchanged it is hers").toBe("mine");
  });

  it("refuses every change of a bit of an envelope, and changes nothing", () => {
    const [anna, ben] = three(372);
    const mail = anna.send("hello");
    for (let at = 0; at < mail.ciphertext.length; at += 5) {
      const ciphertext = mail.ciphertext.slice();
      ciphertext[at] = (ciphertext[at] as number) ^ 0x04;
      expect(refused(ben, { ...mail, ciphertext })).toMatch(
        /^!(malformed|unknown-seal-key|wrong-envelope-id|not-sealed-for-us)$/,
      );
    }
    expect(ben.read(mail)).toBe("hello");
  });
});

describe("attack 38: one protocol's messages in the other", () => {
  it("a group envelope is no pairwise one, and the reverse", () => {
    const { alice, bob } = talkingPair(38);
    const [anna] = three(38);
    const mail = anna.send("to the group");
    const { identity } = bob;
    const pairwise = alice.send(bob, "to you");
    const asked = { identity, ciphertext: mail.ciphertext, envelope: pairwise.id, now: START };
    expect(unseal(asked).code).toBe("malformed");
    const groupEnvelope = fromBytes<GroupEnvelopeId>(anna.random.bytes(16));
    expect(refused(anna, { groupEnvelope, ciphertext: pairwise.ciphertext })).toBe("!malformed");
    expect(pairwise.ciphertext.length).toBe(mail.ciphertext.length);
  });

  it("what is inside one of them is nothing in the other", () => {
    const { alice, bob } = talkingPair(381);
    const [anna, ben] = three(381);
    const mail = anna.send("to the group");
    const seal = sealOf(mail, ben);
    const inner = Uint8Array.of(...seal.signature, ...seal.message);
    const got = bob.receive(alice.send(bob, inner, "control"));
    if (got.code !== "ok") throw new Error(got.code);
    expect([decodeControl(got.plaintext), decodeTold(got.plaintext)]).toEqual([undefined, undefined]);
  });

  it("keys of a group go over ratchets as control messages, and are no other control message", () => {
    const { alice, bob } = talkingPair(382);
    const [anna, ben] = three(382);
    anna.prepare();
    const told = announcement(anna, ben);
    const got = bob.receive(alice.send(bob, told, "control"));
    expect(got).toMatchObject({ code: "ok", content: "control", plaintext: told });
    expect(decodeControl(told)).toBeUndefined();
    const control = encodeControl({ kind: "access-key", accessKey: new Uint8Array(16) });
    expect(decodeTold(control)).toBeUndefined();
    expect(ben.hear(anna, control)).toBe("malformed");
    const state = encodeTold({
      kind: "state",
      state: anna.group.state.bytes,
      sealKey: new Secret(new Uint8Array(32)),
    });
    expect(ben.hear(anna, state), "a state is no chain").toBe("malformed");
    expect(decodeControl(state)).toBeUndefined();
  });

  it("keys that come in a group's message are content, and never control", () => {
    const [anna, ben] = three(383);
    anna.prepare();
    const mail = anna.send(announcement(anna, ben));
    expect(ben.look(mail)).toMatchObject({ code: "ok", content: "lasting" });
    const padded = pad(Uint8Array.of(3, ...announcement(anna, ben)));
    const opened = ben.look(forge(anna, { padded }));
    expect(opened.code, "there is no such kind of content").toBe("malformed-content");
  });
});
