// The hand-out of prekeys under attack ("Prekey Pogo"), in simulated time: what it costs an attacker, and whom it leaves alone.
import type { DeviceAddress } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import { HandOut, STRANGERS_KEYS, TOKEN_MS } from "../../relay/edge/hand-out.ts";

const BEN = "ben's device" as DeviceAddress;
const requester = (n: number): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => (n >> (8 * (i % 4))) & 255);

function aHandOut(fetches = 6) {
  const clock = { now: 5 };
  return { clock, handOut: new HandOut(fetches, () => clock.now) };
}

describe("the hand-out of prekeys", () => {
  it("gives one asker six, then one each ten minutes", () => {
    const { clock, handOut } = aHandOut();
    const ask = (n: number, isContact = true) =>
      handOut.ask({ who: "192.0.2.7", target: BEN, requester: requester(n), isContact });
    for (let n = 0; n < 6; n++) expect(ask(n)).toEqual({ is: "may", oneTime: true });
    expect(ask(6)).toEqual({ is: "wait", ms: TOKEN_MS });
    clock.now += TOKEN_MS / 2;
    expect(ask(6)).toEqual({ is: "wait", ms: TOKEN_MS / 2 });
    clock.now += TOKEN_MS / 2;
    expect(ask(6)).toEqual({ is: "may", oneTime: true });
    expect(ask(7).is).toBe("wait");
    clock.now += 100 * TOKEN_MS;
    for (let n = 10; n < 16; n++) expect(ask(n).is).toBe("may");
    expect(ask(16).is).toBe("wait");
  });

  it("does not count the same requester again, and gives it what it gave before", () => {
    const { clock, handOut } = aHandOut(1);
    const ask = (n: number) =>
      handOut.ask({ who: "a", target: BEN, requester: requester(n), isContact: true });
    expect(ask(1).is).toBe("may");
    for (let i = 0; i < 1_000; i++) expect(ask(1)).toEqual({ is: "may", oneTime: true });
    expect(ask(2).is).toBe("wait");
    clock.now += TOKEN_MS;
    expect(ask(1).is).toBe("may"); // what it had is forgotten: this one counts
    expect(ask(2).is).toBe("wait");
  });

  it("hands strangers twenty one-time keys an hour, however many they are, and never refuses them the others", () => {
    const { clock, handOut } = aHandOut();
    let used = 0;
    for (let n = 0; n < 1_000; n++) {
      const answer = handOut.ask({
        who: `stranger ${n}`,
        target: BEN,
        requester: requester(n),
        isContact: false,
      });
      expect(answer.is).toBe("may");
      if (answer.is === "may" && answer.oneTime) used++;
    }
    expect(used).toBe(STRANGERS_KEYS);
    const contact = handOut.ask({
      who: "contact",
      target: BEN,
      requester: requester(5_000),
      isContact: true,
    });
    expect(contact).toEqual({ is: "may", oneTime: true });
    clock.now += 3_600_000 / STRANGERS_KEYS;
    const later = (n: number) =>
      handOut.ask({ who: `later ${n}`, target: BEN, requester: requester(6_000 + n), isContact: false });
    expect([later(1), later(2)]).toEqual([
      { is: "may", oneTime: true },
      { is: "may", oneTime: false },
    ]);
  });

  it("keeps one target's limits apart from another's, and forgets the oldest when it remembers too many", () => {
    const { handOut } = aHandOut(1);
    const ask = (who: string, target: string, n: number) =>
      handOut.ask({ who, target: target as DeviceAddress, requester: requester(n), isContact: true });
    expect(ask("a", "one", 1).is).toBe("may");
    expect(ask("a", "one", 2).is).toBe("wait");
    expect(ask("a", "two", 2).is).toBe("may");
    for (let n = 0; n < 60_000; n++) ask(`asker ${n}`, "three", n);
    expect(handOut.remembered).toBeLessThanOrEqual(100_000);
    expect(ask("a", "one", 3).is).toBe("may");
  });
});
