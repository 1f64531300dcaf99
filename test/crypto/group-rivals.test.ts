// Two successors of one state of a group, by two admins or by a relay that splits a group. Named by the attack's number.
import { beforeAll, describe, expect, it } from "vitest";
import {
  acceptGroupState,
  type GroupChange,
  type GroupMember,
  joinGroup,
  type MadeGroupState,
  ready,
  senderKeys,
} from "../../crypto/index.ts";
import { forgedState, judge, type Three, three } from "./group-tools.ts";
import { type GroupDevice, groupOf } from "./group-world.ts";
import { START, seededRandom, seedOf } from "./support.ts";

beforeAll(ready);

describe("attack 39: two successors of one state", () => {
  /** Two admins' changes of one state, that of the lower hash first. */
  function rivals(people: Three): [MadeGroupState, MadeGroupState] {
    const [anna, ben] = people;
    const promoted = anna.made({ kind: "promote", account: ben.account });
    for (const each of people) each.take(promoted);
    const made = [anna.made({ kind: "rename", name: "A" }), ben.made({ kind: "rename", name: "B" })];
    return made.toSorted((a, b) => Buffer.compare(a.state.hash, b.state.hash)) as [
      MadeGroupState,
      MadeGroupState,
    ];
  }

  it("all hold that of the lower hash, whatever the order and however often they come", () => {
    const seed = seedOf("attack 39", 39);
    for (let i = 0; i < 12; i++) {
      const people = three(seed + i);
      const [winner, loser] = rivals(people);
      const random = seededRandom(i);
      for (const each of people) {
        for (let left = 6; left > 0; left--) each.take(random.below(2) === 0 ? winner : loser);
        for (const last of random.below(2) === 0 ? [winner, loser] : [loser, winner]) each.take(last);
        expect(each.group.state.hash).toEqual(winner.state.hash);
      }
      const next = (people[0] as GroupDevice).made({ kind: "renew" });
      expect(people.map((each) => each.take(next))).toEqual(["newer", "newer", "newer"]);
    }
  });

  it("the loser is told, and its change is made again on the winner", () => {
    const people = three(391);
    const [anna, ben, carl] = people;
    const promoted = anna.made({ kind: "promote", account: ben.account });
    for (const each of people) each.take(promoted);
    const change: GroupChange = { kind: "rename", name: "again" };
    let [mine, his] = [anna.made(change), ben.made({ kind: "writers", writers: "admins" })];
    while (Buffer.compare(mine.state.hash, his.state.hash) < 0) mine = anna.made(change);
    expect(anna.take(mine)).toBe("newer");
    const { certificate: signer } = ben.identity;
    const asked = { view: anna.group, bytes: his.state.bytes, signer, sealKey: his.sealKey, now: START };
    const accepted = acceptGroupState(asked);
    expect(accepted).toMatchObject({ code: "ok", how: "replaces", lost: { hash: mine.state.hash } });
    expect(anna.take(his)).toBe("replaces");
    expect(ben.take(his)).toBe("newer");
    expect(ben.take(mine), "whoever has the winner").toBe("lost");
    const again = anna.made(change);
    for (const each of [anna, ben]) expect(each.take(again)).toBe("newer");
    for (const made of [mine, his, again]) carl.take(made);
    expect(carl.group.state.hash).toEqual(anna.group.state.hash);
    expect([carl.group.state.name, carl.group.state.writers]).toEqual(["again", "admins"]);
  });

  it("who was removed by the loser is in again, and reads on", () => {
    const { people } = groupOf(399, 3);
    const [anna, ben, carl] = people as Three;
    everyone(people, anna.made({ kind: "promote", account: ben.account }));
    const removal = anna.made({ kind: "remove", accounts: [carl.account] });
    let rival = ben.made({ kind: "renew" });
    while (Buffer.compare(rival.state.hash, removal.state.hash) > 0) rival = ben.made({ kind: "renew" });
    expect([carl.take(removal), joined(carl, rival, ben)], "by joining again").toEqual([
      "newer",
      "old-epoch",
    ]);
    expect(carl.take(rival)).toBe("replaces");
    for (const each of [anna, ben])
      expect([each.take(removal), each.take(rival)]).toEqual(["newer", "replaces"]);
    expect(carl.read(ben.send("all three"))).toBe("all three");
  });

  it("what a loser has removed is in again: a chain from before goes on, on both sides", () => {
    for (let i = 0; i < 4; i++) {
      const { people } = groupOf(394 + i, 4);
      const [anna, ben, carl, dora] = people as [...Three, GroupDevice];
      const promoted = anna.made({ kind: "promote", account: ben.account });
      for (const each of people) each.take(promoted);
      carl.prepare();
      const removal = anna.made({ kind: "remove", accounts: [dora.account] });
      let rival = ben.made({ kind: "renew" });
      while (Buffer.compare(rival.state.hash, removal.state.hash) > 0) rival = ben.made({ kind: "renew" });
      expect([anna.take(removal), anna.take(rival)]).toEqual(["newer", "replaces"]);
      for (const each of [ben, carl, dora]) expect(each.take(rival)).toBe("newer");
      const chain = carl.keys.chain.id;
      const mail = carl.send("to all four");
      expect(carl.keys.chain.id).toBe(chain);
      expect([anna, ben, dora].map((each) => each.read(mail))).toEqual(Array(3).fill("to all four"));
    }
  });

  it("takes along who was added by the loser, with the rival or with what is made again on it", () => {
    const people = three(398);
    const [anna, ben, carl] = people;
    const { world } = anna;
    everyone(people, anna.made({ kind: "promote", account: ben.account }));
    const dora = world.person();
    const change: GroupChange = { kind: "add", accounts: [world.pinned(dora)] };
    const lost = anna.made(change);
    let winner = ben.made({ kind: "rename", name: "B" });
    while (Buffer.compare(winner.state.hash, lost.state.hash) > 0)
      winner = ben.made({ kind: "rename", name: "B" });
    expect([anna.take(lost), dora.take(lost)]).toEqual(["newer", "joined"]);
    dora.prepare();
    for (const each of people) each.take(winner);
    const byMember = forgedState(carl, winner.state, { members: dora.group.state.members.map(asAdmin) });
    expect(joined(dora, byMember, carl), "by somebody who was no admin").toBe("not-admin");
    const again = anna.made(change);
    everyone(people, again);
    expect(dora.take(again)).toBe("joined");
    expect(dora.take(lost)).toBe("old-epoch");
    const mail = dora.send("with new keys");
    expect([anna, ben, carl].map((each) => each.read(mail))).toEqual(Array(3).fill("with new keys"));
    everyone([...people, dora], anna.made({ kind: "renew" }));
    const other = forgedState(anna, dora.group.state, { members: [...dora.group.state.members], epoch: 9 });
    expect(joined(dora, other, anna), "who has followed a state is not moved any more").toBe(
      "already-joined",
    );
  });

  it("two admins add the same newcomer: it comes to hold the state of the lower hash as all do", () => {
    const outcomes = new Set<boolean>();
    for (let i = 0; i < 6; i++) {
      const people = three(410 + i);
      const [anna, ben] = people;
      everyone(people, anna.made({ kind: "promote", account: ben.account }));
      const dora = anna.world.person();
      const change: GroupChange = { kind: "add", accounts: [anna.world.pinned(dora)] };
      const both = [anna.made(change), ben.made(change)];
      for (const each of people) for (const made of both) each.take(made);
      const [first, second] = (i % 2 === 0 ? both : both.toReversed()) as [MadeGroupState, MadeGroupState];
      dora.take(first);
      dora.prepare();
      const hasLost = dora.take(second) === "joined";
      expect(dora.group.state.hash).toEqual(anna.group.state.hash);
      expect(Buffer.compare(second.state.hash, first.state.hash) < 0).toBe(hasLost);
      const due = senderKeys.rotationDue({ ...dora.inGroup(), own: dora.own });
      expect(due).toBe(hasLost ? "state-lost" : undefined);
      outcomes.add(hasLost);
    }
    expect(outcomes.size, "both orders").toBe(2);
  });

  const asAdmin = (each: GroupMember): GroupMember => ({ ...each, role: "admin" });

  function everyone(people: readonly GroupDevice[], made: MadeGroupState): void {
    for (const each of people) expect(each.take(made)).toBe("newer");
  }

  function joined(device: GroupDevice, { state, sealKey }: MadeGroupState, signer: GroupDevice): string {
    const given = { identity: device.identity, known: device.view, now: START };
    return joinGroup({ ...given, bytes: state.bytes, signer: signer.identity.certificate, sealKey }).code;
  }

  it("is settled by the next state: what was removed then cannot be undone by an older rival", () => {
    const people = three(392);
    const [anna, ben, carl] = people;
    const promoted = anna.made({ kind: "promote", account: ben.account });
    for (const each of people) each.take(promoted);
    const removed = anna.made({ kind: "remove", accounts: [ben.account] });
    let rival = ben.made({ kind: "renew" });
    while (Buffer.compare(rival.state.hash, removed.state.hash) > 0) rival = ben.made({ kind: "renew" });
    for (const each of [anna, carl]) each.take(removed);
    const final = anna.made({ kind: "renew" });
    for (const each of [anna, carl]) expect(each.take(final)).toBe("newer");
    for (const each of [anna, carl]) expect(judge(each, rival, ben)).toBe("old-epoch");
  });

  it("a fork that a relay keeps up is noticed by the hash: by a state, a chain, and a message", () => {
    const people = three(393);
    const [anna, ben, carl] = people;
    const [winner, loser] = rivals(people);
    const maker = loser.state.signer === anna.address ? anna : ben;
    // Those of the loser's side are never shown the winner.
    for (const each of [maker, carl]) expect(each.take(loser)).toBe("newer");
    const other = maker === anna ? ben : anna;
    expect(other.take(winner)).toBe("newer");
    expect(judge(carl, other.made({ kind: "renew" }), other)).toBe("forked");
    for (const each of people) each.prepare(people);
    const told = senderKeys.tell({ ...maker.inGroup(), own: maker.keys, devices: [other.address] });
    if (told.code !== "ok") throw new Error(told.code);
    expect(other.hear(maker, told.told)).toBe("forked");
    const { groupEnvelope, made } = maker.encrypt("on our side");
    if (made.code !== "ok") throw new Error(made.code);
    expect(other.read({ groupEnvelope, ciphertext: made.ciphertext })).toBe("!unknown-seal-key");
  });
});
