// The schedule of faults: drawn by the seed alone, every kind in its turn; and the crash points of the relay under test.
import type { Mailbox } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import { Chance } from "../support/chance.ts";
import { FAULTS, kindsOf, type Round, roundsOf } from "./faults/catalogue.ts";
import { optionsOf } from "./options.ts";
import { CRASH_POINTS, crashing, crashOf } from "./relay/crash-points.ts";

const names = (list: string, store: "embedded" | "redis" = "embedded", nodes = 1): string[] =>
  kindsOf(list, store, nodes).map(({ name }) => name);

function someRounds(seed: number, count: number): Round[] {
  const rounds = roundsOf(kindsOf("all", "embedded", 1), new Chance(seed));
  return Array.from({ length: count }, () => rounds.next().value);
}

describe("the catalogue of faults", () => {
  it("has each name once, and takes kinds, groups and what is left out", () => {
    expect(new Set(FAULTS.map(({ name }) => name)).size).toBe(FAULTS.length);
    expect(names("relay-kill,storm")).toEqual(["relay-kill", "storm"]);
    expect(names("client,-storm")).toEqual(["client-kill", "client-pause"]);
    expect(names("-link")).not.toContain("link-cut");
    expect(names("-link")).toContain("relay-kill");
    expect(() => names("relay-kil")).toThrow("no fault is called relay-kil");
  });

  it("keeps faults of Redis for Redis, and those of many relays for many", () => {
    expect(names("store")).toEqual([]);
    expect(names("all", "redis", 3)).toEqual(FAULTS.map(({ name }) => name));
    expect(names("all", "redis", 1)).not.toContain("relay-kill-all");
  });
});

describe("the schedule", () => {
  const told = (rounds: Round[]): unknown =>
    rounds.map(({ faults, ...rest }) => ({
      ...rest,
      faults: faults.map(({ kind, seed }) => [kind.name, seed]),
    }));

  it("is the seed's", () => {
    expect(told(someRounds(3, 50))).toEqual(told(someRounds(3, 50)));
    expect(told(someRounds(3, 50))).not.toEqual(told(someRounds(4, 50)));
  });

  it("has rounds of one to three faults, held for a part of 5 to 15 s, and every kind as often as every other", () => {
    const rounds = someRounds(9, 400);
    const counts = new Map<string, number>();
    for (const { lengthMs, holdMs, faults } of rounds) {
      expect(lengthMs).toBeGreaterThanOrEqual(5_000);
      expect(lengthMs).toBeLessThanOrEqual(15_000);
      expect(holdMs).toBeLessThan(lengthMs * 0.61);
      expect([1, 2, 3]).toContain(faults.length);
      for (const { kind } of faults) counts.set(kind.name, (counts.get(kind.name) ?? 0) + 1);
    }
    expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(1);
    expect(counts.size).toBe(names("all").length);
  });
});

describe("the options", () => {
  it.each([
    [["--minutes", "0"], "--minutes is a number"],
    [["--store", "sqlite"], "--store is embedded or redis"],
    [["--nodes", "3"], "the embedded store has one node"],
    [["--groups", "101"], "--groups is a number"],
    [["--hours", "1"], "Unknown option"],
  ])("refuse %j", (args, says) => {
    expect(() => optionsOf(args, 1)).toThrow(says);
  });
});

describe("groups", () => {
  it("are made unless they are turned off", () => {
    expect(optionsOf([], 1)).toMatchObject({ groups: 6 });
    expect(optionsOf(["--groups", "0"], 1)).toMatchObject({ groups: 0 });
  });
});

describe("a crash point", () => {
  it.each(CRASH_POINTS)("%s ends the relay there, after as many times as are spared", async (point) => {
    const story: string[] = [];
    const [when, verb] = point.split("-") as [string, string];
    const mailbox = { [verb]: async () => (story.push("done"), []) } as unknown as Mailbox;
    const crash = crashing(mailbox, () => story.push("end"));
    crash.arm(crashOf(`${point}:1`));
    const run = (crash.mailbox as unknown as Record<string, (batch: []) => Promise<unknown>>)[verb];
    await run?.([]);
    await run?.([]);
    await run?.([]);
    expect(story).toEqual(
      when === "before" ? ["done", "end", "done", "done"] : ["done", "done", "end", "done"],
    );
  });

  it("has a name", () => {
    expect(() => crashOf("after-lunch")).toThrow("no crash point is called after-lunch");
    expect(() => crashOf("after-read:x")).toThrow("no crash point");
  });
});
