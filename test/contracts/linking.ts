// The contract of linking mailboxes as tests, for every backend.
import { randomBytes } from "node:crypto";
import { LINKING_MAILBOX_MS } from "@lethe/protocol";
import { type LinkingMailboxId, MAX_LINKING_MAILBOXES, StoreClosedError } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import type { BackendUnderTest } from "./world.ts";

const aMailbox = (): LinkingMailboxId => randomBytes(16).toString("latin1") as LinkingMailboxId;
const bytes = (text: string): Uint8Array => Buffer.from(text);

export function linkingContract({ name, open }: BackendUnderTest): void {
  describe(`linking mailboxes contract: ${name}`, () => {
    it("B1: the first bytes of a slot stay; the same again are kept, others are taken", async () => {
      await using world = await open();
      const { linking } = world.backend;
      const mailbox = aMailbox();
      expect(await linking.put(mailbox, "offer", bytes("one"))).toBe("kept");
      expect(await linking.put(mailbox, "offer", bytes("one"))).toBe("kept");
      expect(await linking.put(mailbox, "offer", bytes("other"))).toBe("taken");
      const got = await linking.get(mailbox, "offer");
      expect(got.is === "message" && Buffer.from(got.message).toString()).toBe("one");
    });

    it("B1: any bytes come back as they were, and what is read cannot change what stands there", async () => {
      await using world = await open();
      const { linking } = world.backend;
      const mailbox = aMailbox();
      const message = Uint8Array.from({ length: 256 }, (_, i) => i);
      await linking.put(mailbox, "offer", message);
      message.fill(7);
      const got = await linking.get(mailbox, "offer");
      expect(got.is === "message" && [...got.message]).toEqual(Array.from({ length: 256 }, (_, i) => i));
    });

    it("B2: an offer makes the mailbox, a join needs the offer, a grant the join", async () => {
      await using world = await open();
      const { linking } = world.backend;
      const mailbox = aMailbox();
      for (const slot of ["offer", "join", "grant"] as const)
        expect(await linking.get(mailbox, slot)).toEqual({ is: "none" });
      expect(await linking.put(mailbox, "join", bytes("j"))).toBe("ended");
      expect(await linking.put(mailbox, "grant", bytes("g"))).toBe("ended");
      expect(await linking.get(mailbox, "join")).toEqual({ is: "none" });
      await linking.put(mailbox, "offer", bytes("o"));
      expect(await linking.put(mailbox, "grant", bytes("g"))).toBe("early");
      expect(await linking.get(mailbox, "join")).toEqual({ is: "empty" });
      expect(await linking.put(mailbox, "join", bytes("j"))).toBe("kept");
      expect(await linking.put(mailbox, "grant", bytes("g"))).toBe("kept");
      expect((await linking.get(mailbox, "grant")).is).toBe("message");
      expect((await linking.get(mailbox, "offer")).is).toBe("message");
    });

    it("B3: it is gone its time after its offer, however late the rest came", async () => {
      await using world = await open();
      const { linking } = world.backend;
      const mailbox = aMailbox();
      await linking.put(mailbox, "offer", bytes("o"));
      await world.elapse(LINKING_MAILBOX_MS - 100);
      expect(await linking.put(mailbox, "join", bytes("j"))).toBe("kept");
      await world.elapse(200);
      expect(await linking.get(mailbox, "join")).toEqual({ is: "none" });
      expect(await linking.put(mailbox, "grant", bytes("g"))).toBe("ended");
      expect(await linking.put(mailbox, "offer", bytes("another"))).toBe("kept");
      expect(await linking.get(mailbox, "join")).toEqual({ is: "empty" });
    });

    it("B3: one that was ended has no messages, and its name stays ended until its time is over", async () => {
      await using world = await open();
      const { linking } = world.backend;
      const [mailbox, none] = [aMailbox(), aMailbox()];
      await linking.put(mailbox, "offer", bytes("o"));
      await linking.end(mailbox);
      await linking.end(mailbox);
      await linking.end(none);
      expect(await linking.get(mailbox, "offer")).toEqual({ is: "ended" });
      for (const slot of ["offer", "join", "grant"] as const)
        expect(await linking.put(mailbox, slot, bytes("o"))).toBe("ended");
      expect(await linking.put(none, "offer", bytes("o"))).toBe("kept");
      await world.elapse(LINKING_MAILBOX_MS + 100);
      expect(await linking.get(mailbox, "offer")).toEqual({ is: "none" });
      expect(await linking.put(mailbox, "offer", bytes("o"))).toBe("kept");
    });

    it("B4: there are so many at once and no more; those that are there go on, and time makes room", async () => {
      await using world = await open();
      const { linking } = world.backend;
      const first = aMailbox();
      await linking.put(first, "offer", bytes("o"));
      await world.elapse(1_000);
      const others = Array.from({ length: MAX_LINKING_MAILBOXES - 1 }, () =>
        linking.put(aMailbox(), "offer", bytes("o")),
      );
      expect(new Set(await Promise.all(others))).toEqual(new Set(["kept"]));
      expect(await linking.put(aMailbox(), "offer", bytes("o"))).toBe("full");
      expect(await linking.put(first, "join", bytes("j"))).toBe("kept");
      await linking.end(first);
      expect(await linking.put(aMailbox(), "offer", bytes("o"))).toBe("full");
      await world.elapse(LINKING_MAILBOX_MS - 500);
      expect(await linking.put(aMailbox(), "offer", bytes("o"))).toBe("kept");
      expect(await linking.put(aMailbox(), "offer", bytes("o"))).toBe("full");
    });

    it("B6: after the backend is closed every verb is refused", async () => {
      await using world = await open();
      const { backend } = world;
      await backend.close();
      const mailbox = aMailbox();
      for (const verb of [
        () => backend.linking.put(mailbox, "offer", bytes("o")),
        () => backend.linking.get(mailbox, "offer"),
        () => backend.linking.end(mailbox),
      ])
        await expect(verb()).rejects.toThrow(StoreClosedError);
    });
  });
}
