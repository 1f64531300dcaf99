import { ready } from "@lethe/crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { CrashWorld, type Dying } from "./support/crash-world.ts";
import { messageId } from "./support/bench-core.ts";

beforeAll(ready);

const SAID = { anna: ["a one", "a two", "a three"], ben: ["b one", "b two"] } as const;
const OTHER = { anna: "ben", ben: "anna" } as const;

/** What must hold whatever died when. */
function check(world: CrashWorld, what: string): void {
  for (const name of ["anna", "ben"] as const) {
    const person = world.person(name);
    const heard = SAID[OTHER[name]];
    const first = [...new Set(person.handed.map(({ text }) => text))];
    expect(first, `${what}: ${name} hears all of it, in order, nothing late`).toEqual([...heard]);
    expect(person.again, `${what}: ${name} is given nothing again that was settled`).toEqual([]);
    expect(
      heard.every((text) => person.settled.has(messageId(text))),
      `${what}: ${name} settled everything`,
    ).toBe(true);
    const own = SAID[name].filter(
      (text) => person.running?.core.view.sent(messageId(text))?.state !== "delivered",
    );
    expect(own, `${what}: ${name}'s messages are delivered`).toEqual([]);
    expect(person.tables.get("outbox")?.size ?? 0, `${what}: ${name}'s outbox`).toBe(0);
    expect(person.tables.get("quarantine")?.size ?? 0, `${what}: ${name}'s quarantine`).toBe(0);
    expect(person.tables.get("inbox")?.size ?? 0, `${what}: ${name}'s inbox`).toBe(0);
    expect(world.mailboxes.get(person.address) ?? [], `${what}: ${name}'s mailbox`).toEqual([]);
  }
  for (const [id, all] of world.submitted)
    for (const bytes of all)
      expect(
        Buffer.from(bytes).equals(all[0] ?? bytes),
        `${what}: ${Buffer.from(id, "latin1").toString("hex")}`,
      ).toBe(true);
}

function live(dying: Dying, repeats: boolean): CrashWorld {
  const world = new CrashWorld(dying, repeats);
  world.run();
  return world;
}

describe("attack 26: a crash at every edge", () => {
  for (const repeats of [false, true])
    for (const who of ["anna", "ben"] as const)
      it(`${who} dies before and after every write, frame and entry${repeats ? ", pushes come twice and answers are lost" : ""}: delivered once, same bytes on each retry`, () => {
        const whole = live({ who, edge: 0 }, repeats);
        check(whole, "no crash");
        const edges = whole.person(who).edges;
        expect(edges).toBeGreaterThan(50);
        const seen = new Set<string>();
        for (let edge = 1; edge <= edges; edge++) {
          const world = live({ who, edge }, repeats);
          const label = world.person(who).labels[edge - 1] ?? "";
          seen.add(label);
          check(world, `${who} dies at edge ${edge}, ${label}`);
        }
        for (const kind of [
          "before a commit",
          "after a commit",
          "before taking push",
          "after sending delivered",
        ])
          expect(seen).toContain(kind);
        expect([...seen].some((label) => label === "before sending submit")).toBe(true);
      }, 240_000);

  it("retries are seen: with lost answers every message is submitted at least twice", () => {
    const world = live({ who: "anna", edge: 0 }, true);
    expect([...world.submitted.values()].every((all) => all.length >= 2)).toBe(true);
  });
});
