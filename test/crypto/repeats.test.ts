// A relay that hands an old envelope over once more, after the library has forgotten its id, or for the first time after
// its key was dropped: that says nothing about anybody's store.
import type { DeviceAddress } from "@lethe/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import {
  decodeRatchet,
  encodeRatchet,
  isRenewalDue,
  MAX_OLDER_CHAINS,
  MAX_PAST_CHAINS,
  MAX_SKIPPED,
  maintainIdentity,
  type Ratchet,
  ready,
} from "../../crypto/index.ts";
import { behindEnd, endAt } from "../../crypto/replaced.ts";
import { deliver, lookAt, sendFrom, type Sides, twoCores } from "./model.ts";
import { DAY, type Device, later, START, seededRandom, talkingPair } from "./support.ts";

beforeAll(ready);

const say = (from: Device, to: Device): void => expect(to.read(from.send(to, "a turn"))).toBe("a turn");

/** What an envelope reads as that came once and comes again 32 days and so many turns of both sides later. */
function repeatAfter(turns: number, last: "sender" | "recipient"): string {
  const { alice, bob } = talkingPair(14);
  const old = alice.send(bob, "once");
  expect(bob.read(old)).toBe("once");
  for (let turn = 0; turn < turns; turn++) {
    say(bob, alice);
    say(alice, bob);
  }
  if (last === "recipient") say(bob, alice);
  restart(bob, alice.address);
  pass(bob, 32);
  return bob.read(old);
}

/** The ratchets as they come out of a store. */
function restart(device: Device, peer: DeviceAddress): void {
  const kept = device.ratchets.get(peer) ?? [];
  device.ratchets.set(
    peer,
    kept.map((ratchet) => decodeRatchet(encodeRatchet(ratchet))),
  );
}

function pass(device: Device, days: number): void {
  for (let day = 0; day < days; day++) {
    device.now = later(device.now, DAY);
    device.identity = maintainIdentity(device.identity, { random: device.random, now: device.now });
  }
}

describe("an envelope that comes again", () => {
  it("is a duplicate as long as its chain is known with its count", () => {
    for (const turns of [0, 1, 5, MAX_PAST_CHAINS])
      expect([turns, repeatAfter(turns, "sender"), repeatAfter(turns, "recipient")]).toEqual([
        turns,
        "!duplicate",
        "!duplicate",
      ]);
  });

  it("is a duplicate whenever it comes", () => {
    expect(repeatAfter(MAX_PAST_CHAINS + 4, "sender")).toBe("!duplicate");
  });

  it("is a duplicate whenever it comes, also where we have answered", () => {
    expect(repeatAfter(MAX_PAST_CHAINS + 4, "recipient")).toBe("!duplicate");
  });

  it("is a duplicate on a ratchet that the peer has ended, and a chain that nobody knows is behind the end", () => {
    const { alice, bob } = talkingPair(15);
    const old = alice.send(bob, "once");
    expect(bob.read(old)).toBe("once");
    for (let turn = 0; turn < MAX_PAST_CHAINS + 4; turn++) {
      say(bob, alice);
      say(alice, bob);
    }
    const end = { key: bob.ratchet(alice).core.receiving.peer, count: 1 };
    const ended: Ratchet = endAt(bob.ratchet(alice), end);
    bob.ratchets.set(alice.address, [ended]);
    expect(bob.read(old)).toBe("!duplicate");
    say(bob, alice);
    expect(bob.read(alice.send(bob, "from a copy"))).toBe("!superseded");
  });
});

/** A turn of both sides: two chains. */
function turns(sides: Sides, count: number, random: ReturnType<typeof seededRandom>): void {
  for (let turn = 0; turn < count; turn++) {
    expect(deliver(sides, sendFrom(sides, 0, 0, random)).code).toBe("ok");
    expect(deliver(sides, sendFrom(sides, 1, 0, random)).code).toBe("ok");
  }
}

describe("the names of chains that have ended", () => {
  it("tell a message whose key was dropped from a repeat", () => {
    const random = seededRandom(3);
    const sides = twoCores(random);
    const [held, came] = [sendFrom(sides, 0, 0, random), sendFrom(sides, 0, 1, random)];
    expect(deliver(sides, came).code).toBe("ok");
    expect(deliver(sides, sendFrom(sides, 1, 0, random)).code).toBe("ok");
    turns(sides, MAX_PAST_CHAINS + 1, random);
    const skipped = Array.from({ length: MAX_SKIPPED }, (_, i) => sendFrom(sides, 0, i, random));
    expect(lookAt(sides, held).code).toBe("ok");
    expect(deliver(sides, sendFrom(sides, 0, 0, random)).code).toBe("ok");
    expect(sides.cores[1].skipped).toHaveLength(skipped.length);
    expect(lookAt(sides, held).code).toBe("key-expired");
    expect(lookAt(sides, came).code).toBe("duplicate");
  });

  it("are kept up to a number; beyond it a new ratchet is due, and what is not known is no alarm", () => {
    const random = seededRandom(4);
    const sides = twoCores(random);
    const old = sendFrom(sides, 0, 0, random);
    expect(deliver(sides, old).code).toBe("ok");
    expect(deliver(sides, sendFrom(sides, 1, 0, random)).code).toBe("ok");
    const due = (): boolean => isRenewalDue({ ...ratchet, core: sides.cores[1] }, START);
    const { bob, alice } = talkingPair(4);
    const ratchet = bob.ratchet(alice);
    turns(sides, MAX_PAST_CHAINS + MAX_OLDER_CHAINS - 2, random);
    // So far what a copy says with a key of its own is told as that.
    const copy: Sides = { cores: [...sides.cores] };
    turns(sides, 1, random);
    const copied = sendFrom(copy, 0, 0, random);
    expect([due(), lookAt(sides, copied).code]).toEqual([false, "aead-fail"]);
    turns(sides, 1, random);
    expect([due(), lookAt(sides, old).code]).toEqual([true, "duplicate"]);
    turns(sides, 1, random);
    expect([due(), lookAt(sides, old).code]).toEqual([true, "key-expired"]);
    expect(sides.cores[1].older).toHaveLength(12 * MAX_OLDER_CHAINS);
    const state = { ...ratchet, core: sides.cores[1] };
    expect(decodeRatchet(encodeRatchet(state))).toEqual(state);
    const ended = endAt(state, { key: sides.cores[1].receiving.peer, count: 1 });
    expect(behindEnd(ended, old.counters.publicKey, 0)).toBe("key-expired");
    expect(behindEnd(ended, sides.cores[1].receiving.peer, 1)).toBe("superseded");
    expect(deliver(sides, sendFrom(sides, 0, 7, random)).code).toBe("ok");
  });
});
