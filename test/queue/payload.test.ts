// M15 in the segment log: payloads and references to them under damage, crashes, copying forward and failing syncs.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ready } from "@lethe/crypto";
import type { DeviceAddress } from "@lethe/protocol";
import type { AppendUnlessOwnedResult, Envelope } from "@lethe/queue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openEmbedded } from "../../queue/embedded/open.ts";
import { payloadBytes, REFERENCE_BYTES } from "../../queue/embedded/payload-record.ts";
import { HEADER_BYTES } from "../../queue/embedded/record.ts";
import { aPayload, plain, sharing } from "../contracts/mailbox-payload.ts";
import { all, anAddress, anEnvelope, Clock, messages, remove, ROOMY, store } from "../contracts/world.ts";
import { aFolder } from "../support/folder.ts";
import type { Disk } from "./disk.ts";
import { TestDirectory, TestStore } from "./support.ts";

let directory: TestDirectory;
beforeAll(async () => {
  await ready();
  directory = await TestDirectory.open();
});
afterAll(() => directory[Symbol.asyncDispose]());

const BYTES = 37;
const PAYLOAD = payloadBytes(BYTES);

interface Written {
  readonly disk: Disk;
  readonly name: string;
  readonly bytes: Buffer;
  readonly addresses: readonly [DeviceAddress, DeviceAddress];
  readonly envelopes: readonly [Envelope, Envelope, Envelope];
}

/** One segment: a payload, two references to it of different devices, and an envelope behind the first's. */
async function aSegment(): Promise<Written> {
  const written = await TestStore.open(directory);
  const addresses = [anAddress(), anAddress()] as const;
  const shared = aPayload(BYTES);
  const envelopes = [
    sharing(written.clock, shared),
    sharing(written.clock, shared),
    anEnvelope(written.clock, { bytes: BYTES }),
  ] as const;
  const [first, second, alone] = envelopes;
  await store(written.backend, addresses[0], first);
  await store(written.backend, addresses[1], second);
  await store(written.backend, addresses[0], alone);
  const disk = written.disk.copy();
  await written.close();
  const [file] = disk.files();
  if (file === undefined || file.shown.length < PAYLOAD + 2 * REFERENCE_BYTES)
    throw new Error("not one segment");
  return { disk, name: file.name, bytes: file.shown, addresses, envelopes };
}

function append(
  opened: TestStore,
  address: DeviceAddress,
  envelope: Envelope,
): Promise<AppendUnlessOwnedResult> {
  const batch = [{ address, suspect: undefined, envelopes: [envelope] }];
  return opened.mailbox.appendUnlessOwned(batch).then(([result]) => result as AppendUnlessOwnedResult);
}

function shownOf(disk: Disk, name: string): Buffer {
  const file = disk.files().find((each) => each.name === name);
  if (file === undefined) throw new Error("the segment is gone");
  return file.shown;
}

describe("a payload in the log", () => {
  it("is one record, whose ciphertext stands once in it, before the references", async () => {
    const { bytes, envelopes } = await aSegment();
    expect(bytes.indexOf(envelopes[0].ciphertext)).toBe(HEADER_BYTES + 32);
    expect(bytes.indexOf(envelopes[0].ciphertext, HEADER_BYTES + 33)).toBe(-1);
    expect(bytes.indexOf(Buffer.from(envelopes[0].id, "latin1"))).toBe(PAYLOAD + HEADER_BYTES + 18);
  });

  it("without references is what a crash left of removed mail: it is forgotten without a word", async () => {
    const { disk, name, bytes, addresses, envelopes } = await aSegment();
    disk.replace(name, bytes.subarray(0, PAYLOAD));
    const opened = await TestStore.open(directory, { disk });
    expect(await all(opened.backend, addresses[0])).toEqual([]);
    await opened.forget("all");
    expect(disk.holds(envelopes[0].ciphertext)).toBe(false);
    expect(opened.events.map(({ is }) => is)).toEqual(["recovered"]);
  });

  it("that is not there blocks nothing: references to it are reported, and go", async () => {
    const { disk, name, bytes, addresses, envelopes } = await aSegment();
    disk.replace(name, bytes.subarray(PAYLOAD));
    const opened = await TestStore.open(directory, { disk });
    expect(opened.eventsOf("payload-missing")).toEqual([{ is: "payload-missing", count: 2 }]);
    expect(await messages(all(opened.backend, addresses[0]))).toEqual([envelopes[2]]);
    expect(await opened.mailbox.look([...addresses])).toMatchObject([{ waiting: 1 }, { waiting: 0 }]);
    await store(opened.backend, addresses[1], envelopes[1]);
    expect(await messages(all(opened.backend, addresses[1]))).toEqual([plain(envelopes[1])]);
    await opened.forget("all");
    await opened.crash("power");
    expect(opened.eventsOf("payload-missing")).toHaveLength(1);
    expect(await messages(all(opened.backend, addresses[1]))).toEqual([plain(envelopes[1])]);
  });

  it("with any flipped bit, or a reference with one, gives out only what was written, and reports what is missing", async () => {
    const { disk, name, bytes, addresses, envelopes } = await aSegment();
    for (let at = 0; at < PAYLOAD + REFERENCE_BYTES; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
      disk.replace(name, flipped);
      const opened = await TestStore.open(directory, { disk });
      const found = [
        ...(await messages(all(opened.backend, addresses[0]))),
        ...(await messages(all(opened.backend, addresses[1]))),
      ];
      const isPayload = at < PAYLOAD;
      const inRecord = isPayload ? at : at - PAYLOAD;
      const end = HEADER_BYTES + (isPayload ? 32 + BYTES : 60);
      const [first, second, alone] = envelopes.map(plain) as [Envelope, Envelope, Envelope];
      const isHarmless = inRecord === 0 || inRecord >= end;
      const left = isPayload ? [alone] : [alone, second];
      expect([at, found]).toEqual([at, isHarmless ? [first, alone, second] : left]);
      const reports = opened.eventsOf("corrupt-record").length;
      expect([at, reports]).toEqual([at, inRecord >= end ? 0 : 1]);
    }
  });

  it("that is damaged after the start is reported once, its entries are skipped, and it is kept anew when it comes again", async () => {
    const { disk, name, addresses, envelopes } = await aSegment();
    const opened = await TestStore.open(directory, { disk });
    const shown = shownOf(disk, name);
    shown[HEADER_BYTES + 40] = (shown[HEADER_BYTES + 40] as number) ^ 1;
    expect(await messages(all(opened.backend, addresses[0]))).toEqual([envelopes[2]]);
    expect(opened.eventsOf("corrupt-record")).toEqual([{ is: "corrupt-record", segment: name, count: 1 }]);
    await store(opened.backend, addresses[0], envelopes[0]);
    expect(await all(opened.backend, addresses[1])).toEqual([]);
    expect(opened.eventsOf("corrupt-record")).toHaveLength(1);
    expect(opened.eventsOf("payload-missing")).toHaveLength(2);
    expect(await messages(all(opened.backend, addresses[0]))).toEqual([envelopes[2], plain(envelopes[0])]);
    expect(await opened.mailbox.look([...addresses])).toMatchObject([{ waiting: 2 }, { waiting: 0 }]);
  });

  it("that is damaged where its segment is copied out of does not keep the segment", async () => {
    const { disk, name, bytes, addresses, envelopes } = await aSegment();
    const flipped = Buffer.from(bytes);
    flipped[bytes.length - 20] = (flipped[bytes.length - 20] as number) ^ 1;
    disk.replace(name, flipped);
    const opened = await TestStore.open(directory, { disk });
    const shown = shownOf(disk, name);
    shown[HEADER_BYTES + 40] = (shown[HEADER_BYTES + 40] as number) ^ 1;
    await opened.forget("due");
    expect(disk.files().map((file) => file.name)).not.toContain(name);
    expect(await all(opened.backend, addresses[0])).toEqual([]);
    await store(opened.backend, addresses[1], envelopes[1]);
    expect(await messages(all(opened.backend, addresses[1]))).toEqual([plain(envelopes[1])]);
  });

  it("of two copies that a crash while copying left, is kept once, and wiped before the store is ready", async () => {
    const { disk, name, bytes, addresses, envelopes } = await aSegment();
    disk.replace(name.replace("0000000001", "0000000007"), bytes.subarray(0, PAYLOAD));
    const opened = await TestStore.open(directory, { disk });
    const held = disk.files().filter(({ shown }) => shown.indexOf(envelopes[0].ciphertext) >= 0);
    expect(held.map((file) => file.name)).toEqual([name]);
    for (const address of addresses) {
      const entries = await all(opened.backend, address);
      expect(entries[0]?.ciphertext).toEqual(envelopes[0].ciphertext);
      await remove(opened.backend, address, entries);
    }
    await opened.forget("all");
    expect(disk.holds(envelopes[0].ciphertext)).toBe(false);
    await opened.crash("power");
    expect(opened.events.map(({ is }) => is)).toEqual(["recovered", "recovered"]);
  });

  it("moves forward alone where everything else of its segment went, whatever the crash finds", async () => {
    for (let calls = 0; calls < 14; calls++) {
      const opened = await TestStore.open(directory, { seed: calls, tuning: { segmentBytes: 2_000 } });
      const [first, second] = [anAddress(), anAddress()];
      const shared = aPayload(300);
      const [early, late] = [sharing(opened.clock, shared), sharing(opened.clock, shared)];
      await store(opened.backend, first, early);
      const fill = Array.from({ length: 8 }, () => anEnvelope(opened.clock, { bytes: 300 }));
      for (const envelope of fill) await store(opened.backend, first, envelope);
      await store(opened.backend, second, late);
      const entries = await all(opened.backend, first);
      await remove(opened.backend, first, entries);
      let left = calls;
      opened.disk.faults = (verb) => (verb !== "read" && left-- <= 0 ? "EIO" : undefined);
      await opened.forget("all");
      opened.disk.faults = () => undefined;
      await opened.crash("power");
      expect(await messages(all(opened.backend, second))).toEqual([plain(late)]);
      expect(opened.eventsOf("corrupt-record")).toEqual([]);
      await remove(opened.backend, first, await all(opened.backend, first));
      await opened.forget("all");
      await opened.crash("power");
      expect(await messages(all(opened.backend, second))).toEqual([plain(late)]);
      await remove(opened.backend, second, await all(opened.backend, second));
      await opened.forget("all");
      await opened.forget("all");
      expect(opened.disk.holds(shared.ciphertext)).toBe(false);
      expect(opened.disk.holds(shared.ciphertext.subarray(16, 48))).toBe(false);
    }
  });

  it("whose group fails takes with it the references that were staged behind it, and is written again with the next", async () => {
    const opened = await TestStore.open(directory);
    const [first, second] = [anAddress(), anAddress()];
    const shared = aPayload(300);
    const [one, two] = [sharing(opened.clock, shared), sharing(opened.clock, shared)];
    let behind: Promise<AppendUnlessOwnedResult> | undefined;
    opened.disk.faults = (verb) => {
      if (verb !== "sync" || behind !== undefined) return undefined;
      behind = append(opened, second, two); // staged while the payload's own group is being synced
      return "EIO";
    };
    expect(await append(opened, first, one)).toEqual({ is: "failed", code: "storage-failed" });
    expect(await behind).toEqual({ is: "failed", code: "storage-failed" });
    expect(await all(opened.backend, second)).toEqual([]);
    await store(opened.backend, second, two);
    expect(await messages(all(opened.backend, second))).toEqual([plain(two)]);
    await opened.crash("power");
    expect(await messages(all(opened.backend, second))).toContainEqual(plain(two));
  });

  it("is looked for by those who wait for room, too: many references to it at once are one record", async () => {
    const opened = await TestStore.open(directory, { tuning: { positionBlock: 16 } });
    const shared = aPayload(2_000);
    const addresses = Array.from({ length: 300 }, anAddress);
    const envelopes = addresses.map(() => sharing(opened.clock, shared));
    const results = await Promise.all(
      addresses.map((address, i) => append(opened, address, envelopes[i] as Envelope)),
    );
    expect(results.map(({ is }) => is)).toEqual(addresses.map(() => "stored"));
    const bytes = Buffer.concat(opened.disk.files().map(({ shown }) => shown));
    expect(bytes.indexOf(shared.ciphertext, bytes.indexOf(shared.ciphertext) + 1)).toBe(-1);
    await opened.crash("power");
    for (const [i, address] of addresses.entries())
      expect(await messages(all(opened.backend, address))).toEqual([plain(envelopes[i] as Envelope)]);
  });

  it("may not be named by two ciphertexts of different length", async () => {
    const opened = await TestStore.open(directory);
    const shared = aPayload(300);
    await store(opened.backend, anAddress(), sharing(opened.clock, shared));
    const other = { ...sharing(opened.clock, shared), ciphertext: Buffer.alloc(299) };
    await expect(append(opened, anAddress(), other)).rejects.toBeInstanceOf(RangeError);
  });
});

describe("a folder", () => {
  it("of the format before payloads opens with its mail, and is of this one from then on", async () => {
    await using folder = await aFolder();
    const clock = new Clock();
    const config = { kind: "embedded", folder: folder.path, now: clock.now, limits: ROOMY } as const;
    const open = () => openEmbedded({ ...config, report: () => undefined }, { timers: clock });
    const address = anAddress();
    const envelope = anEnvelope(clock);
    const before = await open();
    await store(before, address, envelope);
    await before.close();
    const format = join(folder.path, "format");
    await writeFile(format, "lethe-queue 1\n");
    const after = await open();
    expect(await messages(all(after, address))).toEqual([envelope]);
    expect(await readFile(format, "utf8")).toBe("lethe-queue 3\n");
    await after.close();
    await writeFile(format, "lethe-queue 4\n");
    await expect(open()).rejects.toMatchObject({ code: "format-unknown" });
  });
});
