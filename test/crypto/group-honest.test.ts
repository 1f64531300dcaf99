// Honest groups: random orders, losses and repeats, changes in between, states that go through the store's bytes, and keys
// that travel over real ratchets.
import { MalformedError } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import {
  decodeGroupView,
  encodeGroupView,
  type GroupChange,
  MAX_SENDER_CHAINS,
  ready,
  senderKeys,
  type SenderChains,
} from "../../crypto/index.ts";
import { announcement, everybody, three } from "./group-tools.ts";
import { type GroupDevice, type GroupMail, groupOf } from "./group-world.ts";
import { seededRandom, seedOf, talkingPair } from "./support.ts";

beforeAll(ready);

/** All that a device keeps, through bytes and back, as after a restart. */
function restart(device: GroupDevice): void {
  device.view = decodeGroupView(encodeGroupView(device.group));
  if (device.own !== undefined) device.own = senderKeys.decodeOwn(senderKeys.encodeOwn(device.own));
  for (const [address, theirs] of device.theirs)
    device.theirs.set(address, senderKeys.decodeTheirs(senderKeys.encodeTheirs(theirs)));
}

describe("an honest group", () => {
  it("delivers each message once to everybody, whatever the order and however often it comes, over restarts", () => {
    const seed = seedOf("honest group", 100);
    const random = seededRandom(seed);
    const { world, people } = groupOf(seed, 4);
    for (const each of [...people]) if (random.below(2) === 0) everybody([world.link(each)], stateOf(people));
    const devices = [...world.devices.values()];
    for (const each of devices) each.prepare();
    const boxes = new Map(devices.map((each) => [each, [] as { said: string; mail: GroupMail }[]]));
    const heard = new Map(devices.map((each) => [each, [] as string[]]));
    const sent: string[] = [];
    for (let i = 0; i < 120; i++) {
      const sender = devices[random.below(devices.length)] as GroupDevice;
      const said = `${i} from ${devices.indexOf(sender)}`;
      const mail = sender.send(said);
      sent.push(said);
      for (const each of devices)
        boxes.get(each)?.push({ said, mail }, ...(random.below(4) === 0 ? [{ said, mail }] : []));
      const reader = devices[random.below(devices.length)] as GroupDevice;
      const box = boxes.get(reader) ?? [];
      for (let left = random.below(box.length + 1); left > 0; left--) {
        const [taken] = box.splice(random.below(box.length), 1);
        if (taken !== undefined) heard.get(reader)?.push(reader.read(taken.mail));
      }
      if (random.below(10) === 0) restart(reader);
    }
    for (const each of devices) {
      const own = devices.indexOf(each);
      for (const { mail } of boxes.get(each) ?? []) heard.get(each)?.push(each.read(mail));
      const said = (heard.get(each) ?? []).filter((words) => !words.startsWith("!"));
      expect(said.toSorted()).toEqual(sent.filter((words) => !words.endsWith(` ${own}`)).toSorted());
      const rest = new Set(heard.get(each)?.filter((words) => words.startsWith("!")));
      expect(rest).toEqual(new Set(["!own-copy", "!duplicate"]));
    }
  });

  function stateOf([first]: readonly GroupDevice[]) {
    const { state, sealKey } = (first as GroupDevice).group;
    if (sealKey === undefined) throw new Error("no seal key");
    return { state, sealKey };
  }

  it("goes on through random changes: who is in reads what is said, who is out reads nothing of it", () => {
    const seed = seedOf("group changes", 200);
    const random = seededRandom(seed);
    const { world, people } = groupOf(seed, 3);
    const [anna] = people as [GroupDevice];
    const all = [...people, ...world.people(3)];
    const isIn = (each: GroupDevice): boolean =>
      anna.group.state.members.some(({ account }) => account === each.account);
    const counts = { added: 0, removed: 0 };
    for (let i = 0; i < 40; i++) {
      const other = all[1 + random.below(all.length - 1)] as GroupDevice;
      const change: GroupChange = isIn(other)
        ? { kind: "remove", accounts: [other.account] }
        : { kind: "add", accounts: [world.pinned(other)] };
      const before = all.filter(isIn);
      const made = anna.made(change);
      counts[change.kind === "remove" ? "removed" : "added"]++;
      anna.take(made);
      everybody(
        [...new Set([...before, ...all.filter(isIn)])].filter((each) => each !== anna),
        made,
      );
      const inside = all.filter(isIn);
      const sender = inside[random.below(inside.length)] as GroupDevice;
      const mail = sender.send(`after ${i}`);
      for (const each of all) {
        if (each === sender || each.view === undefined) continue;
        expect(each.read(mail)).toBe(isIn(each) ? `after ${i}` : "!unknown-seal-key");
      }
    }
    expect(Math.min(counts.added, counts.removed)).toBeGreaterThan(8);
  });

  it("gives its keys over ratchets, and a device that missed them reads on once it was told", () => {
    const { alice, bob } = talkingPair(300);
    const [anna, ben] = three(300);
    anna.prepare([ben]);
    const mail = [anna.send("one"), anna.send("two")];
    expect(mail.map((each) => ben.read(each))).toEqual(["!unknown-chain", "!unknown-chain"]);
    const over = bob.receive(alice.send(bob, announcement(anna, ben), "control"));
    if (over.code !== "ok") throw new Error(over.code);
    expect(ben.hear(anna, over.plaintext)).toBe("ok");
    expect(
      mail.map((each) => ben.read(each)),
      "told from the third message on",
    ).toEqual(["!key-expired", "!key-expired"]);
    expect(ben.read(anna.send("three"))).toBe("three");
  });

  it("learns the seal key of its state with a chain, where it had the state alone", () => {
    const [anna, ben] = three(301);
    const { state } = anna.group;
    ben.view = { ...ben.group, sealKey: undefined };
    const own = senderKeys.rotate({ ...ben.inGroup(), random: ben.random });
    expect(senderKeys.tell({ ...ben.inGroup(), own, devices: [] })).toEqual({ code: "no-seal-key" });
    const mail = anna.send("with the key");
    expect(ben.group.state.hash).toEqual(state.hash);
    expect(ben.read(mail)).toBe("with the key");
  });
});

describe("a device that had states without their seal keys", () => {
  it("learns that of a past epoch with a chain that was told in it, and that of its own state with the state", () => {
    const people = three(304);
    const [anna, ben] = people;
    anna.prepare([ben]);
    const told = announcement(anna, ben);
    const mail = anna.send("in the first epoch");
    ben.theirs.clear();
    ben.view = { ...ben.group, sealKey: undefined };
    const next = anna.made({ kind: "renew" });
    everybody(people, next);
    expect(ben.read(mail)).toBe("!unknown-seal-key");
    expect(ben.hear(anna, told)).toBe("ok");
    expect(ben.read(mail)).toBe("in the first epoch");
    ben.view = { ...ben.group, sealKey: undefined };
    const later = anna.send("in the second");
    ben.view = { ...ben.group, sealKey: undefined };
    expect(ben.read(later)).toBe("!unknown-seal-key");
    expect([ben.take(next), ben.read(later)]).toEqual(["same", "in the second"]);
  });
});

describe("states in bytes", () => {
  it("are the same after a round, and take no change of their size", () => {
    const { people } = groupOf(302, 3);
    const [anna, ben] = people as [GroupDevice, GroupDevice];
    for (let i = 0; i < MAX_SENDER_CHAINS; i++) {
      anna.own = undefined;
      anna.send("skipped");
      ben.read(anna.send("read"));
      everybody(people, anna.made({ kind: "renew" }));
    }
    const theirs = ben.theirs.get(anna.address) as SenderChains;
    const records = [
      [encodeGroupView(ben.group), (bytes: Uint8Array) => encodeGroupView(decodeGroupView(bytes))],
      [
        senderKeys.encodeOwn(anna.keys),
        (bytes: Uint8Array) => senderKeys.encodeOwn(senderKeys.decodeOwn(bytes)),
      ],
      [
        senderKeys.encodeTheirs(theirs),
        (bytes: Uint8Array) => senderKeys.encodeTheirs(senderKeys.decodeTheirs(bytes)),
      ],
    ] as const;
    for (const [bytes, again] of records) {
      expect(again(bytes)).toEqual(bytes);
      expect(() => again(Uint8Array.of(...bytes, 0))).toThrow(MalformedError);
      expect(() => again(bytes.slice(0, -1))).toThrow(MalformedError);
      expect(() => again(Uint8Array.of(2, ...bytes.slice(1))), "another layout version").toThrow(
        MalformedError,
      );
    }
  });

  it("are refused where their parts do not belong together", () => {
    const { people } = groupOf(303, 2);
    const [anna, ben] = people as [GroupDevice, GroupDevice];
    const first = anna.group;
    ben.read(anna.send("one"));
    everybody(people, anna.made({ kind: "renew" }));
    const { group: view, keys } = anna;
    const theirs = ben.theirs.get(anna.address) as SenderChains;
    const [chain] = theirs.chains as [SenderChains["chains"][number]];
    for (const bad of [
      () => decodeGroupView(encodeGroupView({ ...view, sealKey: first.sealKey })),
      () => decodeGroupView(encodeGroupView({ ...view, before: view.state })),
      () => decodeGroupView(encodeGroupView({ ...view, removedAt: view.state.epoch + 1 })),
      () =>
        senderKeys.decodeOwn(
          senderKeys.encodeOwn({ ...keys, chain: { ...keys.chain, signingKey: new Uint8Array(32) } }),
        ),
      () => senderKeys.decodeTheirs(senderKeys.encodeTheirs({ ...theirs, chains: [chain, chain] })),
      () =>
        senderKeys.decodeTheirs(
          senderKeys.encodeTheirs({ ...theirs, chains: [{ ...chain, lostBelow: chain.next + 1 }] }),
        ),
    ])
      expect(bad).toThrow(MalformedError);
  });
});
