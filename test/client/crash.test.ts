import { ready } from "@lethe/crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { CrashWorld, type Dying, type Relaying } from "./support/crash-world.ts";
import { messageId } from "./support/bench-core.ts";

beforeAll(ready);

const SAID = { anna: ["a one", "a two", "a three"], ben: ["b one", "b two"] } as const;
const OTHER = { anna: "ben", ben: "anna" } as const;

/** What each hears when the relay keeps everything; and when one message expires on its way. */
const HEARD = { anna: SAID.ben, ben: SAID.anna } as const;
const EXPIRES = "a two";
const HEARD_WITH_GAP = { anna: SAID.ben, ben: ["a one", "gap 2-2", "a three"] } as const;
type Hearing = Readonly<Record<"anna" | "ben", readonly string[]>>;

/** What must hold whatever died when. */
function check(world: CrashWorld, what: string, hearing: Hearing = HEARD): void {
  for (const name of ["anna", "ben"] as const) {
    const person = world.person(name);
    const heard = hearing[name];
    const first = [...new Set(person.handed.map(({ text }) => text))];
    expect(first, `${what}: ${name} hears all of it, in order, nothing late`).toEqual([...heard]);
    expect(person.openedAgain, `${what}: ${name} opens nothing again that was seen`).toEqual([]);
    expect(person.again, `${what}: ${name} is given nothing again that was settled`).toEqual([]);
    expect(
      person.handed.every(({ id }) => person.settled.has(id)),
      `${what}: ${name} settled everything`,
    ).toBe(true);
    const own = hearing[OTHER[name]].filter(
      (text) =>
        SAID[name].some((said) => said === text) &&
        person.running?.core.view.sent(messageId(text))?.state !== "delivered",
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

function live(dying: Dying, relaying: Relaying): CrashWorld {
  const world = new CrashWorld(dying, relaying);
  world.run();
  return world;
}

describe("attack 26: a crash at every edge", () => {
  for (const repeats of [false, true])
    for (const who of ["anna", "ben"] as const)
      it(`${who} dies before and after every write, frame and entry${repeats ? ", pushes come twice and answers are lost" : ""}: delivered once, same bytes on each retry`, () => {
        const whole = live({ who, edge: 0 }, { repeats });
        check(whole, "no crash");
        const edges = whole.person(who).edges;
        expect(edges).toBeGreaterThan(50);
        const seen = new Set<string>();
        for (let edge = 1; edge <= edges; edge++) {
          const world = live({ who, edge }, { repeats });
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

  for (const repeats of [false, true])
    it(`ben dies before and after every write, frame and entry while a message is missing${repeats ? ", pushes come twice and answers are lost" : ""}: its gap is told where it stands, once it is settled never again`, () => {
      const relaying = { repeats, expires: EXPIRES };
      const whole = live({ who: "ben", edge: 0 }, relaying);
      check(whole, "no crash", HEARD_WITH_GAP);
      const { edges, labels } = whole.person("ben");
      expect(labels).toContain("before handing over gap");
      for (let edge = 1; edge <= edges; edge++) {
        const world = live({ who: "ben", edge }, relaying);
        const label = world.person("ben").labels[edge - 1] ?? "";
        check(world, `ben dies at edge ${edge}, ${label}`, HEARD_WITH_GAP);
      }
    }, 240_000);

  it("retries are seen: with lost answers every message is submitted at least twice", () => {
    const world = live({ who: "anna", edge: 0 }, { repeats: true });
    expect([...world.submitted.values()].every((all) => all.length >= 2)).toBe(true);
  });
});
