// M11: the forget bound, measured by searching every byte of every file, as the system shows it and as the platter
// holds it.
import type { DeviceAddress } from "@lethe/protocol";
import type { Entry, Envelope } from "@lethe/queue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { all, anAddress, anEnvelope, messages, remove, store } from "../contracts/world.ts";
import { TestDirectory, TestStore } from "./support.ts";

let directory: TestDirectory;
beforeAll(async () => {
  directory = await TestDirectory.open();
});
afterAll(() => directory[Symbol.asyncDispose]());

async function filled(
  opened: TestStore,
  count: number,
  bytes = 300,
): Promise<{ address: DeviceAddress; entries: Entry[] }> {
  const address = anAddress();
  const envelopes = Array.from({ length: count }, () => anEnvelope(opened.clock, { bytes }));
  for (const envelope of envelopes) await store(opened.backend, address, envelope);
  return { address, entries: await all(opened.backend, address) };
}

/** Any window of the ciphertext; a piece of 16 bytes is as much of it as all of it. */
function traces(opened: TestStore, { ciphertext }: Pick<Envelope, "ciphertext">): number {
  let found = 0;
  for (let at = 0; at + 16 <= ciphertext.length; at += 16)
    if (opened.disk.holds(ciphertext.subarray(at, at + 16))) found++;
  return found;
}

/** Lets the time of the bound pass, in passes that each come to their end. */
async function bound(opened: TestStore): Promise<void> {
  for (let pass = 0; pass < 6; pass++) {
    opened.clock.pass(10_000);
    await opened.idle();
  }
}

describe("M11 forget", () => {
  it("unlinks segments in which nothing lives, the active one too", async () => {
    const opened = await TestStore.open(directory);
    const { address, entries } = await filled(opened, 30);
    expect(opened.disk.files().length).toBeGreaterThan(2);
    await remove(opened.backend, address, entries);
    await bound(opened);
    expect(opened.disk.files()).toEqual([]);
    expect(opened.mailbox.stats().forgetLag).toBe(0);
    const [again] = await store(opened.backend, address, anEnvelope(opened.clock));
    expect(again).toBeGreaterThan(entries.at(-1)?.position as number);
  });

  it("overwrites what was removed where survivors keep the segment, and leaves no id and no address of it", async () => {
    const opened = await TestStore.open(directory, { tuning: { segmentBytes: 1_000_000 } });
    const { address, entries } = await filled(opened, 20);
    const other = await filled(opened, 1);
    const gone = entries.filter((_, i) => i % 3 !== 0);
    await remove(opened.backend, address, gone);
    await remove(opened.backend, other.address, other.entries);
    const [before] = opened.disk.files();
    await bound(opened);
    const [after] = opened.disk.files();
    expect(after?.name).toBe(before?.name);
    for (const entry of [...gone, ...other.entries]) {
      expect(traces(opened, entry)).toBe(0);
      expect(opened.disk.holds(Buffer.from(entry.id, "latin1"))).toBe(false);
    }
    expect(opened.disk.holds(Buffer.from(other.address, "latin1"))).toBe(false);
    await opened.crash("power");
    expect(await all(opened.backend, address)).toEqual(entries.filter((_, i) => i % 3 === 0));
    expect(opened.events.filter(({ is }) => is === "corrupt-record" || is === "torn-tail")).toEqual([]);
  });

  it("waits half the bound, so that what is delivered together goes together", async () => {
    const opened = await TestStore.open(directory, { tuning: { segmentBytes: 1_000_000 } });
    const { address, entries } = await filled(opened, 4);
    await remove(opened.backend, address, entries.slice(0, 1));
    opened.disk.calls.length = 0;
    for (let pass = 0; pass < 2; pass++) {
      opened.clock.pass(10_000);
      await opened.idle();
    }
    expect(opened.disk.calls).toEqual([]);
    expect(opened.mailbox.stats().forgetLag).toBe(20_000);
    await bound(opened);
    expect(opened.mailbox.stats().forgetLag).toBe(0);
  });

  it("copies few survivors forward, with all that they are, and unlinks the segment", async () => {
    const opened = await TestStore.open(directory);
    const { address, entries } = await filled(opened, 40);
    const kept = entries.filter((_, i) => i % 10 === 9);
    await remove(
      opened.backend,
      address,
      entries.filter((_, i) => i % 10 !== 9),
    );
    const before = opened.disk.files().map(({ name }) => name);
    await bound(opened);
    const after = opened.disk.files().map(({ name }) => name);
    expect(after.length).toBeLessThan(before.length / 2);
    for (const entry of entries.filter((_, i) => i % 10 !== 9)) expect(traces(opened, entry)).toBe(0);
    expect(await all(opened.backend, address)).toEqual(kept);
    await opened.crash("power");
    expect(await all(opened.backend, address)).toEqual(kept);
  });

  it("gathers the small segments that restarts leave", async () => {
    const opened = await TestStore.open(directory, { tuning: { segmentBytes: 100_000 } });
    const address = anAddress();
    const envelopes = Array.from({ length: 8 }, () => anEnvelope(opened.clock));
    for (const envelope of envelopes) {
      await store(opened.backend, address, envelope, anEnvelope(opened.clock));
      await remove(opened.backend, address, (await all(opened.backend, address)).slice(-1));
      await opened.restart();
    }
    await bound(opened);
    expect(opened.disk.files().length).toBeLessThan(4);
    expect(await messages(all(opened.backend, address))).toEqual(envelopes);
  });

  it("has nothing left to forget after a close", async () => {
    const opened = await TestStore.open(directory, { tuning: { segmentBytes: 1_000_000 } });
    const { address, entries } = await filled(opened, 10);
    await remove(opened.backend, address, entries.slice(2));
    await opened.close();
    for (const entry of entries.slice(2)) expect(traces(opened, entry)).toBe(0);
    await opened.start();
    expect(await all(opened.backend, address)).toEqual(entries.slice(0, 2));
  });

  it("finishes after a crash what it had begun, wherever the crash came", async () => {
    for (let calls = 0; calls < 12; calls++) {
      const opened = await TestStore.open(directory, { seed: calls, tuning: { segmentBytes: 2_000 } });
      const { address, entries } = await filled(opened, 9);
      const kept = [1, 4, 8].map((i) => entries[i] as Entry);
      await remove(
        opened.backend,
        address,
        entries.filter((entry) => !kept.includes(entry)),
      );
      let left = calls;
      opened.disk.faults = (verb) => (verb !== "read" && left-- <= 0 ? "EIO" : undefined);
      const passing = opened.forget("all");
      await passing;
      opened.disk.faults = () => undefined;
      await opened.crash("power");
      const found = await all(opened.backend, address);
      expect(found.filter(({ position }) => kept.some((entry) => entry.position === position))).toEqual(kept);
      expect(opened.eventsOf("corrupt-record")).toEqual([]);
      const undead = found.filter(({ position }) => kept.every((entry) => entry.position !== position));
      await remove(opened.backend, address, undead);
      await opened.forget("all");
      await opened.forget("all");
      for (const entry of entries) if (!kept.includes(entry)) expect(traces(opened, entry)).toBe(0);
      expect(await all(opened.backend, address)).toEqual(kept);
    }
  });

  it("does not lose what is removed, read or appended while it copies and overwrites", async () => {
    const opened = await TestStore.open(directory);
    const { address, entries } = await filled(opened, 60);
    await remove(
      opened.backend,
      address,
      entries.filter((_, i) => i % 8 !== 0),
    );
    const kept = entries.filter((_, i) => i % 8 === 0);
    const passing = opened.forget("all");
    const later = Array.from({ length: 20 }, () => anEnvelope(opened.clock, { bytes: 200 }));
    for (const [i, envelope] of later.entries()) {
      await store(opened.backend, address, envelope);
      if (i < 4) await remove(opened.backend, address, kept.slice(i, i + 1));
      expect((await all(opened.backend, address)).map(({ id }) => id)).toEqual([
        ...kept.slice(Math.min(i + 1, 4)).map(({ id }) => id),
        ...later.slice(0, i + 1).map(({ id }) => id),
      ]);
    }
    await passing;
    await opened.forget("all");
    for (const entry of kept.slice(0, 4)) expect(traces(opened, entry)).toBe(0);
    await opened.crash("power");
    expect((await all(opened.backend, address)).map(({ id }) => id)).toEqual(
      [...kept.slice(4), ...later].map(({ id }) => id),
    );
  });

  it("forgets what expired and was never fetched", async () => {
    const opened = await TestStore.open(directory);
    const address = anAddress();
    const expiry = (opened.clock.now() + 5_000) as never;
    const [expiring, kept] = [anEnvelope(opened.clock, { expiry, bytes: 200 }), anEnvelope(opened.clock)];
    await store(opened.backend, address, expiring, kept);
    opened.clock.pass(5_000);
    expect(await opened.mailbox.sweep()).toBe(1);
    await bound(opened);
    expect(traces(opened, expiring)).toBe(0);
    expect(await messages(all(opened.backend, address))).toEqual([kept]);
  });
});
