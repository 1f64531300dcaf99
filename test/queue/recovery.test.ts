// What a start makes of files that are torn or damaged: every record is checked, what is lost is reported, and nothing
// is ever silently wrong.
import type { DeviceAddress } from "@lethe/protocol";
import type { Envelope } from "@lethe/queue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HEADER_BYTES, recordBytes } from "../../queue/embedded/record.ts";
import { all, anAddress, anEnvelope, messages, remove, store } from "../contracts/world.ts";
import { type Disk } from "./disk.ts";
import { TestDirectory, TestStore } from "./support.ts";

let directory: TestDirectory;
beforeAll(async () => {
  directory = await TestDirectory.open();
});
afterAll(() => directory[Symbol.asyncDispose]());

const BYTES = 37;
const RECORD = recordBytes(48 + BYTES);

interface Written {
  readonly disk: Disk;
  readonly name: string;
  readonly bytes: Buffer;
  readonly address: DeviceAddress;
  readonly envelopes: readonly Envelope[];
}

/** One segment with so many records for one device. */
async function aSegment(count: number): Promise<Written> {
  const written = await TestStore.open(directory);
  const address = anAddress();
  const envelopes = Array.from({ length: count }, () => anEnvelope(written.clock, { bytes: BYTES }));
  await store(written.backend, address, ...envelopes);
  const disk = written.disk.copy();
  await written.close();
  const [file] = disk.files();
  if (file === undefined || file.shown.length !== count * RECORD) throw new Error("not one segment");
  return { disk, name: file.name, bytes: file.shown, address, envelopes };
}

describe("recovery", () => {
  it("cuts a torn tail, wherever in the last record it is torn, and goes on behind it", async () => {
    const { disk, name, bytes, address, envelopes } = await aSegment(3);
    for (let length = 2 * RECORD + 1; length < bytes.length; length++) {
      disk.replace(name, bytes.subarray(0, length));
      const opened = await TestStore.open(directory, { disk });
      expect(await messages(all(opened.backend, address))).toEqual(envelopes.slice(0, 2));
      expect(opened.eventsOf("torn-tail")).toEqual([
        { is: "torn-tail", segment: name, bytes: length - 2 * RECORD },
      ]);
      expect(opened.eventsOf("corrupt-record")).toEqual([]);
      expect(disk.files()[0]?.shown).toHaveLength(2 * RECORD);
    }
  });

  it("takes zeros behind the last record for a torn tail", async () => {
    const { disk, name, bytes, address, envelopes } = await aSegment(2);
    disk.replace(name, Buffer.concat([bytes, Buffer.alloc(5_000)]));
    const opened = await TestStore.open(directory, { disk });
    expect(await messages(all(opened.backend, address))).toEqual(envelopes);
    expect(opened.eventsOf("torn-tail")).toMatchObject([{ bytes: 5_000 }]);
  });

  it("gives out after any flipped bit only what was written, and reports what it is missing", async () => {
    const { disk, name, bytes, address, envelopes } = await aSegment(3);
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
      disk.replace(name, flipped);
      const opened = await TestStore.open(directory, { disk });
      const found = await messages(all(opened.backend, address));
      const damaged = Math.floor(at / RECORD);
      const reports = opened.eventsOf("corrupt-record").length + opened.eventsOf("torn-tail").length;
      if (at % RECORD === 0) expect([at, found, reports]).toEqual([at, envelopes, 1]);
      else if (at % RECORD >= HEADER_BYTES + 48 + BYTES)
        expect([at, found, reports]).toEqual([at, envelopes, 0]);
      else expect([at, found, reports]).toEqual([at, envelopes.filter((_, i) => i !== damaged), 1]);
    }
  });

  it("copies out of a damaged segment what is sound, and unlinks it", async () => {
    const { disk, name, bytes, address, envelopes } = await aSegment(4);
    const flipped = Buffer.from(bytes);
    flipped[RECORD + 5] = 0xff;
    disk.replace(name, flipped);
    const opened = await TestStore.open(directory, { disk });
    await opened.forget("due");
    expect(disk.files().map((file) => file.name)).not.toContain(name);
    expect(disk.holds((envelopes[1] as Envelope).ciphertext)).toBe(false);
    await opened.crash("power");
    expect(opened.eventsOf("corrupt-record")).toHaveLength(1);
    expect(await messages(all(opened.backend, address))).toEqual(envelopes.filter((_, i) => i !== 1));
  });

  it("finds damage that comes after the start when it reads, reports it, and lets the mailbox be emptied", async () => {
    const { disk, name, bytes, address, envelopes } = await aSegment(3);
    const opened = await TestStore.open(directory, { disk });
    const flipped = Buffer.from(bytes);
    flipped[RECORD + HEADER_BYTES + 60] = (flipped[RECORD + HEADER_BYTES + 60] as number) ^ 1;
    flipped.copy(disk.files().find((file) => file.name === name)?.shown ?? Buffer.alloc(0));
    const found = await all(opened.backend, address);
    expect(found.map(({ id }) => id)).toEqual([envelopes[0]?.id, envelopes[2]?.id]);
    expect(opened.eventsOf("corrupt-record")).toEqual([{ is: "corrupt-record", segment: name, count: 1 }]);
    await remove(opened.backend, address, found);
    expect(await opened.mailbox.look([address])).toMatchObject([{ waiting: 0 }]);
  });

  it("reads on where a whole page is damaged", async () => {
    const { disk, name, bytes, address, envelopes } = await aSegment(5);
    const opened = await TestStore.open(directory, { disk });
    const shown = disk.files().find((file) => file.name === name)?.shown ?? Buffer.alloc(0);
    for (const i of [0, 1, 2]) shown[i * RECORD + 30] = (bytes[i * RECORD + 30] as number) ^ 0x80;
    expect(await messages(all(opened.backend, address))).toEqual(envelopes.slice(3));
  });

  it("drops the double copies that a crash between copying and unlinking leaves, and wipes them before it is ready", async () => {
    const { disk, name, bytes, address, envelopes } = await aSegment(3);
    disk.replace(name.replace("0000000001", "0000000007"), bytes.subarray(RECORD));
    const opened = await TestStore.open(directory, { disk });
    expect(await messages(all(opened.backend, address))).toEqual(envelopes);
    await remove(opened.backend, address, await all(opened.backend, address));
    await opened.forget("all");
    await opened.crash("power");
    expect(await all(opened.backend, address)).toEqual([]);
    expect(opened.eventsOf("corrupt-record")).toEqual([]);
  });

  it("keeps of two copies the one that was synced, after a process was killed while copying and the power went", async () => {
    for (let calls = 0; calls < 12; calls++) {
      const opened = await TestStore.open(directory, { seed: calls });
      const address = anAddress();
      const envelopes = Array.from({ length: 12 }, () => anEnvelope(opened.clock, { bytes: 300 }));
      for (const envelope of envelopes) await store(opened.backend, address, envelope);
      const entries = await all(opened.backend, address);
      await remove(opened.backend, address, entries.slice(1));
      let left = calls;
      const killed = new Promise<void>((resolve) => {
        opened.disk.faults = (verb) => {
          if (verb !== "read" && left-- === 0) resolve();
          return left < 0 ? "EIO" : undefined;
        };
      });
      const passing = opened.forget("all");
      await Promise.race([killed, passing]);
      opened.disk.faults = () => undefined;
      await opened.crash("process");
      await opened.crash("power");
      expect((await all(opened.backend, address)).map(({ id }) => id)).toContain(envelopes[0]?.id);
    }
  });

  it("does not take a record that somebody sent as a ciphertext for one of its own", async () => {
    const forged = await aSegment(1);
    const written = await TestStore.open(directory);
    const address = anAddress();
    const carrier = {
      ...anEnvelope(written.clock),
      ciphertext: Buffer.concat([Buffer.alloc(8), forged.bytes, Buffer.alloc(8)]),
    };
    await store(written.backend, address, carrier);
    const [file] = written.disk.files();
    if (file === undefined) throw new Error("no segment");
    const damaged = Buffer.from(file.shown);
    damaged[4] = 0xff;
    const disk = written.disk.copy();
    disk.replace(file.name, damaged);
    const opened = await TestStore.open(directory, { disk });
    expect(await all(opened.backend, forged.address)).toEqual([]);
    expect(opened.mailbox.stats().envelopes).toBe(0);
  });

  it("never hands out a position twice, also where the segments know of higher ones than the directory's mark", async () => {
    const { disk, address } = await aSegment(2);
    await using other = await TestDirectory.open();
    const opened = await TestStore.open(other, { disk });
    const before = await all(opened.backend, address);
    const [position] = await store(opened.backend, address, anEnvelope(opened.clock));
    expect(position).toBeGreaterThan(before.at(-1)?.position as number);
  });
});
