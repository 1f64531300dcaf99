// The mailbox's contract as tests, its second half: claims, fences, retired devices, wakes and closing.
import { type NodeId, StoreClosedError } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import {
  all,
  anAddress,
  anEnvelope,
  anOwner,
  type BackendUnderTest,
  claim,
  messages,
  START,
  store,
} from "./world.ts";

export function mailboxOwnersContract({ name, keeps, open }: BackendUnderTest): void {
  describe(`mailbox contract, owners: ${name}`, () => {
    it("M4 repeat: a claim by the same owner with the same epoch succeeds, and displaces nobody", async () => {
      await using world = await open();
      const { mailbox } = world.backend;
      const address = anAddress();
      const [first, second] = [anOwner(), anOwner()];
      await claim(world.backend, address, first, 1);
      const taken = await mailbox.claim([{ address, owner: second, epoch: 2 }]);
      expect(taken).toEqual([{ is: "claimed", previous: first }]);
      expect(await mailbox.claim([{ address, owner: second, epoch: 2 }])).toEqual([
        { is: "claimed", previous: undefined },
      ]);
    });

    it("M4 repeat: the same claim twice at the same time succeeds twice", async () => {
      await using world = await open();
      const { mailbox } = world.backend;
      const item = { address: anAddress(), owner: anOwner(), epoch: 3 };
      const claimed = await Promise.all([mailbox.claim([item]), mailbox.claim([item, item])]);
      expect(claimed.flat().map((result) => result.is)).toEqual(["claimed", "claimed", "claimed"]);
    });

    it("M5 epoch: a claim must be above the highest epoch seen, also by another owner and after a release", async () => {
      await using world = await open();
      const { backend } = world;
      const address = anAddress();
      const owner = anOwner();
      await claim(backend, address, owner, 5);
      const behind = { is: "behind", last: 5 };
      expect(await backend.mailbox.claim([{ address, owner: anOwner(), epoch: 5 }])).toEqual([behind]);
      expect(await backend.mailbox.claim([{ address, owner, epoch: 4 }])).toEqual([behind]);
      await backend.mailbox.appendAndRelease([{ address, owner, envelopes: [] }]);
      expect(await backend.mailbox.claim([{ address, owner: anOwner(), epoch: 5 }])).toEqual([behind]);
      await claim(backend, address, anOwner(), Number.MAX_SAFE_INTEGER);
    });

    it("M5 epoch: of claims at the same time the highest wins, whatever their order", async () => {
      await using world = await open();
      const { mailbox } = world.backend;
      const address = anAddress();
      const owners = [anOwner(), anOwner(), anOwner()] as const;
      await Promise.all([
        mailbox.claim([{ address, owner: owners[0], epoch: 1 }]),
        mailbox.claim([{ address, owner: owners[2], epoch: 3 }]),
        mailbox.claim([{ address, owner: owners[1], epoch: 2 }]),
      ]);
      expect(await mailbox.lookUp([address])).toEqual([{ is: "found", owner: owners[2], lastSeen: 0 }]);
    });

    it("M6 fence: who is not the owner appends nothing and releases nothing, and is told who is", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const address = anAddress();
      const [old, owner] = [anOwner(), anOwner()];
      await claim(backend, address, old, 1);
      await claim(backend, address, owner, 2);
      const item = { address, owner: old, envelopes: [anEnvelope(clock)] };
      const fenced = [{ is: "fenced", owner }];
      expect(await backend.mailbox.appendAsOwner([item])).toEqual(fenced);
      expect(await backend.mailbox.appendAndRelease([item])).toEqual(fenced);
      expect(await backend.mailbox.look([address])).toEqual([{ is: "seen", owner, waiting: 0 }]);
    });

    it("M6 fence: a session's number counts only together with its node", async () => {
      await using world = await open();
      const address = anAddress();
      const owner = anOwner("node-a");
      await claim(world.backend, address, owner, 1);
      const twin = { node: "node-b" as NodeId, session: owner.session };
      expect(await world.backend.mailbox.appendAndRelease([{ address, owner: twin, envelopes: [] }])).toEqual(
        [{ is: "fenced", owner }],
      );
    });

    it("M6 fence: a release notes the minute and leaves nobody as owner", async () => {
      await using world = await open();
      const { mailbox } = world.backend;
      const address = anAddress();
      const owner = anOwner();
      await claim(world.backend, address, owner, 1);
      expect(await mailbox.appendAndRelease([{ address, owner, envelopes: [] }])).toEqual([
        { is: "stored", outcomes: [] },
      ]);
      const minute = world.clock.now() - (world.clock.now() % 60_000);
      expect(await mailbox.lookUp([address])).toEqual([{ is: "found", owner: undefined, lastSeen: minute }]);
      expect(await mailbox.appendAsOwner([{ address, owner, envelopes: [] }])).toEqual([
        { is: "fenced", owner: undefined },
      ]);
    });

    it("M7 unless owned: an owner stops the append and is named, a suspect does not and is to be woken", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const address = anAddress();
      const owner = anOwner();
      const envelopes = [anEnvelope(clock)];
      await claim(backend, address, owner, 1);
      const append = (suspect: typeof owner | undefined) =>
        backend.mailbox.appendUnlessOwned([{ address, suspect, envelopes }]);
      expect(await append(undefined)).toEqual([{ is: "owned", owner }]);
      expect(await append(anOwner())).toEqual([{ is: "owned", owner }]);
      expect(await backend.mailbox.look([address])).toEqual([{ is: "seen", owner, waiting: 0 }]);
      expect(await append(owner)).toMatchObject([{ is: "stored", wake: owner }]);
      await backend.mailbox.appendAndRelease([{ address, owner, envelopes: [] }]);
      expect(await append(owner)).toMatchObject([{ is: "stored", wake: undefined }]);
      expect(await backend.mailbox.look([address])).toEqual([{ is: "seen", owner: undefined, waiting: 2 }]);
    });

    it("M10 retired: every verb answers no-device, the owner is named once, other devices are untouched", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const { mailbox } = backend;
      const [address, other] = [anAddress(), anAddress()];
      const owner = anOwner();
      const envelope = anEnvelope(clock);
      await store(backend, address, envelope);
      await store(backend, other, envelope);
      await claim(backend, address, owner, 1);
      expect(await mailbox.retire(address)).toEqual(owner);
      expect(await mailbox.retire(address)).toBeUndefined();
      const none = [{ is: "no-device" }];
      expect(await mailbox.lookUp([address])).toEqual(none);
      expect(await mailbox.look([address])).toEqual(none);
      expect(await mailbox.claim([{ address, owner, epoch: 2 }])).toEqual(none);
      expect(await mailbox.appendUnlessOwned([{ address, suspect: owner, envelopes: [envelope] }])).toEqual(
        none,
      );
      expect(await mailbox.appendAsOwner([{ address, owner, envelopes: [envelope] }])).toEqual(none);
      expect(await mailbox.appendAndRelease([{ address, owner, envelopes: [] }])).toEqual(none);
      expect(await mailbox.read([{ address, after: START, maxEntries: 1, maxBytes: 1 }])).toEqual(none);
      expect(await messages(all(backend, other))).toEqual([envelope]);
    });

    it("M10 retired: what was under way when the device was retired is not there afterwards", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const address = anAddress();
      const item = { address, suspect: undefined, envelopes: [anEnvelope(clock)] };
      const claims = [{ address, owner: anOwner(), epoch: 1 }];
      await Promise.all([
        backend.mailbox.appendUnlessOwned([item]),
        backend.mailbox.claim(claims),
        backend.mailbox.retire(address),
        backend.mailbox.appendUnlessOwned([item]),
        backend.mailbox.claim(claims),
      ]);
      expect(await backend.mailbox.look([address])).toEqual([{ is: "no-device" }]);
      await world.counted();
      expect(backend.mailbox.stats()).toMatchObject({ mailboxes: 0, envelopes: 0, bytes: 0 });
    });

    it.runIf(keeps)("M10 retired: also after a restart", async () => {
      await using world = await open();
      const [address, empty] = [anAddress(), anAddress()];
      await store(world.backend, address, anEnvelope(world.clock));
      await world.backend.mailbox.retire(address);
      await world.backend.mailbox.retire(empty);
      await world.restart();
      expect(await world.backend.mailbox.lookUp([address, empty])).toEqual([
        { is: "no-device" },
        { is: "no-device" },
      ]);
      await world.counted();
      expect(world.backend.mailbox.stats().envelopes).toBe(0);
    });

    it("M13 closed: what was begun is settled, then every verb rejects, and closing twice is fine", async () => {
      await using world = await open();
      const { backend, clock } = world;
      const { mailbox } = backend;
      const address = anAddress();
      const owner = anOwner();
      const begun = [store(backend, address, anEnvelope(clock)), claim(backend, address, owner, 1)];
      const waiting = mailbox.takeWakes("node-a" as NodeId);
      const closing = backend.close();
      expect(await waiting).toEqual([]);
      await Promise.all([...begun, closing, backend.close()]);
      await backend.close();
      const verbs = [
        () => mailbox.lookUp([address]),
        () => mailbox.look([address]),
        () => mailbox.claim([{ address, owner, epoch: 2 }]),
        () => mailbox.appendUnlessOwned([{ address, suspect: undefined, envelopes: [] }]),
        () => mailbox.appendAsOwner([{ address, owner, envelopes: [] }]),
        () => mailbox.appendAndRelease([{ address, owner, envelopes: [] }]),
        () => mailbox.read([{ address, after: START, maxEntries: 1, maxBytes: 1 }]),
        () => mailbox.remove([{ address, entries: [] }]),
        () => mailbox.wake("node-a" as NodeId, [address]),
        () => mailbox.takeWakes("node-a" as NodeId),
        () => mailbox.retire(address),
        () => mailbox.sweep(),
      ];
      for (const verb of verbs) await expect(verb()).rejects.toBeInstanceOf(StoreClosedError);
    });

    it("M14 wakes: come to their node, each address once, before and after somebody waits for them", async () => {
      await using world = await open();
      const { mailbox } = world.backend;
      const [one, two, three] = [anAddress(), anAddress(), anAddress()];
      const [a, b] = ["node-a" as NodeId, "node-b" as NodeId];
      await mailbox.wake(a, [one, two]);
      await mailbox.wake(a, [one]);
      expect(new Set(await mailbox.takeWakes(a))).toEqual(new Set([one, two]));
      const waiting = mailbox.takeWakes(a);
      await mailbox.wake(b, [two]);
      await mailbox.wake(a, [three]);
      expect(await waiting).toEqual([three]);
      expect(await mailbox.takeWakes(b)).toEqual([two]);
      const again = mailbox.takeWakes(a);
      await mailbox.wake(a, [three]);
      expect(await again).toEqual([three]);
    });
  });
}
