// The mailbox's contract as tests, for every backend: each name begins with the promise of queue/mailbox.ts that it holds.
// Its first half: mail and what becomes of it. The other half is in mailbox-owners.ts.
import type { EnvelopeId, Position, Time } from "@lethe/protocol";
import { describe, expect, it } from "vitest";
import {
  all,
  anAddress,
  anEnvelope,
  anOwner,
  type BackendUnderTest,
  claim,
  messages,
  pageOf,
  remove,
  ROOMY,
  START,
  store,
} from "./world.ts";

const HOUR = 3_600_000;

export function mailboxContract({ name, keeps, open }: BackendUnderTest): void {
  describe(`mailbox contract: ${name}`, () => {
    it("M1 order: reads in the order of appends, whatever the appends were", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const address = anAddress();
      const owner = anOwner();
      const [one, two, three, four] = [
        anEnvelope(clock),
        anEnvelope(clock),
        anEnvelope(clock),
        anEnvelope(clock),
      ];
      await store(backend, address, one, two);
      await claim(backend, address, owner, 1);
      await backend.mailbox.appendAsOwner([{ address, owner, envelopes: [three] }]);
      await backend.mailbox.appendAndRelease([{ address, owner, envelopes: [four] }]);
      expect(await messages(all(backend, address))).toEqual([one, two, three, four]);
    });

    it("M1 order: appends that are under way at once keep the order of their calls", async () => {
      await using world = await open();
      const address = anAddress();
      const envelopes = Array.from({ length: 40 }, () => anEnvelope(world.clock));
      await Promise.all(envelopes.map((envelope) => store(world.backend, address, envelope)));
      expect(await messages(all(world.backend, address))).toEqual(envelopes);
    });

    it("M1 order: keeps every field, of both kinds, empty and large", async () => {
      await using world = await open();
      const address = anAddress();
      const expiry = (world.clock.now() + 123_456_789) as Time;
      const envelopes = [
        anEnvelope(world.clock, { bytes: 0, kind: "group" }),
        anEnvelope(world.clock, { bytes: 73_728, expiry }),
        anEnvelope(world.clock, { bytes: 1 }),
      ];
      await store(world.backend, address, ...envelopes);
      expect(await messages(all(world.backend, address))).toEqual(envelopes);
    });

    it("M1 order: positions rise and are never used again, not after emptying", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const address = anAddress();
      const [first, second] = await store(backend, address, anEnvelope(clock), anEnvelope(clock));
      await remove(backend, address, await all(backend, address));
      const [third] = await store(backend, address, anEnvelope(clock));
      expect(second).toBeGreaterThan(first as number);
      expect(third).toBeGreaterThan(second as number);
    });

    it.runIf(keeps)(
      "M1 order: positions are not used again after a restart of an emptied store",
      async () => {
        await using world = await open();
        const address = anAddress();
        const [before] = await store(world.backend, address, anEnvelope(world.clock));
        await remove(world.backend, address, await all(world.backend, address));
        await world.restart();
        const [after] = await store(world.backend, address, anEnvelope(world.clock));
        expect(after).toBeGreaterThan(before as number);
      },
    );

    it("M1 order: a page begins after a position and keeps to its limits, but is never empty for them", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const address = anAddress();
      const positions = await store(
        backend,
        address,
        ...[100, 100, 100].map((bytes) => anEnvelope(clock, { bytes })),
      );
      const read = async (after: number, maxEntries: number, maxBytes: number): Promise<number[]> => {
        const page = await backend.mailbox.read([
          { address, after: after as Position, maxEntries, maxBytes },
        ]);
        return pageOf(page[0]).map((entry) => entry.position);
      };
      expect(await read(0, 2, 1_000)).toEqual(positions.slice(0, 2));
      expect(await read(0, 9, 200)).toEqual(positions.slice(0, 2));
      expect(await read(0, 9, 199)).toEqual(positions.slice(0, 1));
      expect(await read(0, 9, 1)).toEqual(positions.slice(0, 1));
      expect(await read(positions[0] as number, 9, 1_000)).toEqual(positions.slice(1));
      expect(await read(positions[2] as number, 9, 1_000)).toEqual([]);
    });

    it("M1 order: a read that finds nothing waits for the appends that were decided before it", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const address = anAddress();
      const owner = anOwner();
      const envelope = anEnvelope(clock);
      const stored = store(backend, address, envelope);
      const claimed = claim(backend, address, owner, 1);
      const read = backend.mailbox.read([{ address, after: START, maxEntries: 9, maxBytes: 9_999 }]);
      await Promise.all([stored, claimed]);
      expect(pageOf((await read)[0]).map((entry) => entry.id)).toEqual([envelope.id]);
    });

    it.runIf(keeps)(
      "M2 durable: mail, epochs and the minute last seen outlive a restart, owners do not need to",
      async () => {
        await using world = await open();
        const address = anAddress();
        const owner = anOwner();
        const envelope = anEnvelope(world.clock);
        await claim(world.backend, address, owner, 7);
        await world.backend.mailbox.appendAndRelease([{ address, owner, envelopes: [envelope] }]);
        const [before] = await world.backend.mailbox.lookUp([address]);
        await world.restart();
        expect(await messages(all(world.backend, address))).toEqual([envelope]);
        expect((await world.backend.mailbox.lookUp([address]))[0]).toEqual(before);
        expect(await world.backend.mailbox.claim([{ address, owner: anOwner("node-b"), epoch: 7 }])).toEqual([
          { is: "behind", last: 7 },
        ]);
      },
    );

    it("M3 once removed: what is removed is not read again, the rest is", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const address = anAddress();
      await store(backend, address, ...[1, 2, 3, 4, 5].map(() => anEnvelope(clock)));
      const entries = await all(backend, address);
      await remove(
        backend,
        address,
        entries.filter((_, i) => i % 2 === 1),
      );
      expect(await all(backend, address)).toEqual(entries.filter((_, i) => i % 2 === 0));
    });

    it.runIf(keeps)("M3 once removed: not after a restart either", async () => {
      await using world = await open();
      const address = anAddress();
      await store(world.backend, address, ...[1, 2, 3].map(() => anEnvelope(world.clock)));
      const [, second] = await all(world.backend, address);
      if (second === undefined) throw new Error("no second entry");
      await remove(world.backend, address, [second]);
      const left = await all(world.backend, address);
      await world.restart();
      expect(await all(world.backend, address)).toEqual(left);
    });

    it("M3 once removed: a removal whose position and id are of different entries, or of another mailbox, does nothing", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const [address, other] = [anAddress(), anAddress()];
      await store(backend, address, anEnvelope(clock), anEnvelope(clock));
      const [first, second] = await all(backend, address);
      if (first === undefined || second === undefined) throw new Error("two were stored");
      const wrong = [
        { position: first.position, id: second.id },
        { position: (second.position + 1) as Position, id: second.id },
        { position: first.position, id: "no such id 16 by" as EnvelopeId },
      ];
      await backend.mailbox.remove([
        { address, entries: wrong },
        { address: other, entries: [first, second] },
      ]);
      expect(await all(backend, address)).toEqual([first, second]);
    });

    it("M4 repeat: a removal repeated does nothing, an append repeated makes a second copy under a new position", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const address = anAddress();
      const envelope = anEnvelope(clock);
      await store(backend, address, envelope);
      await store(backend, address, envelope);
      const [first, second] = await all(backend, address);
      expect(second?.id).toBe(first?.id);
      if (first === undefined || second === undefined) throw new Error("two copies were stored");
      await remove(backend, address, [first]);
      await remove(backend, address, [first]);
      expect(await all(backend, address)).toEqual([second]);
    });

    it("M8 caps: the first envelope over the number and all behind it are refused, and removal makes room", async () => {
      await using world = await open({ envelopes: 3, bytes: 1_000_000 });
      const { backend, clock } = world;
      const address = anAddress();
      const envelopes = [1, 2, 3, 4, 5].map(() => anEnvelope(clock));
      const [first] = await backend.mailbox.appendUnlessOwned([{ address, suspect: undefined, envelopes }]);
      expect(first).toMatchObject({
        outcomes: [
          expect.any(Number),
          expect.any(Number),
          expect.any(Number),
          "mailbox-full",
          "mailbox-full",
        ],
      });
      const kept = await all(backend, address);
      expect(kept).toHaveLength(3);
      await remove(backend, address, kept.slice(0, 1));
      await store(backend, address, anEnvelope(clock));
    });

    it("M8 caps: bytes count, to the byte, and a small one behind one that is too large is refused too", async () => {
      await using world = await open({ envelopes: 100, bytes: 1_000 });
      const { backend, clock } = world;
      const address = anAddress();
      await store(backend, address, anEnvelope(clock, { bytes: 900 }));
      const envelopes = [anEnvelope(clock, { bytes: 101 }), anEnvelope(clock, { bytes: 1 })];
      const [over] = await backend.mailbox.appendUnlessOwned([{ address, suspect: undefined, envelopes }]);
      expect(over).toMatchObject({ is: "stored", outcomes: ["mailbox-full", "mailbox-full"] });
      await store(backend, address, anEnvelope(clock, { bytes: 100 }));
      expect(await all(backend, address)).toHaveLength(2);
    });

    it("M8 caps: appends at the same time do not pass the cap together", async () => {
      await using world = await open({ envelopes: 5, bytes: 1_000_000 });
      const address = anAddress();
      const item = () => ({
        address,
        suspect: undefined,
        envelopes: [anEnvelope(world.clock), anEnvelope(world.clock)],
      });
      await Promise.all([1, 2, 3, 4].map(() => world.backend.mailbox.appendUnlessOwned([item(), item()])));
      expect(await all(world.backend, address)).toHaveLength(5);
    });

    it("M8 caps: expired entries do not count", async () => {
      await using world = await open({ envelopes: 2, bytes: 1_000_000 });
      const { backend, clock } = world;
      const address = anAddress();
      const soon = (clock.now() + 1_000) as Time;
      await store(backend, address, anEnvelope(clock, { expiry: soon }), anEnvelope(clock));
      clock.pass(1_000);
      await store(backend, address, anEnvelope(clock));
      expect(await all(backend, address)).toHaveLength(2);
    });

    it("M9 expiry: at its expiry, and not before, an envelope is neither stored nor read", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const address = anAddress();
      const expiry = (clock.now() + 1_000) as Time;
      await store(backend, address, anEnvelope(clock, { expiry }), anEnvelope(clock));
      clock.pass(999);
      expect(await all(backend, address)).toHaveLength(2);
      clock.pass(1);
      expect(await all(backend, address)).toHaveLength(1);
      expect(await backend.mailbox.look([address])).toMatchObject([{ waiting: 1 }]);
      const envelopes = [anEnvelope(clock, { expiry }), anEnvelope(clock)];
      const [result] = await backend.mailbox.appendUnlessOwned([{ address, suspect: undefined, envelopes }]);
      expect(result).toMatchObject({ outcomes: ["expired", expect.any(Number)] });
    });

    it("M9 expiry: a sweep removes what has expired, and only that", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const addresses = Array.from({ length: 5 }, anAddress);
      for (const [i, address] of addresses.entries()) {
        const expiry = (clock.now() + (i + 1) * 60_000) as Time;
        await store(
          backend,
          address,
          anEnvelope(clock, { expiry }),
          anEnvelope(clock, { expiry: (clock.now() + HOUR) as Time }),
        );
      }
      clock.pass(180_000);
      expect(await backend.mailbox.sweep()).toBe(3);
      expect(await backend.mailbox.sweep()).toBe(0);
      await world.counted();
      expect(backend.mailbox.stats()).toMatchObject({ envelopes: 7, expired: 3 });
      clock.pass(HOUR);
      expect(await backend.mailbox.sweep()).toBe(7);
      await world.counted();
      expect(backend.mailbox.stats()).toMatchObject({ mailboxes: 0, envelopes: 0, bytes: 0, expired: 10 });
    });

    it.runIf(keeps)(
      "M11 forget: nothing that was removed, swept or retired is in any file one bound later",
      async () => {
        await using world = await open();
        const { backend, clock } = world;
        const marked = (expiry = (clock.now() + HOUR) as Time) => anEnvelope(clock, { bytes: 200, expiry });
        const [read, swept, retired, kept] = [
          marked(),
          marked((clock.now() + 1_000) as Time),
          marked(),
          marked(),
        ];
        const [address, other] = [anAddress(), anAddress()];
        await store(backend, address, marked(), read, swept, kept);
        await store(backend, other, retired);
        for (const { ciphertext } of [read, swept, retired, kept])
          expect(await world.holds(ciphertext)).toBe(true);
        await remove(
          backend,
          address,
          (await all(backend, address)).filter((entry) => entry.id === read.id),
        );
        clock.pass(1_000);
        await backend.mailbox.sweep();
        await backend.mailbox.retire(other);
        await world.forget();
        for (const { ciphertext } of [read, swept, retired]) {
          expect(await world.holds(ciphertext)).toBe(false);
          expect(await world.holds(ciphertext.subarray(80, 112))).toBe(false);
        }
        expect(await world.holds(kept.ciphertext)).toBe(true);
        await world.counted();
        expect(backend.mailbox.stats().forgetLag).toBe(0);
        expect((await all(backend, address)).map((entry) => entry.id)).toContain(kept.id);
      },
    );

    it("answers a batch in its order, each item for itself", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const [owned, free, gone] = [anAddress(), anAddress(), anAddress()];
      const owner = anOwner();
      await claim(backend, owned, owner, 1);
      await backend.mailbox.retire(gone);
      const item = (address: typeof free) => ({
        address,
        suspect: undefined,
        envelopes: [anEnvelope(clock)],
      });
      const results = await backend.mailbox.appendUnlessOwned([
        item(owned),
        item(free),
        item(gone),
        item(free),
      ]);
      expect(results.map((result) => result.is)).toEqual(["owned", "stored", "no-device", "stored"]);
      const looks = await backend.mailbox.look([free, gone, owned]);
      expect(looks).toEqual([
        { is: "seen", owner: undefined, waiting: 2 },
        { is: "no-device" },
        { is: "seen", owner, waiting: 0 },
      ]);
    });

    it("counts what it holds, and since when", async () => {
      await using world = await open(ROOMY);
      const { backend, clock } = world;
      const [first, second] = [anAddress(), anAddress()];
      const begin = clock.now();
      await store(backend, first, anEnvelope(clock, { bytes: 10 }));
      clock.pass(500);
      await store(backend, second, anEnvelope(clock, { bytes: 20 }), anEnvelope(clock, { bytes: 30 }));
      await world.counted();
      expect(backend.mailbox.stats()).toMatchObject({ mailboxes: 2, envelopes: 3, bytes: 60, oldest: begin });
      await remove(backend, first, await all(backend, first));
      await world.counted();
      expect(backend.mailbox.stats()).toMatchObject({
        mailboxes: 1,
        envelopes: 2,
        bytes: 50,
        oldest: begin + 500,
      });
      await remove(backend, second, await all(backend, second));
      await world.counted();
      expect(backend.mailbox.stats()).toMatchObject({
        mailboxes: 0,
        envelopes: 0,
        bytes: 0,
        oldest: undefined,
      });
    });

    it("holds many mailboxes apart", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const addresses = Array.from({ length: 200 }, anAddress);
      const envelopes = addresses.map(() => anEnvelope(clock, { bytes: 30 }));
      await backend.mailbox.appendUnlessOwned(
        addresses.map((address, i) => ({
          address,
          suspect: undefined,
          envelopes: envelopes.slice(i, i + 1),
        })),
      );
      const reads = addresses.map((address) => ({ address, after: START, maxEntries: 9, maxBytes: 9_999 }));
      const pages = (await backend.mailbox.read(reads)).map(pageOf);
      expect(pages.map((page) => page.map((entry) => entry.id))).toEqual(envelopes.map(({ id }) => [id]));
    });
  });
}
