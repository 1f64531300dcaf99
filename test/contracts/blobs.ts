// The contract of blobs as tests, for every kind.
import { randomBytes } from "node:crypto";
import { MEDIA_PART_BYTES } from "@lethe/protocol";
import { type MediaId, StoreClosedError } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import { heldBytes } from "../support/memory.ts";
import {
  aMedia,
  all,
  type BlobsUnderTest,
  chunked,
  faultOf,
  got,
  lengths,
  listed,
  put,
} from "./blobs-world.ts";

/** A part of several chunks, and not of whole ones. */
const LENGTH = 200_001;

export function blobsContract(kind: BlobsUnderTest): void {
  describe(`blobs contract: ${kind.name}`, () => {
    wholeParts(kind);
    ranges(kind);
    refusals(kind);
    removal(kind);
    names(kind);
    memory(kind);
  });
}

function wholeParts({ keeps, open }: BlobsUnderTest): void {
  it("Q1: parts come back as they were, in any order of coming, and absent ones are absent", async () => {
    await using world = await open();
    const { blobs } = world;
    const media = aMedia();
    const [first, last] = [randomBytes(MEDIA_PART_BYTES), randomBytes(17)];
    await put(blobs, media, 11, last);
    await put(blobs, media, 0, first);
    expect((await got(blobs, media, 0, 0, first.length))?.equals(first)).toBe(true);
    expect((await got(blobs, media, 11, 0, 17))?.equals(last)).toBe(true);
    expect(await blobs.get(media, 1, 0, 1)).toBeUndefined();
    expect(await blobs.get(aMedia(), 0, 0, 1)).toBeUndefined();
    expect(await lengths(blobs, media)).toEqual([
      [0, MEDIA_PART_BYTES],
      [11, 17],
    ]);
    expect(await lengths(blobs, aMedia())).toEqual([]);
  });

  it("Q1: putting a part again replaces all of it, by a shorter one too", async () => {
    await using world = await open();
    const { blobs } = world;
    const media = aMedia();
    await put(blobs, media, 3, randomBytes(LENGTH));
    const other = randomBytes(1_000);
    await put(blobs, media, 3, other);
    expect((await got(blobs, media, 3, 0, 1_000))?.equals(other)).toBe(true);
    expect(await lengths(blobs, media)).toEqual([[3, 1_000]]);
  });

  it("Q1: of several that put the same part at once, one stays, whole", async () => {
    await using world = await open();
    const { blobs } = world;
    const media = aMedia();
    const versions = Array.from({ length: 6 }, () => randomBytes(LENGTH));
    await Promise.all(versions.map((bytes) => put(blobs, media, 0, bytes)));
    const there = await got(blobs, media, 0, 0, LENGTH);
    expect(versions.filter((bytes) => there?.equals(bytes) === true)).toHaveLength(1);
    expect(await lengths(blobs, media)).toEqual([[0, LENGTH]]);
  });

  it("Q1: a part that is being put is not there, nor is anything else of it", async () => {
    await using world = await open();
    const { blobs } = world;
    const media = aMedia();
    const rest = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const putting = blobs.put(media, 0, 20, halting(randomBytes(20), asked.resolve, rest.promise));
    await asked.promise;
    expect(await blobs.get(media, 0, 0, 1)).toBeUndefined();
    expect(await lengths(blobs, media)).toEqual([]);
    rest.resolve();
    await putting;
    expect(await lengths(blobs, media)).toEqual([[0, 20]]);
  });

  it.runIf(keeps)("Q1: what was put is there after a restart", async () => {
    await using world = await open();
    const media = aMedia();
    const bytes = randomBytes(LENGTH);
    await put(world.blobs, media, 0, bytes);
    await world.restart();
    expect((await got(world.blobs, media, 0, 0, LENGTH))?.equals(bytes)).toBe(true);
    expect(await listed(world.blobs)).toEqual([media]);
  });
}

/** Half of the bytes, then a wait. */
async function* halting(bytes: Buffer, asked: () => void, rest: Promise<void>): AsyncGenerator<Uint8Array> {
  const half = bytes.length >> 1;
  yield bytes.subarray(0, half);
  asked();
  await rest;
  yield bytes.subarray(half);
}

function ranges({ open }: BlobsUnderTest): void {
  it("gives any range of a part, to the byte, and none that goes past its end", async () => {
    await using world = await open();
    const { blobs } = world;
    const media = aMedia();
    const bytes = randomBytes(LENGTH);
    await put(blobs, media, 7, bytes);
    const borders = [0, 1, 65_535, 65_536, 65_537, 131_072, LENGTH - 1, LENGTH];
    for (const from of borders)
      for (const to of borders.filter((to) => to > from))
        expect((await got(blobs, media, 7, from, to))?.equals(bytes.subarray(from, to))).toBe(true);
    for (const [from, to] of [
      [0, LENGTH + 1],
      [LENGTH - 1, LENGTH + 1],
      [LENGTH, LENGTH + 1],
      [LENGTH + 5, LENGTH + 9],
    ] as const)
      expect(await blobs.get(media, 7, from, to)).toBeUndefined();
  });

  it("lets a reader stop early, or never begin, and others read on", async () => {
    await using world = await open();
    const { blobs } = world;
    const media = aMedia();
    const bytes = randomBytes(MEDIA_PART_BYTES);
    await put(blobs, media, 0, bytes);
    for (let reader = 0; reader < 20; reader++)
      for await (const chunk of (await blobs.get(media, 0, 0, bytes.length)) ?? []) {
        expect(bytes.subarray(0, chunk.length).equals(chunk)).toBe(true);
        break;
      }
    for (let reader = 0; reader < 3; reader++)
      expect(await blobs.get(media, 0, 0, bytes.length)).toBeDefined();
    expect((await got(blobs, media, 0, 0, bytes.length))?.equals(bytes)).toBe(true);
  });
}

function refusals({ open }: BlobsUnderTest): void {
  it("Q2: what comes short, goes on, or breaks off is refused and leaves nothing", async () => {
    await using world = await open();
    const { blobs } = world;
    const media = aMedia();
    const bytes = randomBytes(LENGTH);
    expect(await faultOf(blobs.put(media, 0, LENGTH + 1, chunked(bytes)))).toBe("cut-short");
    expect(await faultOf(blobs.put(media, 0, LENGTH, chunked(new Uint8Array())))).toBe("cut-short");
    expect(await faultOf(blobs.put(media, 0, LENGTH - 1, chunked(bytes)))).toBe("too-long");
    expect(await faultOf(blobs.put(media, 0, 65_536, chunked(bytes)))).toBe("too-long");
    expect(await faultOf(blobs.put(media, 0, LENGTH, broken(bytes)))).toBe("cut-short");
    expect(await lengths(blobs, media)).toEqual([]);
    expect(await listed(blobs)).toEqual([]);
  });

  it("Q2: a part that was there before one that is refused stays as it was", async () => {
    await using world = await open();
    const { blobs } = world;
    const media = aMedia();
    const bytes = randomBytes(LENGTH);
    await put(blobs, media, 0, bytes);
    expect(await faultOf(blobs.put(media, 0, LENGTH, broken(randomBytes(LENGTH))))).toBe("cut-short");
    expect((await got(blobs, media, 0, 0, LENGTH))?.equals(bytes)).toBe(true);
    expect(await lengths(blobs, media)).toEqual([[0, LENGTH]]);
  });

  it("Q2: nothing more is taken from a source that goes on", async () => {
    await using world = await open();
    let taken = 0;
    let ended = false;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          taken++;
          yield randomBytes(1_000);
        }
      } finally {
        ended = true;
      }
    };
    expect(await faultOf(world.blobs.put(aMedia(), 0, 10_000, endless()))).toBe("too-long");
    expect({ taken, ended }).toEqual({ taken: 11, ended: true });
  });
}

/** Two chunks, then the connection is gone. */
async function* broken(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(0, 65_536);
  yield bytes.subarray(65_536, 131_072);
  throw new Error("the connection is gone");
}

function removal({ open }: BlobsUnderTest): void {
  it("Q3: a removed blob is gone with all parts, others stay, and removing it again does nothing", async () => {
    await using world = await open();
    const { blobs } = world;
    const [media, other] = [aMedia(9), aMedia(9)];
    for (let part = 0; part < 45; part++) await put(blobs, media, part, randomBytes(10));
    await put(blobs, other, 0, randomBytes(10));
    await blobs.remove(media);
    await blobs.remove(media);
    expect(await blobs.get(media, 44, 0, 1)).toBeUndefined();
    expect(await lengths(blobs, media)).toEqual([]);
    expect(await listed(blobs)).toEqual([other]);
    expect(await lengths(blobs, other)).toEqual([[0, 10]]);
  });

  it("Q3: a removal meets those who read without doing them any harm but that their bytes may end", async () => {
    await using world = await open();
    const { blobs } = world;
    const media = aMedia();
    const bytes = randomBytes(MEDIA_PART_BYTES);
    await put(blobs, media, 0, bytes);
    const reader = (await blobs.get(media, 0, 0, bytes.length))?.[Symbol.asyncIterator]();
    const first = await reader?.next();
    await blobs.remove(media);
    const had = [first?.value as Uint8Array];
    try {
      for (let next = await reader?.next(); next?.done === false; next = await reader?.next())
        had.push(next.value);
    } catch (error) {
      expect(await faultOf(Promise.reject(error))).toBe("failed");
    }
    const read = Buffer.concat(had);
    expect(read.equals(bytes.subarray(0, read.length))).toBe(true);
    expect(await blobs.get(media, 0, 0, 1)).toBeUndefined();
  });

  it("Q3: a removal while a part is put fails neither of them, and the next one takes what came", async () => {
    await using world = await open();
    const { blobs } = world;
    const media = aMedia();
    const rest = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const putting = blobs.put(media, 0, 20, halting(randomBytes(20), asked.resolve, rest.promise));
    await asked.promise;
    await blobs.remove(media);
    rest.resolve();
    await putting;
    expect(await lengths(blobs, media)).toEqual([[0, 20]]);
    await blobs.remove(media);
    expect(await listed(blobs)).toEqual([]);
  });

  it("Q3: blobs that lie together come and go at once, and no put fails", async () => {
    await using world = await open();
    const { blobs } = world;
    const life = async (): Promise<void> => {
      for (let turn = 0; turn < 4; turn++) {
        const media = aMedia(9);
        await Promise.all([put(blobs, media, 0, randomBytes(10)), put(blobs, media, 1, randomBytes(10))]);
        expect(await lengths(blobs, media)).toHaveLength(2);
        await blobs.remove(media);
      }
    };
    await Promise.all(Array.from({ length: 8 }, life));
    expect(await listed(blobs)).toEqual([]);
  });
}

function names({ open }: BlobsUnderTest): void {
  it("Q4: names every blob that has a part, however many", async () => {
    await using world = await open();
    const { blobs } = world;
    expect(await listed(blobs)).toEqual([]);
    const media = Array.from({ length: 45 }, () => aMedia()).toSorted();
    for (const each of media) await put(blobs, each, 5, randomBytes(10));
    expect(await listed(blobs)).toEqual(media);
    await blobs.remove(media[0] as MediaId);
    expect(await listed(blobs)).toEqual(media.slice(1));
  });

  it("takes nothing for an id, a part or a length that is none", async () => {
    await using world = await open();
    const { blobs } = world;
    const media = aMedia();
    const refused = async (work: Promise<unknown>): Promise<void> => {
      await expect(work).rejects.toBeInstanceOf(RangeError);
    };
    for (const bad of [
      "",
      "../../../../etc/x",
      "0123456789abcde",
      "0123456789abcdefg",
      "0123456789abcde\u{100}",
    ])
      for (const verb of ["put", "get", "parts", "remove"] as const)
        await refused(
          verb === "put"
            ? put(blobs, bad as MediaId, 0, randomBytes(1))
            : blobs[verb](bad as MediaId, 0, 0, 1),
        );
    for (const part of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 32_760, "../x" as unknown as number]) {
      await refused(put(blobs, media, part, randomBytes(1)));
      await refused(blobs.get(media, part, 0, 1));
    }
    for (const length of [0, -1, 1.5, MEDIA_PART_BYTES + 1])
      await refused(blobs.put(media, 0, length, chunked(randomBytes(1))));
    for (const [from, to] of [
      [0, 0],
      [2, 1],
      [-1, 1],
      [0.5, 1],
      [0, Number.NaN],
    ] as const)
      await refused(blobs.get(media, 0, from, to));
    expect(await listed(blobs)).toEqual([]);
    await put(blobs, media, 32_759, randomBytes(1));
    expect(await lengths(blobs, media)).toEqual([[32_759, 1]]);
  });

  it("Q6: closed, every verb is refused, and closing twice is fine", async () => {
    await using world = await open();
    const { blobs } = world;
    const media = aMedia();
    await put(blobs, media, 0, randomBytes(10));
    await blobs.close();
    await blobs.close();
    for (const work of [
      put(blobs, media, 0, randomBytes(10)),
      blobs.get(media, 0, 0, 1),
      blobs.parts(media),
      blobs.remove(media),
      all(blobs.list() as AsyncIterable<never>),
    ])
      await expect(work).rejects.toBeInstanceOf(StoreClosedError);
  });
}

function memory({ keeps, open }: BlobsUnderTest): void {
  it.runIf(keeps)("Q5: memory is the same however many parts come and go", async () => {
    await using world = await open();
    const { blobs } = world;
    const part = randomBytes(MEDIA_PART_BYTES);
    const before = heldBytes();
    const more: number[] = [];
    for (let turn = 0; turn < 16; turn++) {
      const media = aMedia();
      for (let n = 0; n < 2; n++) await put(blobs, media, n, part);
      for await (const chunk of (await blobs.get(media, 1, 0, part.length)) ?? [])
        expect(chunk.length).toBeLessThanOrEqual(262_144);
      more.push(heldBytes() - before);
    }
    expect(Math.max(...more)).toBeLessThan(8 * MEDIA_PART_BYTES); // of 32 that came
  });
}
