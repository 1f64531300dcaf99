// The mailbox's contract as tests, its third part: the ciphertext that a group's envelopes have in common (M15). What is
// answered is asked of every backend; that it is kept once, of those whose world can count copies.
import { randomBytes } from "node:crypto";
import { blake2b, ready } from "@lethe/crypto";
import { type DeviceAddress, type EnvelopeId, fromBytes, type Time } from "@lethe/protocol";
import type { Envelope, PayloadId } from "@lethe/queue";
import { beforeAll, describe, expect, it } from "vitest";
import {
  all,
  anAddress,
  anEnvelope,
  anOwner,
  type BackendUnderTest,
  type BackendWorld,
  claim,
  type Clock,
  messages,
  remove,
  ROOMY,
  store,
} from "./world.ts";

const HOUR = 3_600_000;

interface Payload {
  readonly ciphertext: Uint8Array;
  readonly payload: PayloadId;
}

export function aPayload(bytes = 200): Payload {
  const ciphertext = randomBytes(bytes);
  return { ciphertext, payload: fromBytes<PayloadId>(blake2b(32, ciphertext)) };
}

/** One of a group's envelopes: an id of its own, and the ciphertext of all of them, in bytes of its own. */
export function sharing(clock: Clock, of: Payload, expiry = (clock.now() + HOUR) as Time): Envelope {
  const id = randomBytes(16).toString("latin1") as EnvelopeId;
  return { id, kind: "group", expiry, ciphertext: Buffer.from(of.ciphertext), payload: of.payload };
}

/** As it is read: who reads asks for bytes, not for how they are kept. */
export function plain({ id, kind, expiry, ciphertext }: Envelope): Envelope {
  return { id, kind, expiry, ciphertext: Buffer.from(ciphertext) };
}

/** So many mailboxes of one shard. */
function neighbours(world: BackendWorld, count: number): DeviceAddress[] {
  const shardOf = (address: DeviceAddress): number => world.payloads?.shardOf(address) ?? 0;
  const found = [anAddress()];
  const shard = shardOf(found[0] as DeviceAddress);
  while (found.length < count) {
    const address = anAddress();
    if (shardOf(address) === shard) found.push(address);
  }
  return found;
}

async function expectCopies(world: BackendWorld, { ciphertext }: Payload, copies: number): Promise<void> {
  if (world.payloads !== undefined) expect(await world.payloads.copies(ciphertext)).toBe(copies);
}

async function removeAll({ backend }: BackendWorld, address: DeviceAddress): Promise<void> {
  await remove(backend, address, await all(backend, address));
}

export function mailboxPayloadContract({ name, keeps, open }: BackendUnderTest): void {
  describe(`mailbox contract, payloads: ${name}`, () => {
    beforeAll(ready);

    it("M15 payload: is read in every mailbox, and kept once, whichever verb appended and whenever", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const { mailbox } = backend;
      const addresses = neighbours(world, 8);
      const [owned, left] = addresses.slice(6) as [DeviceAddress, DeviceAddress];
      const [owner, leaver] = [anOwner(), anOwner()];
      await claim(backend, owned, owner, 1);
      await claim(backend, left, leaver, 1);
      const shared = aPayload();
      const envelopes = addresses.map(() => sharing(clock, shared));
      const of = (i: number): Envelope[] => envelopes.slice(i, i + 1);
      const items = addresses
        .slice(0, 4)
        .map((address, i) => ({ address, suspect: undefined, envelopes: of(i) }));
      await mailbox.appendUnlessOwned(items);
      await store(backend, addresses[4] as DeviceAddress, ...of(4));
      clock.pass(1_000);
      await store(backend, addresses[5] as DeviceAddress, ...of(5));
      await mailbox.appendAsOwner([{ address: owned, owner, envelopes: of(6) }]);
      await mailbox.appendAndRelease([{ address: left, owner: leaver, envelopes: of(7) }]);
      for (const [i, address] of addresses.entries())
        expect(await messages(all(backend, address))).toEqual(of(i).map(plain));
      await expectCopies(world, shared, 1);
    });

    it("M15 payload: mailboxes of different shards each read it", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const shared = aPayload();
      const addresses = Array.from({ length: 40 }, anAddress);
      const items = addresses.map((address) => ({
        address,
        suspect: undefined,
        envelopes: [sharing(clock, shared)],
      }));
      await backend.mailbox.appendUnlessOwned(items);
      const pages = await Promise.all(addresses.map((address) => messages(all(backend, address))));
      expect(pages).toEqual(items.map(({ envelopes }) => envelopes.map(plain)));
      const shards = new Set(addresses.map((address) => world.payloads?.shardOf(address)));
      await expectCopies(world, shared, shards.size);
      for (const address of addresses) await removeAll(world, address);
      await world.forget();
      expect(await world.holds(shared.ciphertext)).toBe(false);
      await expectCopies(world, shared, 0);
    });

    it("M15 payload: keeps its place among other mail, empty and large ones too", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const [address, other] = neighbours(world, 2) as [DeviceAddress, DeviceAddress];
      const [one, two, large, empty] = [aPayload(), aPayload(), aPayload(73_728), aPayload(0)];
      const envelopes = [
        anEnvelope(clock),
        sharing(clock, one),
        sharing(clock, two),
        anEnvelope(clock, { kind: "group" }),
        sharing(clock, one),
        sharing(clock, empty),
        sharing(clock, large),
      ];
      await store(backend, other, sharing(clock, two), sharing(clock, large));
      await store(backend, address, ...envelopes);
      expect(await messages(all(backend, address))).toEqual(envelopes.map(plain));
      await expectCopies(world, one, 1);
      await expectCopies(world, two, 1);
    });

    it("M15 payload: is not mixed with the same bytes that were sent without a name", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const [address, other] = neighbours(world, 2) as [DeviceAddress, DeviceAddress];
      const shared = aPayload();
      const { ciphertext } = shared;
      const alone = { ...anEnvelope(clock), ciphertext };
      await store(backend, address, sharing(clock, shared));
      await store(backend, other, alone);
      await removeAll(world, address);
      await world.forget();
      expect(await messages(all(backend, other))).toEqual([plain(alone)]);
    });

    it("M15 payload: caps and counts take it in full for each mailbox", async () => {
      await using world = await open({ ...ROOMY, bytes: 500 });
      const { backend, clock } = world;
      const [address, other] = neighbours(world, 2) as [DeviceAddress, DeviceAddress];
      const shared = aPayload(200);
      await store(backend, other, sharing(clock, shared));
      const envelopes = [sharing(clock, shared), sharing(clock, shared), sharing(clock, shared)];
      const [result] = await backend.mailbox.appendUnlessOwned([{ address, suspect: undefined, envelopes }]);
      expect(result).toMatchObject({ outcomes: [expect.any(Number), expect.any(Number), "mailbox-full"] });
      await world.counted();
      expect(backend.mailbox.stats()).toMatchObject({ mailboxes: 2, envelopes: 3, bytes: 600 });
      await remove(backend, address, (await all(backend, address)).slice(0, 1));
      await store(backend, address, sharing(clock, shared));
      const [page] = await backend.mailbox.read([
        { address, after: 0 as never, maxEntries: 9, maxBytes: 399 },
      ]);
      expect(page).toMatchObject({ is: "page", entries: [{ id: expect.any(String) }] });
    });

    it("M15 payload: stays while any mailbox holds it, and goes with the last removal", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const addresses = neighbours(world, 3);
      const last = addresses[2] as DeviceAddress;
      const shared = aPayload();
      const kept = anEnvelope(clock, { bytes: 300 });
      for (const address of addresses) await store(backend, address, sharing(clock, shared));
      await store(backend, last, kept);
      for (const address of addresses.slice(0, 2)) await removeAll(world, address);
      await world.forget();
      const entries = await all(backend, last);
      expect(entries.map(({ ciphertext }) => Buffer.from(ciphertext))).toEqual([
        shared.ciphertext,
        kept.ciphertext,
      ]);
      await expectCopies(world, shared, 1);
      await remove(backend, last, entries.slice(0, 1));
      await remove(backend, last, entries.slice(0, 1));
      await world.forget();
      expect(await world.holds(shared.ciphertext)).toBe(false);
      expect(await world.holds(shared.ciphertext.subarray(80, 112))).toBe(false);
      await expectCopies(world, shared, 0);
      expect(await messages(all(backend, last))).toEqual([kept]);
    });

    it("M15 payload: stays for an envelope that expires later than others, and goes with the last expiry", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const [first, second] = neighbours(world, 2) as [DeviceAddress, DeviceAddress];
      const shared = aPayload();
      const later = sharing(clock, shared, (clock.now() + 120_000) as Time);
      await store(backend, first, sharing(clock, shared, (clock.now() + 1_000) as Time));
      await store(backend, second, later);
      clock.pass(1_000);
      expect(await backend.mailbox.sweep()).toBe(1);
      await world.forget();
      expect(await messages(all(backend, second))).toEqual([plain(later)]);
      clock.pass(120_000);
      expect(await backend.mailbox.sweep()).toBe(1);
      await world.forget();
      expect(await world.holds(shared.ciphertext)).toBe(false);
      await expectCopies(world, shared, 0);
    });

    it("M15 payload: goes with the retirement of the last device that holds it", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const [first, second] = neighbours(world, 2) as [DeviceAddress, DeviceAddress];
      const shared = aPayload();
      await store(backend, first, sharing(clock, shared), sharing(clock, shared));
      await store(backend, second, sharing(clock, shared));
      await backend.mailbox.retire(first);
      await world.forget();
      expect(await all(backend, second)).toHaveLength(1);
      await backend.mailbox.retire(second);
      await world.forget();
      expect(await world.holds(shared.ciphertext)).toBe(false);
      await expectCopies(world, shared, 0);
    });

    it("M15 payload: two copies of one envelope hold it twice", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const address = anAddress();
      const shared = aPayload();
      const envelope = sharing(clock, shared);
      await store(backend, address, envelope);
      await store(backend, address, envelope);
      await expectCopies(world, shared, 1);
      await remove(backend, address, (await all(backend, address)).slice(0, 1));
      expect(await messages(all(backend, address))).toEqual([plain(envelope)]);
      await removeAll(world, address);
      await world.forget();
      expect(await world.holds(shared.ciphertext)).toBe(false);
    });

    it("M15 payload: is kept anew where it is appended again after its end, or while it ends", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const [address, other] = neighbours(world, 2) as [DeviceAddress, DeviceAddress];
      const shared = aPayload();
      await store(backend, address, sharing(clock, shared));
      await removeAll(world, address);
      for (let round = 0; round < 10; round++) {
        const again = sharing(clock, shared);
        await store(backend, address, again);
        const entries = await all(backend, address);
        const next = sharing(clock, shared);
        await Promise.all([remove(backend, address, entries), store(backend, other, next)]);
        expect(await messages(all(backend, other))).toEqual([plain(next)]);
        await removeAll(world, other);
      }
      await world.forget();
      expect(await world.holds(shared.ciphertext)).toBe(false);
      await expectCopies(world, shared, 0);
    });

    it("M15 payload: is not kept where nothing of it was stored", async () => {
      await using world = await open({ ...ROOMY, bytes: 100 });
      const { backend, clock } = world;
      const { mailbox } = backend;
      const [owned, gone, free] = [anAddress(), anAddress(), anAddress()];
      const shared = aPayload(200);
      await claim(backend, owned, anOwner(), 1);
      await mailbox.retire(gone);
      const envelopes = [sharing(clock, shared)];
      const late = [sharing(clock, shared, clock.now())];
      const results = await mailbox.appendUnlessOwned([
        { address: owned, suspect: undefined, envelopes },
        { address: gone, suspect: undefined, envelopes },
        { address: free, suspect: undefined, envelopes },
        { address: free, suspect: undefined, envelopes: late },
      ]);
      expect(results).toMatchObject([
        { is: "owned" },
        { is: "no-device" },
        { is: "stored", outcomes: ["mailbox-full"] },
        { is: "stored", outcomes: ["expired"] },
      ]);
      const [fenced] = await mailbox.appendAsOwner([{ address: owned, owner: anOwner(), envelopes }]);
      expect(fenced).toMatchObject({ is: "fenced" });
      await expectCopies(world, shared, 0);
    });

    it.runIf(keeps)(
      "M15 payload: outlives a restart as often as it is held, and goes as before",
      async () => {
        await using world = await open();
        const { clock } = world;
        const [first, second] = neighbours(world, 2) as [DeviceAddress, DeviceAddress];
        const shared = aPayload();
        const [early, late] = [sharing(clock, shared), sharing(clock, shared)];
        await store(world.backend, first, early);
        await store(world.backend, second, sharing(clock, shared));
        await world.restart();
        await expectCopies(world, shared, 1);
        await store(world.backend, second, late);
        await expectCopies(world, shared, 1);
        expect(await messages(all(world.backend, first))).toEqual([plain(early)]);
        await removeAll(world, first);
        await remove(world.backend, second, (await all(world.backend, second)).slice(0, 1));
        await world.forget();
        await world.restart();
        expect(await messages(all(world.backend, second))).toEqual([plain(late)]);
        await removeAll(world, second);
        await world.forget();
        expect(await world.holds(shared.ciphertext)).toBe(false);
        await expectCopies(world, shared, 0);
      },
    );
  });
}
