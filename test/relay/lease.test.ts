// A node's lease in simulated time, against a store that answers when the test says so: a node that is not sure of its lease
// gives it up a second early, and is another node before it has another one.
import type { Leases, NodeId } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import { Lease, LEASE_MS } from "../../relay/cluster/lease.ts";

function aWorld(alone = false) {
  const clock = { now: 0 };
  const asked: { id: NodeId; answer: (outcome: "held" | "lost") => void; fail: () => void }[] = [];
  const heard: string[] = [];
  let ids = 0;
  const leases = {
    renew: (id: NodeId) =>
      new Promise((answer, reject) => asked.push({ id, answer, fail: () => reject(new Error("away")) })),
    release: (id: NodeId) => {
      heard.push(`release ${id}`);
      return Promise.resolve();
    },
  } as unknown as Leases;
  const lease = new Lease({
    leases,
    address: () => "ws://here:1",
    newId: () => `node ${++ids}` as NodeId,
    instant: () => clock.now,
    alone,
    lost: (next) => heard.push(`lost, next ${next}`),
    regained: (id) => heard.push(`regained ${id}`),
    failed: () => heard.push("failed"),
  });
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  /** Time passes; what is asked of the store on the way is answered by `how`. */
  const pass = async (ms: number, how: "held" | "lost" | "failed" | "silent"): Promise<void> => {
    for (const until = clock.now + ms; clock.now < until; ) {
      clock.now += 50;
      lease.tick();
      if (how !== "silent")
        for (const { answer, fail } of asked.splice(0)) {
          if (how === "failed") fail();
          else answer(how);
        }
      await settle();
    }
  };
  const taken = async (): Promise<void> => {
    const first = lease.take();
    asked.shift()?.answer("held");
    await first;
  };
  return { lease, asked, heard, pass, taken, settle, clock };
}

describe("a lease", () => {
  it("is held as long as it is renewed", async () => {
    const { lease, heard, pass, taken } = aWorld();
    await taken();
    await pass(60_000, "held");
    expect([lease.id, lease.held, heard]).toEqual(["node 1", true, []]);
  });

  it.each(["failed", "silent"] as const)(
    "is given up a second early where the store is %s, and taken again under another id",
    async (how) => {
      const { lease, heard, pass, taken } = aWorld();
      await taken();
      await pass(LEASE_MS - 1_000, how);
      expect(heard.filter((what) => what !== "failed")).toEqual([]);
      await pass(100, how);
      expect(heard.filter((what) => what !== "failed")).toEqual(["release node 1", "lost, next node 2"]);
      expect(lease.held).toBe(false);
      await pass(1_000, "held");
      expect(heard.at(-1)).toBe("regained node 2");
      expect([lease.id, lease.held]).toEqual(["node 2", true]);
    },
  );

  it("is counted from before it was asked for, and an answer for an id that is given up counts nothing", async () => {
    const { lease, heard, asked, pass, taken, settle } = aWorld();
    await taken();
    await pass(LEASE_MS - 950, "silent");
    expect(heard.at(-1)).toBe("lost, next node 2");
    asked.shift()?.answer("held");
    await settle();
    expect(lease.held).toBe(false);
    expect(heard.at(-1)).toBe("release node 1");
  });

  it("that the store calls lost is lost at once, and again, until another id holds", async () => {
    const { lease, heard, pass, taken } = aWorld();
    await taken();
    await pass(3_100, "lost");
    expect(heard[1]).toBe("lost, next node 2");
    await pass(1_000, "held");
    expect(lease.held).toBe(true);
    expect(heard.at(-1)).toBe(`regained ${lease.id}`);
  });

  it("of a node that is alone is lost only where the store says so", async () => {
    const { lease, pass, taken } = aWorld(true);
    await taken();
    await pass(60_000, "failed");
    expect(lease.held).toBe(true);
  });
});
