// Parts under way: their caps, and what becomes of those who are slow, by a clock of the test's own.
import { describe, expect, it } from "vitest";
import { counted, LEAST_BYTES, LEAST_EVERY_MS, Transfers } from "../../relay/media/transfers.ts";

class World {
  now = 0;
  readonly cut: string[] = [];
  readonly transfers = new Transfers(() => this.now, { inAll: 4, each: 2 });

  begin(name: string, remote?: string) {
    return this.transfers.begin(remote, () => this.cut.push(name));
  }

  passes(ms: number): void {
    this.now += ms;
    this.transfers.tick();
  }
}

describe("parts under way", () => {
  it("have a cap of each address, and of all", () => {
    const world = new World();
    const first = world.begin("a", "1.2.3.4");
    world.begin("b", "1.2.3.4");
    expect(() => world.begin("c", "1.2.3.4")).toThrow(/under way/);
    world.begin("d", "5.6.7.8");
    world.begin("e");
    expect(() => world.begin("f")).toThrow(/under way/);
    first.end();
    first.end();
    expect(world.transfers.count).toBe(3);
    world.begin("g", "1.2.3.4");
    expect(() => world.begin("h")).toThrow(/under way/);
  });

  it("are cut below the least rate, and not at it", () => {
    const world = new World();
    world.begin("silent");
    const slow = world.begin("slow");
    const steady = world.begin("steady");
    for (let i = 0; i < 10; i++) {
      slow.moved(LEAST_BYTES / 10 - 1);
      steady.moved(LEAST_BYTES / 10);
      world.passes(LEAST_EVERY_MS / 10);
    }
    expect(world.cut).toEqual(["silent", "slow"]);
    world.passes(LEAST_EVERY_MS - 1);
    expect(world.cut).toEqual(["silent", "slow"]);
    world.passes(1);
    expect(world.cut).toContain("steady");
  });

  it("may end when the relay closes, are cut when their time is over, and no more begin", async () => {
    const world = new World();
    const done = world.begin("done");
    const late = world.transfers.begin(undefined, () => {
      world.cut.push("late");
      late.end();
    });
    const closed = world.transfers.close(0);
    done.end();
    expect(() => world.begin("new")).toThrow(/closing/);
    await closed;
    expect([world.cut, world.transfers.count]).toEqual([["late"], 0]);
  });
});

describe("counted chunks", () => {
  it("are the same, and end their source when nobody wants more", async () => {
    const world = new World();
    const transfer = world.begin("it");
    let ended = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (let i = 0; ; i++) yield new Uint8Array(LEAST_BYTES).fill(i);
      } finally {
        ended = true;
      }
    }
    for await (const chunk of counted(source(), transfer)) if (chunk[0] === 2) break;
    world.passes(LEAST_EVERY_MS);
    expect([ended, world.cut]).toEqual([true, []]);
  });
});
