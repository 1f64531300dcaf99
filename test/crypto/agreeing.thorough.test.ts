// Which of several ratchets is used for sending: once everything has arrived and each side has sent once more, both have
// to use the same one, whatever the order of arrival was.
import { beforeAll, describe, expect, it } from "vitest";
import { ready } from "../../crypto/index.ts";
import { letheWorld, type Side } from "./twin/worlds.ts";

beforeAll(ready);

/** `s0`: device 0 starts a ratchet and sends on it. `g2`: the envelope of send 2 arrives. */
type Step = `s${Side}` | `g${number}`;

/** The ratchets in use at the end, after two rounds more. */
function inUseAfter(steps: readonly Step[]): readonly string[] {
  const world = letheWorld(7);
  let sent = 0;
  const send = (by: Side): void => {
    world.do({ do: "send", by, text: `message ${sent++}`, content: "lasting" });
  };
  for (const step of steps) {
    const value = Number(step.slice(1));
    if (step.startsWith("g")) world.do({ do: "arrive", mail: value });
    else {
      world.do({ do: "start", by: value as Side, oneTime: false, oneTimeKem: false });
      send(value as Side);
    }
  }
  for (const by of [0, 1, 0, 1] as const) {
    send(by);
    world.do({ do: "arrive", mail: sent - 1 });
  }
  return world.inUse();
}

/** All orders of one thing after another in which an envelope arrives after it was sent. */
function orders(starts: readonly Side[], before: readonly Step[] = []): Step[][] {
  const sent = before.filter((step) => step.startsWith("s")).length;
  const arrived = new Set(before.filter((step) => step.startsWith("g")));
  const next: Step[] = Array.from({ length: sent }, (_, i): Step => `g${i}`).filter((g) => !arrived.has(g));
  const start = starts[sent];
  if (start !== undefined) next.push(`s${start}`);
  if (next.length === 0) return [[...before]];
  return next.flatMap((step) => orders(starts, [...before, step]));
}

function disagreements(starts: readonly Side[]): string[] {
  const all = orders(starts).filter((steps) => new Set(inUseAfter(steps)).size !== 1);
  return all.map((steps) => steps.join(" "));
}

describe("both sides use the same ratchet in the end", () => {
  it("of two, in every order", () => {
    for (const second of [0, 1] as const) {
      expect(orders([0, second]).length).toBe(3);
      expect(disagreements([0, second])).toEqual([]);
    }
  });

  it("of three, in every order, where the last comes from the other side than the first", () => {
    expect(disagreements([0, 0, 1])).toEqual([]);
    expect(disagreements([0, 1, 1])).toEqual([]);
    expect(disagreements([0, 1, 0])).toEqual([]);
  });

  it("of three that one side starts, in every order", () => {
    expect(disagreements([0, 0, 0])).toEqual([]);
  });

  it("of four in two generations that cross, in every order", () => {
    expect(disagreements([0, 1, 1, 0])).toEqual([]);
  });
});
