// The contract of leases as tests, for every backend.
import type { NodeId } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import type { BackendUnderTest } from "./world.ts";

const A = "node-a" as NodeId;
const B = "node-b" as NodeId;

export function leasesContract({ name, open }: BackendUnderTest): void {
  describe(`leases contract: ${name}`, () => {
    it("L1: a node is alive until its time after its last renewal has passed", async () => {
      await using world = await open();
      const { leases } = world.backend;
      expect(await leases.alive([A, B])).toEqual([false, false]);
      expect(await leases.renew(A, "ws://a", 1_000)).toBe("held");
      expect(await leases.alive([A, B])).toEqual([true, false]);
      await world.elapse(600);
      expect(await leases.renew(A, "ws://a", 1_000)).toBe("held");
      await world.elapse(900);
      expect(await leases.alive([A])).toEqual([true]);
      await world.elapse(100);
      expect(await leases.alive([A])).toEqual([false]);
    });

    it("L1: addresses are those of the nodes that are alive, in their last wording", async () => {
      await using world = await open();
      const { leases } = world.backend;
      await leases.renew(A, "ws://a", 1_000);
      await leases.renew(B, "", 60_000);
      await leases.renew(A, "ws://a-moved", 1_000);
      expect(await leases.addresses()).toEqual(
        new Map([
          [A, "ws://a-moved"],
          [B, ""],
        ]),
      );
      await world.elapse(1_000);
      expect(await leases.addresses()).toEqual(new Map([[B, ""]]));
    });

    it("L1: a release ends it at once, and of a node that is unknown does nothing", async () => {
      await using world = await open();
      const { leases } = world.backend;
      await leases.renew(A, "", 60_000);
      await leases.release(A);
      await leases.release(B);
      expect(await leases.alive([A, B])).toEqual([false, false]);
    });

    it("L2: an id never comes back to life, neither after its lease ran out nor after its release", async () => {
      await using world = await open();
      const { leases } = world.backend;
      await leases.renew(A, "", 500);
      await leases.renew(B, "", 60_000);
      await world.elapse(500);
      await leases.release(B);
      expect(await leases.renew(A, "", 60_000)).toBe("lost");
      expect(await leases.renew(B, "", 60_000)).toBe("lost");
      expect(await leases.alive([A, B])).toEqual([false, false]);
    });
  });
}
