// M12: a disk that is full, writes short or fails to sync. Nothing that was answered `stored` is lost, nothing that was
// refused is promised, and reading, removing and forgetting go on.
import type { DeviceAddress } from "@lethe/protocol";
import type { AppendUnlessOwnedResult, Envelope } from "@lethe/queue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { all, anAddress, anEnvelope, messages, remove, store } from "../contracts/world.ts";
import { TestDirectory, TestStore } from "./support.ts";

let directory: TestDirectory;
beforeAll(async () => {
  directory = await TestDirectory.open();
});
afterAll(() => directory[Symbol.asyncDispose]());

async function append(
  opened: TestStore,
  address: DeviceAddress,
  ...envelopes: Envelope[]
): Promise<AppendUnlessOwnedResult> {
  const [result] = await opened.mailbox.appendUnlessOwned([{ address, suspect: undefined, envelopes }]);
  if (result === undefined) throw new Error("no answer");
  return result;
}

const FULL = { is: "failed", code: "storage-full" };
const FAILED = { is: "failed", code: "storage-failed" };

describe("M12 a disk that is full", () => {
  it("refuses the whole group, keeps what was accepted, and accepts again when there is room", async () => {
    const opened = await TestStore.open(directory);
    const address = anAddress();
    const [kept, refused, later] = [
      anEnvelope(opened.clock),
      anEnvelope(opened.clock),
      anEnvelope(opened.clock),
    ];
    await store(opened.backend, address, kept);
    const [file] = opened.disk.files();
    opened.disk.capacity = opened.disk.used + 20;
    expect(await append(opened, address, refused)).toEqual(FULL);
    expect(await append(opened, anAddress(), refused)).toEqual(FULL);
    expect(opened.disk.files()[0]?.shown).toEqual(file?.shown);
    expect(await messages(all(opened.backend, address))).toEqual([kept]);
    expect(opened.mailbox.stats()).toMatchObject({ mailboxes: 1, envelopes: 1 });
    opened.disk.capacity = Number.POSITIVE_INFINITY;
    expect(await append(opened, address, later)).toMatchObject({ is: "stored" });
    expect(opened.events.map((event) => event.is)).toEqual([
      "recovered",
      "storage-full",
      "storage-room-again",
    ]);
    await opened.crash("power");
    expect(await messages(all(opened.backend, address))).toEqual([kept, later]);
  });

  it("goes on removing and forgetting, which makes the room", async () => {
    const opened = await TestStore.open(directory);
    const address = anAddress();
    await store(
      opened.backend,
      address,
      ...[1, 2, 3, 4, 5].map(() => anEnvelope(opened.clock, { bytes: 500 })),
    );
    opened.disk.capacity = opened.disk.used;
    const survivor = anEnvelope(opened.clock, { bytes: 500 });
    expect(await append(opened, address, survivor)).toEqual(FULL);
    const entries = await all(opened.backend, address);
    await remove(opened.backend, address, entries.slice(0, 4));
    await opened.forget("all");
    for (const { ciphertext } of entries.slice(0, 4)) expect(opened.disk.holds(ciphertext)).toBe(false);
    expect(await append(opened, address, survivor)).toEqual(FULL);
    await remove(opened.backend, address, entries.slice(4));
    await opened.forget("all");
    expect(await append(opened, address, survivor)).toMatchObject({ is: "stored" });
  });

  it("is noticed where a new segment cannot be made, too", async () => {
    const opened = await TestStore.open(directory);
    opened.disk.faults = (verb) => (verb === "create" ? "ENOSPC" : undefined);
    expect(await append(opened, anAddress(), anEnvelope(opened.clock))).toEqual(FULL);
    opened.disk.faults = (verb) => (verb === "syncNames" ? "ENOSPC" : undefined);
    expect(await append(opened, anAddress(), anEnvelope(opened.clock))).toEqual(FULL);
    expect(opened.disk.files()).toEqual([]);
    opened.disk.faults = () => undefined;
    expect(await append(opened, anAddress(), anEnvelope(opened.clock))).toMatchObject({ is: "stored" });
  });

  it("leaves a segment that cannot be cut back", async () => {
    const opened = await TestStore.open(directory);
    const address = anAddress();
    const [kept, refused, later] = [1, 2, 3].map(() => anEnvelope(opened.clock)) as [
      Envelope,
      Envelope,
      Envelope,
    ];
    await store(opened.backend, address, kept);
    const [before] = opened.disk.files();
    opened.disk.capacity = opened.disk.used + 20;
    opened.disk.faults = (verb) => (verb === "truncate" ? "EIO" : undefined);
    expect(await append(opened, address, refused)).toEqual(FULL);
    opened.disk.capacity = Number.POSITIVE_INFINITY;
    opened.disk.faults = () => undefined;
    expect(await append(opened, address, later)).toMatchObject({ is: "stored" });
    expect(opened.disk.files().map(({ name }) => name)).toHaveLength(2);
    await opened.forget("due");
    expect(opened.disk.files().map(({ name }) => name)).not.toContain(before?.name);
    await opened.crash("power");
    expect(await messages(all(opened.backend, address))).toEqual([kept, later]);
  });

  it("does not mind writes that are short", async () => {
    const opened = await TestStore.open(directory, { seed: 5 });
    opened.disk.writesShort = true;
    const address = anAddress();
    const envelopes = Array.from({ length: 30 }, () => anEnvelope(opened.clock, { bytes: 300 }));
    await Promise.all(envelopes.map((envelope) => store(opened.backend, address, envelope)));
    await opened.crash("power");
    expect(await messages(all(opened.backend, address))).toEqual(envelopes);
    expect(opened.eventsOf("torn-tail")).toEqual([]);
  });
});

describe("M12 a sync that fails", () => {
  it("refuses the group, never syncs that segment again, and begins another", async () => {
    const opened = await TestStore.open(directory);
    const address = anAddress();
    const [kept, refused, later] = [1, 2, 3].map(() => anEnvelope(opened.clock)) as [
      Envelope,
      Envelope,
      Envelope,
    ];
    await store(opened.backend, address, kept);
    const [first] = opened.disk.files();
    opened.disk.faults = (verb, name) => (verb === "sync" && name === first?.name ? "EIO" : undefined);
    expect(await append(opened, address, refused)).toEqual(FAILED);
    expect(opened.eventsOf("sync-failed")).toEqual([{ is: "sync-failed", code: "EIO" }]);
    expect(await messages(all(opened.backend, address))).toEqual([kept]);
    const calls = opened.disk.calls.length;
    expect(await append(opened, address, later)).toMatchObject({ is: "stored" });
    await opened.forget("due");
    const touched = opened.disk.calls
      .slice(calls)
      .filter(({ name, verb }) => name === first?.name && verb !== "read");
    expect(touched).toEqual([{ verb: "unlink", name: first?.name }]);
    await opened.crash("power");
    expect(await messages(all(opened.backend, address))).toEqual([kept, later]);
    expect(opened.disk.holds(refused.ciphertext)).toBe(false);
  });

  it("that fails in a second segment too ends all appending, and nothing else", async () => {
    const opened = await TestStore.open(directory);
    const address = anAddress();
    await store(opened.backend, address, anEnvelope(opened.clock), anEnvelope(opened.clock));
    const entries = await all(opened.backend, address);
    opened.disk.faults = (verb) => (verb === "sync" ? "EIO" : undefined);
    expect(await append(opened, address, anEnvelope(opened.clock))).toEqual(FAILED);
    expect(await append(opened, address, anEnvelope(opened.clock))).toEqual(FAILED);
    opened.disk.faults = () => undefined;
    expect(opened.eventsOf("storage-failed")).toEqual([{ is: "storage-failed", code: "EIO" }]);
    expect(await append(opened, address, anEnvelope(opened.clock))).toEqual(FAILED);
    expect(await all(opened.backend, address)).toEqual(entries);
    await remove(opened.backend, address, entries.slice(0, 1));
    expect(await all(opened.backend, address)).toEqual(entries.slice(1));
    await opened.restart();
    expect(await append(opened, address, anEnvelope(opened.clock))).toMatchObject({ is: "stored" });
    expect((await all(opened.backend, address)).length).toBeGreaterThanOrEqual(2);
  });

  it("while forgetting makes the segment one to leave", async () => {
    const opened = await TestStore.open(directory, { tuning: { segmentBytes: 100_000 } });
    const address = anAddress();
    await store(opened.backend, address, ...[1, 2, 3].map(() => anEnvelope(opened.clock, { bytes: 300 })));
    const entries = await all(opened.backend, address);
    await remove(opened.backend, address, entries.slice(1, 2));
    let syncs = 0;
    opened.disk.faults = (verb) => (verb === "sync" && syncs++ === 0 ? "EIO" : undefined);
    await opened.forget("all");
    expect(opened.mailbox.stats().forgetLag).toBeGreaterThanOrEqual(0);
    await opened.forget("due");
    expect(opened.disk.holds(entries[1]?.ciphertext as Uint8Array)).toBe(false);
    await opened.crash("power");
    expect(await all(opened.backend, address)).toEqual([entries[0], entries[2]]);
  });

  it("of a write with another error refuses and begins anew", async () => {
    const opened = await TestStore.open(directory);
    const address = anAddress();
    const kept = anEnvelope(opened.clock);
    await store(opened.backend, address, kept);
    opened.disk.faults = (verb) => (verb === "write" ? "EIO" : undefined);
    expect(await append(opened, address, anEnvelope(opened.clock))).toEqual(FAILED);
    opened.disk.faults = () => undefined;
    const later = anEnvelope(opened.clock);
    await store(opened.backend, address, later);
    expect(await messages(all(opened.backend, address))).toEqual([kept, later]);
  });

  it("of too many open files passes", async () => {
    const opened = await TestStore.open(directory);
    opened.disk.faults = (verb) => (verb === "create" ? "EMFILE" : undefined);
    for (let i = 0; i < 4; i++)
      expect(await append(opened, anAddress(), anEnvelope(opened.clock))).toEqual(FAILED);
    opened.disk.faults = () => undefined;
    expect(await append(opened, anAddress(), anEnvelope(opened.clock))).toMatchObject({ is: "stored" });
  });
});

describe("M12 a file that cannot be read", () => {
  it("fails the read and loses nothing", async () => {
    const opened = await TestStore.open(directory);
    const address = anAddress();
    const envelopes = [anEnvelope(opened.clock), anEnvelope(opened.clock)];
    await store(opened.backend, address, ...envelopes);
    await opened.restart();
    opened.disk.faults = (verb) => (verb === "read" ? "EIO" : undefined);
    const read = { address, after: 0 as never, maxEntries: 9, maxBytes: 9_999 };
    expect(await opened.mailbox.read([read, { ...read, address: anAddress() }])).toEqual([
      FAILED,
      { is: "page", entries: [], owner: undefined },
    ]);
    opened.disk.faults = () => undefined;
    expect(await messages(all(opened.backend, address))).toEqual(envelopes);
  });
});

describe("M2 durable", () => {
  it("answers nothing before the bytes and the file's name are synced", async () => {
    const opened = await TestStore.open(directory);
    await store(opened.backend, anAddress(), anEnvelope(opened.clock));
    const verbs = opened.disk.calls.map(({ verb }) => verb);
    expect(verbs).toEqual(["create", "syncNames", "write", "sync"]);
  });

  it("syncs once for everything that waits", async () => {
    const opened = await TestStore.open(directory, {
      tuning: { segmentBytes: 1_000_000, chunkBytes: 65_536, waitingBytes: 65_536, positionBlock: 1_000 },
    });
    await store(opened.backend, anAddress(), anEnvelope(opened.clock));
    opened.disk.calls.length = 0;
    await Promise.all(
      Array.from({ length: 100 }, () => store(opened.backend, anAddress(), anEnvelope(opened.clock))),
    );
    expect(opened.disk.calls.filter(({ verb }) => verb === "sync")).toHaveLength(1);
    expect(opened.disk.calls.filter(({ verb }) => verb === "write")).toHaveLength(1);
  });

  it("lets those wait for whom there is no room, in their order", async () => {
    const opened = await TestStore.open(directory, { tuning: { positionBlock: 16 } });
    const address = anAddress();
    const envelopes = Array.from({ length: 300 }, () => anEnvelope(opened.clock, { bytes: 200 }));
    const half = envelopes.length / 2;
    const items = (part: Envelope[]) =>
      part.map((envelope) => ({ address, suspect: undefined, envelopes: [envelope] }));
    await Promise.all([
      opened.mailbox.appendUnlessOwned(items(envelopes.slice(0, half))),
      opened.mailbox.appendUnlessOwned(items(envelopes.slice(half))),
    ]);
    expect(await messages(all(opened.backend, address))).toEqual(envelopes);
    await opened.crash("power");
    expect(await messages(all(opened.backend, address))).toEqual(envelopes);
  });

  it("rejects what it could never hold, before it takes in anything of it", async () => {
    const opened = await TestStore.open(directory);
    const item = (bytes: number) => ({
      address: anAddress(),
      suspect: undefined,
      envelopes: [anEnvelope(opened.clock, { bytes })],
    });
    await expect(opened.mailbox.appendUnlessOwned([item(10), item(4_096)])).rejects.toBeInstanceOf(
      RangeError,
    );
    expect(opened.mailbox.stats().envelopes).toBe(0);
  });
});
