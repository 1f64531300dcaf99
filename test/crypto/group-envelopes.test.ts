// Attacks on the envelopes of groups: out of place, beyond limits, and what they show to a relay. Named by number.
import { type EnvelopeId, fromBytes, type GroupEnvelopeId, MalformedError } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { stepChain } from "../../crypto/group-chain.ts";
import {
  envelopeIdFor,
  GROUP_OUTCOMES,
  isSilentInGroup,
  mayOpenLater,
  type GroupOutcomeCode,
  MAX_JUMP,
  MAX_PLAINTEXT_BYTES,
  MAX_SENDER_CHAINS,
  MAX_SKIPPED,
  ready,
  rosterOf,
  Secret,
  SENDER_CHAIN_LIFETIME_MS,
  SKIPPED_LIFETIME_MS,
  type SenderChains,
  senderKeys,
  type ToldChain,
} from "../../crypto/index.ts";
import { announcement, everybody, forge, refused, three } from "./group-tools.ts";
import { type GroupDevice, type GroupMail, groupOf } from "./group-world.ts";
import { later, seededRandom, START, talkingPair } from "./support.ts";

beforeAll(ready);

describe("attack 40: out of place", () => {
  it("a message of another group is refused, by the same people and with the same chain", () => {
    const { people } = groupOf(40, 2);
    const [anna, ben] = people as [GroupDevice, GroupDevice];
    const mail = anna.send("in the first group");
    const [first, keys] = [anna.group, anna.keys];
    const theirs = ben.theirs.get(anna.address) as SenderChains;
    for (const each of people) each.view = undefined;
    everybody(people, anna.create([ben]));
    expect(refused(ben, mail)).toBe("!unknown-seal-key");
    // Anna's chain of the first group, in an envelope of the second.
    anna.own = keys;
    ben.theirs.set(anna.address, { ...theirs, group: ben.group.state.group });
    const moved = { ...first, sealKey: anna.group.sealKey, state: { ...first.state } };
    const { sealKeyHash } = anna.group.state;
    const view = { ...moved, state: { ...moved.state, sealKeyHash } };
    expect(refused(ben, forge(anna, { view })), "with the first group's state").toBe("!wrong-state");
    ben.theirs.delete(anna.address);
    expect(refused(ben, forge(anna, { view })), "whose chain was never told").toBe("!wrong-state");
    ben.theirs.set(anna.address, { ...theirs, group: ben.group.state.group });
    const hash = anna.group.state.hash;
    const cross = { ...view, state: { ...view.state, hash } };
    expect(refused(ben, forge(anna, { view: cross })), "signed for the first group").toBe("!bad-signature");
    expect(ben.hear(anna, announcementOf(first, anna, ben))).toBe("wrong-group");
  });

  function announcementOf(view: GroupDevice["group"], from: GroupDevice, to: GroupDevice): Uint8Array {
    const roster = rosterOf(view.state, from.world.accounts, START);
    const made = senderKeys.tell({ ...from.inGroup(), view, roster, own: from.keys, devices: [to.address] });
    if (made.code !== "ok") throw new Error(made.code);
    return made.told;
  }

  it("a chain's id is never taken for another chain, and a known one is never set back", () => {
    const [anna, ben] = three(401);
    anna.prepare();
    const early = announcement(anna, ben);
    const mail = [0, 1, 2].map((i) => anna.send(`m${i}`));
    for (const each of mail) ben.read(each);
    const before = ben.theirs.get(anna.address);
    expect(ben.hear(anna, early)).toBe("known");
    expect(ben.hear(anna, announcement(anna, ben, { n: 0, key: new Secret(new Uint8Array(32)) }))).toBe(
      "known",
    );
    expect(ben.hear(anna, announcement(anna, ben, { signingKey: new Uint8Array(32).fill(7) }))).toBe(
      "chain-reused",
    );
    expect(ben.theirs.get(anna.address)).toEqual(before);
    expect(mail.map((each) => refused(ben, each))).toEqual(["!duplicate", "!duplicate", "!duplicate"]);
  });

  it("an epoch or a hash that does not belong is refused, in messages and in chains", () => {
    const people = three(402);
    const [anna, ben] = people;
    anna.prepare();
    const past = anna.group;
    everybody(people, anna.made({ kind: "renew" }));
    const mixed = { ...past, state: { ...past.state, hash: anna.group.state.hash } };
    expect(refused(ben, forge(anna, { view: mixed })), "the old seal around the new state").toBe(
      "!wrong-state",
    );
    const claims = { ...anna.group, state: { ...anna.group.state, epoch: past.state.epoch } };
    expect(refused(ben, forge(anna, { view: claims })), "another epoch under the signature").toBe(
      "!bad-signature",
    );
    const { epoch, hash } = anna.group.state;
    const wrong = new Uint8Array(32).fill(9);
    const code = (change: Partial<ToldChain>): string => ben.hear(anna, announcement(anna, ben, change));
    expect(code({ state: { epoch: epoch + 1, hash: wrong } })).toBe("unknown-state");
    expect(code({ state: { epoch, hash: wrong } })).toBe("forked");
    expect(code({ state: { epoch: past.state.epoch, hash } })).toBe("forked");
    expect(code({ state: { epoch: 0, hash: wrong } })).toBe("old-epoch");
    expect(code({ sealKey: new Secret(wrong) })).toBe("wrong-seal-key");
    expect(ben.read(forge(anna, { view: past })), "under way from the epoch before").toBe("forged");
  });

  it("the id under which the relay pushes must be that of the envelope for this device", () => {
    const [anna, ben, carl] = three(403);
    const mail = anna.send("hello");
    const open = (envelope: EnvelopeId): string =>
      senderKeys.open({
        ...ben.inGroup(),
        ciphertext: mail.ciphertext,
        envelope,
        theirs: (sender) => ben.theirs.get(sender),
      }).code;
    expect(open(envelopeIdFor(mail.groupEnvelope, carl.address))).toBe("wrong-envelope-id");
    expect(open(fromBytes<EnvelopeId>(ben.random.bytes(16)))).toBe("wrong-envelope-id");
    expect(open(envelopeIdFor(mail.groupEnvelope, ben.address))).toBe("ok");
    const other = fromBytes<GroupEnvelopeId>(ben.random.bytes(16));
    const moved = mail.ciphertext.slice();
    moved.set(
      Uint8Array.from(other, (char) => char.charCodeAt(0)),
      9,
    );
    expect(refused(ben, { groupEnvelope: other, ciphertext: moved })).toBe("!not-sealed-for-us");
  });

  it("one's own message comes back as that, and nobody else's keys are told to who is not in the group", () => {
    const { world, people } = groupOf(404, 2);
    const [anna, ben] = people as [GroupDevice, GroupDevice];
    expect(anna.read(anna.send("mine"))).toBe("!own-copy");
    const stranger = world.person();
    const telling = { ...anna.inGroup(), own: anna.keys, devices: [ben.address, stranger.address] };
    expect(senderKeys.tell(telling)).toEqual({ code: "not-in-roster" });
  });

  it("who may not write is refused, by itself and by others", () => {
    const people = three(405);
    const [anna, ben] = people;
    ben.prepare();
    everybody(people, anna.made({ kind: "writers", writers: "admins" }));
    expect(ben.encrypt("no").made).toEqual({ code: "not-allowed" });
    expect(refused(anna, forge(ben))).toBe("!not-allowed");
    expect(ben.read(anna.send("from an admin"))).toBe("from an admin");
    everybody(people, anna.made({ kind: "writers", writers: "members" }));
    expect(anna.read(ben.send("again"))).toBe("again");
  });
});

describe("the limits of chains", () => {
  it("keep a chain from when the one after it was told, however many came later", () => {
    const { world, people } = groupOf(110, 2);
    const [anna, ben] = people as [GroupDevice, GroupDevice];
    const skipped = [0, 1, 2].map((i) => {
      world.now = later(START, i * 1_000);
      anna.own = undefined;
      anna.prepare();
      return anna.keys.chain.id;
    });
    const theirs = ben.theirs.get(anna.address) as SenderChains;
    const kept = (ms: number): string[] =>
      senderKeys.tidy(theirs, later(START, SENDER_CHAIN_LIFETIME_MS + ms)).chains.map(({ id }) => id);
    expect([kept(999), kept(1_000), kept(2_000)]).toEqual([skipped, skipped.slice(1), skipped.slice(2)]);
  });

  it("hold for what comes from a store: 2,000 kept keys over all chains of a device", () => {
    const { people } = groupOf(111, 2);
    const [anna, ben] = people as [GroupDevice, GroupDevice];
    for (let i = 0; i < 2; i++) {
      anna.own = undefined;
      anna.prepare();
    }
    const theirs = ben.theirs.get(anna.address) as SenderChains;
    const skipped = Array.from({ length: MAX_SKIPPED / 2 }, (_, n) => {
      return { n, key: new Secret(new Uint8Array(32)), since: START };
    });
    const chains = theirs.chains.map((chain) => ({ ...chain, next: MAX_SKIPPED, skipped }));
    const bytes = senderKeys.encodeTheirs({ ...theirs, chains });
    expect(senderKeys.decodeTheirs(bytes).chains.length).toBe(2);
    const more = [...skipped, { n: MAX_SKIPPED / 2, key: new Secret(new Uint8Array(32)), since: START }];
    const over = chains.map((chain, i) => (i === 0 ? { ...chain, skipped: more } : chain));
    expect(() => senderKeys.decodeTheirs(senderKeys.encodeTheirs({ ...theirs, chains: over }))).toThrow(
      MalformedError,
    );
  });

  it("walks 25,000 messages forward and refuses 25,001; keeps the keys of the last 2,000", () => {
    const [anna, ben] = three(10);
    anna.prepare();
    const start = anna.keys;
    let chain = start.chain;
    const at = (n: number): GroupMail => {
      while (chain.next < n) chain = stepChain(chain)?.chain ?? chain;
      anna.own = { ...start, chain };
      return forge(anna);
    };
    const kept = [MAX_JUMP - MAX_SKIPPED - 1, MAX_JUMP - MAX_SKIPPED].map(at) as [GroupMail, GroupMail];
    const far = at(MAX_JUMP);
    expect(refused(ben, at(MAX_JUMP + 1))).toBe("!too-far");
    expect(ben.read(far)).toBe("forged");
    expect(refused(ben, kept[0])).toBe("!key-expired");
    expect(ben.read(kept[1])).toBe("forged");
    expect(ben.read(kept[1])).toBe("!duplicate");
  });

  it("keeps three chains of a device, for R + 2 d after another was made, and a skipped key as long", () => {
    const { world, people } = groupOf(11, 2);
    const [anna, ben] = people as [GroupDevice, GroupDevice];
    const first = Array.from({ length: MAX_SENDER_CHAINS + 1 }, () => {
      anna.own = undefined;
      const skipped = anna.send("skipped");
      ben.read(anna.send("read"));
      return skipped;
    });
    expect(first.map((mail) => ben.look(mail).code)).toEqual(["unknown-chain", "ok", "ok", "ok"]);
    const theirs = (): SenderChains => ben.theirs.get(anna.address) as SenderChains;
    expect(theirs().chains.length).toBe(MAX_SENDER_CHAINS);
    world.now = later(START, SKIPPED_LIFETIME_MS - 1);
    expect(ben.look(first[3] as GroupMail).code).toBe("ok");
    world.now = later(START, SKIPPED_LIFETIME_MS);
    expect(ben.look(first[3] as GroupMail).code).toBe("key-expired");
    expect(senderKeys.tidy(theirs(), later(START, SENDER_CHAIN_LIFETIME_MS - 1)).chains.length).toBe(3);
    const tidied = senderKeys.tidy(theirs(), later(START, SENDER_CHAIN_LIFETIME_MS));
    expect(tidied.chains.map(({ skipped, lostBelow }) => [skipped.length, lostBelow])).toEqual([[0, 1]]);
  });

  it("keeps 2,000 skipped keys of a device over all its chains, and drops the oldest", () => {
    const [anna, ben] = three(12);
    const skip = (count: number): GroupMail => {
      anna.own = undefined;
      const mail = anna.send("skipped");
      const { holders } = anna.keys;
      let { chain } = anna.keys;
      for (let i = 1; i < count; i++) chain = stepChain(chain)?.chain ?? chain;
      anna.own = { chain, holders };
      expect(ben.read(forge(anna))).toBe("forged");
      return mail;
    };
    const [one, two] = [skip(1_500), skip(501)];
    const { chains } = ben.theirs.get(anna.address) as SenderChains;
    expect(chains.map(({ skipped }) => skipped.length)).toEqual([1_499, 501]);
    expect([refused(ben, one), ben.read(two)]).toEqual(["!key-expired", "skipped"]);
  });

  it("tells a second message of one number from a repeat: the sender's store was copied", () => {
    const [anna, ben] = three(13);
    anna.prepare();
    const copy = anna.keys;
    const one = anna.send("one");
    anna.own = copy;
    const other = anna.send("other");
    expect(ben.read(one)).toBe("one");
    expect([refused(ben, one), refused(ben, other)]).toEqual(["!duplicate", "!forked"]);
    const nonces = [one, other].map(({ ciphertext }) =>
      Buffer.from(ciphertext.slice(25, 49)).toString("hex"),
    );
    expect(new Set(nonces).size).toBe(2);
  });

  it("a body that does not decrypt under a good signature, or is no content, is told apart", () => {
    const [anna, ben] = three(14);
    anna.prepare();
    expect(refused(ben, forge(anna, { messageKey: new Uint8Array(32) }))).toBe("!aead-fail");
    const poison = forge(anna, { padded: new Uint8Array(256) });
    expect(ben.read(poison)).toBe("!malformed-content");
    anna.send("on the number of the poison");
    expect(ben.read(anna.send("the next"))).toBe("the next");
  });

  it("has a policy for every outcome, and delivers one alone", () => {
    const codes = Object.keys(GROUP_OUTCOMES) as GroupOutcomeCode[];
    expect(codes.filter((code) => GROUP_OUTCOMES[code].inbox === "deliver")).toEqual(["ok"]);
    expect(codes.filter(mayOpenLater)).toEqual(codes.filter((code) => GROUP_OUTCOMES[code].wait));
    expect(codes.filter(isSilentInGroup)).toEqual(
      codes.filter((code) => GROUP_OUTCOMES[code].inbox === "silent"),
    );
    expect(codes.filter((code) => GROUP_OUTCOMES[code].wait)).toEqual([
      "unknown-seal-key",
      "untrusted-device",
      "unknown-chain",
    ]);
  });
});

describe("attack 46: sizes in groups", () => {
  it("texts of 1 to 200 bytes and receipts have one size, that of pairwise envelopes", () => {
    const { alice, bob } = talkingPair(46);
    const [anna] = three(46);
    const sizes = new Set<number>();
    for (let length = 1; length <= 200; length += 7)
      sizes.add(anna.send("x".repeat(length)).ciphertext.length);
    for (const length of [1, 16, 200])
      sizes.add(anna.send(new Uint8Array(length), "passing").ciphertext.length);
    expect(sizes).toEqual(new Set([487]));
    for (const length of [1, 200, 300, 1_000, 5_000, MAX_PLAINTEXT_BYTES]) {
      const said = new Uint8Array(length).fill(7);
      expect([length, anna.send(said).ciphertext.length]).toEqual([
        length,
        alice.send(bob, said).ciphertext.length,
      ]);
    }
  });

  it("nothing of a sender, chain, group or state stands outside the seal, and only the seal id comes twice", () => {
    const [anna, ben] = three(461);
    const mail = [anna.send("one"), anna.send("one"), ben.send("one")].map(({ ciphertext }) =>
      Buffer.from(ciphertext),
    );
    const { group, hash } = anna.group.state;
    const known = [anna.address, ben.address, group, anna.keys.chain.id].map((id) =>
      Buffer.from(id, "latin1"),
    );
    for (const bytes of [...known, Buffer.from(hash), Buffer.from(anna.keys.chain.signingKey)])
      for (const envelope of mail) expect(envelope.includes(bytes.subarray(0, 8))).toBe(false);
    const [one, two, three_] = mail as [Buffer, Buffer, Buffer];
    for (const [a, b] of [
      [one, two],
      [one, three_],
    ] as const)
      for (let at = 9; at + 8 <= a.length; at++) expect(b.includes(a.subarray(at, at + 8))).toBe(false);
    expect(one.subarray(0, 9).equals(three_.subarray(0, 9)), "one seal id for all senders").toBe(true);
  });

  it("refuses what is longer than a message may be", () => {
    const [anna] = three(462);
    anna.prepare();
    expect(anna.encrypt(new Uint8Array(MAX_PLAINTEXT_BYTES + 1)).made).toEqual({ code: "too-long" });
  });
});

describe("random bytes", () => {
  it("of envelopes give a code, and never throw", () => {
    const [anna, ben] = three(15);
    const { groupEnvelope, ciphertext } = anna.send("hello");
    const random = seededRandom(15);
    for (let i = 0; i < 500; i++) {
      const bytes =
        random.below(2) === 0 ? random.bytes(random.below(600)) : ciphertext.slice(0, random.below(487));
      bytes[0] = 0x81;
      expect(ben.look({ groupEnvelope, ciphertext: bytes }).code).not.toBe("ok");
    }
  });
});
