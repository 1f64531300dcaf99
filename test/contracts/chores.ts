// The contract of chores as tests, for every backend. A backend declares whose time its chores go by: "moved" by the test, or
// "real" where a queue of others' making keeps it, which reads the clocks of processes and servers and blocks on them. By
// real time the tests wait for what is to happen, and judge by the times at which it did.
import { type Time } from "@lethe/protocol";
import { MAX_PAYLOAD_BYTES } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import type { BackendUnderTest, BackendWorld } from "./world.ts";

/** Chores that ran, in order, and a way to wait for them. */
class Ran {
  readonly payloads: string[] = [];
  #waiting: { count: number; resolve: () => void }[] = [];

  add(payload: string): void {
    this.payloads.push(payload);
    for (const { count, resolve } of this.#waiting) if (this.payloads.length >= count) resolve();
    this.#waiting = this.#waiting.filter(({ count }) => this.payloads.length < count);
  }

  async atLeast(count: number): Promise<string[]> {
    if (this.payloads.length < count)
      await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
    return this.payloads;
  }
}

export type ChoreTime = "moved" | "real";

/** Lets time pass where it does not pass by itself. */
async function elapse(world: BackendWorld, time: ChoreTime, ms: number): Promise<void> {
  if (time === "moved") await world.elapse(ms);
}

function chore(world: BackendWorld, key: string, inMs: number, payload = key) {
  return { name: "greet", key, at: (world.clock.now() + inMs) as Time, payload };
}

export function choresContract({ name, keeps, open }: BackendUnderTest, time: ChoreTime = "moved"): void {
  describe(`chores contract: ${name}`, () => {
    it("C1: runs at its time and not before, then never again", async () => {
      await using world = await open();
      const { chores } = world.backend;
      const ran = new Ran();
      const early: string[] = [];
      const later = chore(world, "later", 500);
      chores.handle("greet", async (payload) => {
        if (payload === "later" && world.clock.now() < later.at) early.push(payload);
        ran.add(payload);
      });
      chores.start();
      await chores.schedule(later);
      await chores.schedule(chore(world, "at once", 0));
      expect(await ran.atLeast(1)).toEqual(["at once"]);
      await elapse(world, time, 400);
      expect(ran.payloads).toEqual(["at once"]);
      await elapse(world, time, 200);
      expect(await ran.atLeast(2)).toEqual(["at once", "later"]);
      await elapse(world, time, 60_000);
      await chores.schedule(chore(world, "last", 0));
      expect(await ran.atLeast(3)).toEqual(["at once", "later", "last"]);
      expect(early).toEqual([]);
    });

    it("C1: what was scheduled before the start runs after it, and only names with a handler run", async () => {
      await using world = await open();
      const { chores } = world.backend;
      const ran = new Ran();
      chores.handle("greet", async (payload) => ran.add(payload));
      await chores.schedule({ ...chore(world, "stranger", 0), name: "other" });
      await chores.schedule(chore(world, "early", 0));
      chores.start();
      expect(await ran.atLeast(1)).toEqual(["early"]);
    });

    it.runIf(keeps)("C1: runs after a restart, one that was done does not", async () => {
      await using world = await open();
      const done = new Ran();
      world.backend.chores.handle("greet", async (payload) => done.add(payload));
      world.backend.chores.start();
      await world.backend.chores.schedule(chore(world, "done", 0));
      await done.atLeast(1);
      await world.backend.chores.schedule(chore(world, "waiting", 1_000));
      await world.restart();
      const ran = new Ran();
      world.backend.chores.handle("greet", async (payload) => ran.add(payload));
      world.backend.chores.start();
      await elapse(world, time, 1_000);
      expect(await ran.atLeast(1)).toEqual(["waiting"]);
    });

    it("C2: one that fails runs again, with growing pauses, until it succeeds", async () => {
      await using world = await open();
      const { chores } = world.backend;
      const ran = new Ran();
      const times: number[] = [];
      chores.handle("greet", async (payload) => {
        times.push(world.clock.now());
        ran.add(payload);
        if (times.length < 4) throw new Error("not yet");
      });
      chores.start();
      await chores.schedule(chore(world, "stubborn", 0));
      for (let run = 1; run < 4; run++) {
        await ran.atLeast(run);
        while (time === "moved" && ran.payloads.length === run) await world.elapse(500);
      }
      await ran.atLeast(4);
      const pauses = times.slice(1).map((time, i) => time - (times[i] as number));
      expect(pauses).toHaveLength(3);
      expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
      expect(pauses[2]).toBeGreaterThan(pauses[0] as number);
    });

    it("C2: scheduling the same key again replaces it, another name or key is another chore", async () => {
      await using world = await open();
      const { chores } = world.backend;
      const ran = new Ran();
      chores.handle("greet", async (payload) => ran.add(payload));
      chores.handle("part", async (payload) => ran.add(payload));
      await chores.schedule(chore(world, "key", 0, "first wording"));
      await chores.schedule(chore(world, "key", 100, "second wording"));
      await chores.schedule({ ...chore(world, "key", 200, "other name"), name: "part" });
      await chores.schedule(chore(world, "other key", 300));
      chores.start();
      await elapse(world, time, 1_000);
      expect((await ran.atLeast(3)).toSorted()).toEqual(["other key", "other name", "second wording"]);
    });

    it("C2: what is scheduled again while it runs, runs again", async () => {
      await using world = await open();
      const { chores } = world.backend;
      const ran = new Ran();
      chores.handle("greet", async (payload) => {
        if (payload === "first") await chores.schedule(chore(world, "key", 0, "second"));
        ran.add(payload);
      });
      chores.start();
      await chores.schedule(chore(world, "key", 0, "first"));
      expect(await ran.atLeast(2)).toEqual(["first", "second"]);
    });

    it("C4: a payload has a cap, and one over it is refused", async () => {
      await using world = await open();
      const { chores } = world.backend;
      const ran = new Ran();
      chores.handle("greet", async (payload) => ran.add(payload));
      chores.start();
      const longest = "é".repeat(MAX_PAYLOAD_BYTES / 2);
      await expect(chores.schedule(chore(world, "longer", 0, `${longest}.`))).rejects.toBeInstanceOf(
        RangeError,
      );
      await chores.schedule(chore(world, "longest", 0, longest));
      expect(await ran.atLeast(1)).toEqual([longest]);
    });
  });
}
