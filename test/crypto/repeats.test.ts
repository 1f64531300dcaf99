// A relay that hands an old envelope over once more, after the library has forgotten its id: it is a duplicate, and says
// nothing about anybody's store.
import { beforeAll, describe, expect, it } from "vitest";
import { MAX_PAST_CHAINS, maintainIdentity, ready } from "../../crypto/index.ts";
import { DAY, type Device, later, talkingPair } from "./support.ts";

beforeAll(ready);

/** What an envelope reads as that came once and comes again 32 days and so many turns of both sides later. */
function repeatAfter(turns: number, last: "sender" | "recipient"): string {
  const { alice, bob } = talkingPair(14);
  const old = alice.send(bob, "once");
  expect(bob.read(old)).toBe("once");
  const say = (from: Device, to: Device): void => expect(to.read(from.send(to, "a turn"))).toBe("a turn");
  for (let turn = 0; turn < turns; turn++) {
    say(bob, alice);
    say(alice, bob);
  }
  if (last === "recipient") say(bob, alice);
  pass(bob, 32);
  return bob.read(old);
}

function pass(device: Device, days: number): void {
  for (let day = 0; day < days; day++) {
    device.now = later(device.now, DAY);
    device.identity = maintainIdentity(device.identity, { random: device.random, now: device.now });
  }
}

describe("an envelope that comes again", () => {
  it("is a duplicate as long as its chain is known by name", () => {
    for (const turns of [0, 1, 5, MAX_PAST_CHAINS])
      expect([turns, repeatAfter(turns, "sender"), repeatAfter(turns, "recipient")]).toEqual([
        turns,
        "!duplicate",
        "!duplicate",
      ]);
  });

  // What follows is known not to hold: the repeat reads as `forked` or `aead-fail`, which is told as a copied store. The
  // library forgets envelope ids after 31 days, while sealing keys and a ratchet that nobody used live longer.
  it.fails("is a duplicate whenever it comes", () => {
    expect(repeatAfter(MAX_PAST_CHAINS + 4, "sender")).toBe("!duplicate");
  });

  it.fails("is a duplicate whenever it comes, also where we have answered", () => {
    expect(repeatAfter(MAX_PAST_CHAINS + 4, "recipient")).toBe("!duplicate");
  });
});
