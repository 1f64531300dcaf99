// Sizes of files and blobs; sealing and opening at the borders of chunks and parts; going on from a position.
import { mediaParts, MalformedError, MAX_MEDIA_BYTES, MEDIA_PART_BYTES } from "@lethe/protocol";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import {
  decodeMediaPosition,
  encodeMediaPosition,
  isMediaSize,
  makeMediaKey,
  MediaOpener,
  mediaPartBytes,
  MediaSealer,
  paddedSize,
  ready,
  sealedSize,
} from "../../crypto/index.ts";
import { partLayout } from "../../crypto/media-sizes.ts";
import { CHUNK_BYTES } from "../../crypto/secretstream.ts";
import { fileOf, openFile, openParts, PART_PLAIN, sealFile } from "./media-support.ts";
import { seededRandom, seedOf } from "./support.ts";

beforeAll(ready);

const seed = seedOf("media", 48);
const random = seededRandom(seed);
const sizes = fc.oneof(
  fc.nat(70_000),
  fc.nat(2 ** 31 - 1),
  fc.integer({ min: 0, max: 36 }).map((exponent) => Math.floor(2 ** exponent)),
  fc.maxSafeNat().filter(isMediaSize),
);

describe("sizes", () => {
  it("are padded to buckets of Padmé, at least 4 KiB, with at most 12 % added", () => {
    expect([0, 1, 4_088].map(paddedSize)).toEqual([4_096, 4_096, 4_096]);
    expect([4_089, 65_528, 65_529].map(paddedSize)).toEqual([4_352, 65_536, 67_584]);
    fc.assert(
      fc.property(sizes, (size) => {
        const padded = paddedSize(size);
        expect(padded).toBeGreaterThanOrEqual(8 + size);
        if (size >= 4_088) expect(padded).toBeLessThanOrEqual((8 + size) * 1.12);
        expect([paddedSize(padded - 8), paddedSize(padded - 7) > padded]).toEqual([padded, true]);
      }),
      { seed, numRuns: 1_000 },
    );
  });

  it("of blobs depend on the bucket alone: of all files up to 64 GiB there are fewer than a thousand lengths", () => {
    const lengths = new Set<number>();
    for (let size = 0; isMediaSize(size); size = paddedSize(size) - 7) {
      const [smallest, largest] = [sealedSize(size), sealedSize(paddedSize(size) - 8)];
      expect([size, largest]).toEqual([size, smallest]);
      lengths.add(smallest);
    }
    expect([...lengths].toSorted((a, b) => a - b)).toEqual([...lengths]);
    expect(lengths.size).toBeLessThan(1_000);
  });

  it("of parts and of what is in them add up, and only the last part is shorter", () => {
    const sensible = fc.nat(100_000_000);
    fc.assert(
      fc.property(sensible, (size) => {
        const sealed = sealedSize(size);
        const parts = Array.from({ length: mediaParts(sealed) }, (_, i) => ({
          ...partLayout(size, i),
          bytes: mediaPartBytes(sealed, i),
        }));
        const sum = (of: "data" | "plain" | "bytes"): number =>
          parts.reduce((all, part) => all + part[of], 0);
        expect([sum("data"), sum("plain"), sum("bytes")]).toEqual([size, paddedSize(size), sealed]);
        for (const { bytes, plain } of parts) expect(bytes).toBe(plain + 17 * Math.ceil(plain / CHUNK_BYTES));
        expect(parts.slice(0, -1).every(({ bytes }) => bytes === MEDIA_PART_BYTES)).toBe(true);
        expect(mediaPartBytes(sealed, parts.length)).toBe(0);
      }),
      { seed, numRuns: 300 },
    );
  });

  it("are refused beyond the largest blob, and where they are no sizes", () => {
    let largest = 0;
    for (let size = 0; isMediaSize(size); size = paddedSize(size) - 7) largest = paddedSize(size) - 8;
    expect(sealedSize(largest)).toBeLessThanOrEqual(MAX_MEDIA_BYTES);
    expect(sealedSize(largest + 1)).toBeGreaterThan(MAX_MEDIA_BYTES);
    const key = makeMediaKey(random);
    for (const size of [largest + 1, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect([size, isMediaSize(size)]).toEqual([size, false]);
      expect(() => new MediaSealer(key, size)).toThrow(RangeError);
      expect(() => new MediaOpener(key, { size, digest: new Uint8Array(32) })).toThrow(RangeError);
    }
    expect(new MediaSealer(key, largest).wants).toBe(PART_PLAIN - 8);
  });
});

describe("sealing and opening", () => {
  const border = [CHUNK_BYTES, 2 * CHUNK_BYTES, PART_PLAIN, 2 * PART_PLAIN].flatMap((at) => [
    at - 9,
    at - 8,
    at - 7,
    at,
    at + 1,
  ]);

  it.each([0, 1, 4_087, 4_088, 4_089, ...border])("gives back a file of %d bytes", async (size) => {
    const file = await sealFile(fileOf(size), random);
    expect(file.parts.reduce((sum, part) => sum + part.length, 0)).toBe(sealedSize(size));
    const opened = await openFile(file, file.parts);
    expect([opened.fault, opened.done, opened.data.equals(file.data)]).toEqual([undefined, true, true]);
  });

  it("gives back files of any size", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(300_000), async (size) => {
        const file = await sealFile(fileOf(size, size), random);
        const opened = await openFile(file, file.parts);
        expect([opened.done, opened.data.equals(file.data)]).toEqual([true, true]);
      }),
      { seed, numRuns: 30 },
    );
  });

  it("takes exactly what it wants, and nothing once it has ended", async () => {
    const [key, data] = [makeMediaKey(random), fileOf(1_000)];
    const sealer = new MediaSealer(key, data.length);
    for (const wrong of [0, 999, 1_001]) expect(() => sealer.seal(fileOf(wrong))).toThrow(RangeError);
    expect([sealer.done, sealer.wants]).toEqual([false, 1_000]);
    const sealed = sealer.seal(data);
    expect([sealer.done, sealer.wants]).toEqual([true, 0]);
    expect(sealed).toEqual(new MediaSealer(key, data.length).seal(data));
    expect(() => sealer.seal(data)).toThrow("ended");
    expect(() => sealer.seal(new Uint8Array(0))).toThrow("ended");
    expect((await sealer.position()).state).toEqual(new Uint8Array(52));
  });

  it("has parts that are padding alone, which take and give nothing", async () => {
    const [key, size] = [makeMediaKey(random), 128 * 1_048_576];
    const last = mediaParts(sealedSize(size)) - 1;
    const from = { part: last, state: random.bytes(52), digest: random.bytes(32) };
    const sealer = new MediaSealer(key, size, from);
    expect([sealer.wants, partLayout(size, last - 1).data]).toEqual([0, 8]);
    const part = sealer.seal(new Uint8Array(0));
    const { digest } = await sealer.position();
    expect([part.length, sealer.done]).toEqual([mediaPartBytes(sealedSize(size), last), true]);
    const opener = new MediaOpener(key, { size, digest }, from);
    expect([await opener.open(part), opener.done]).toEqual([new Uint8Array(0), true]);
  });

  it("does nothing after it was ended before its time, and tells no position of zeros", async () => {
    const file = await sealFile(fileOf(100), random);
    const [sealer, opener] = [new MediaSealer(file.key, 100), new MediaOpener(file.key, file.shape)];
    for (const each of [sealer, opener]) {
      each.end();
      await expect(each.position()).rejects.toThrow("ended");
      expect(each.done).toBe(false);
    }
    expect(() => sealer.seal(file.data)).toThrow("ended");
    await expect(opener.open(file.parts[0] as Uint8Array)).rejects.toThrow("ended");
  });
});

describe("going on from a position", () => {
  const open = async () => sealFile(fileOf(2 * PART_PLAIN + 5_000), random);

  it("seals the same bytes from every border of a part", async () => {
    const { key, data, parts, positions, shape } = await open();
    for (const [i, kept] of positions.entries()) {
      const sealer = new MediaSealer(key, data.length, decodeMediaPosition(encodeMediaPosition(kept)));
      for (let at = i === 0 ? 0 : i * PART_PLAIN - 8, n = i; !sealer.done; n++) {
        const next = data.subarray(at, at + sealer.wants);
        expect(Buffer.compare(sealer.seal(next), parts[n] as Uint8Array)).toBe(0);
        at += next.length;
      }
      expect(await sealer.position()).toEqual({ ...positions.at(-1), digest: shape.digest });
    }
  });

  it("opens to the same file from every border of a part, and checks the digest of all", async () => {
    const file = await open();
    const first = new MediaOpener(file.key, file.shape);
    const positions = [await first.position()];
    for (const part of file.parts) {
      await first.open(part);
      positions.push(await first.position());
    }
    for (const [i, kept] of positions.entries()) {
      expect(kept).toEqual(file.positions[i]);
      const from = decodeMediaPosition(encodeMediaPosition(kept));
      const opener = new MediaOpener(file.key, file.shape, from);
      const opened = await openParts(opener, file.parts.slice(i));
      const expected = file.data.subarray(i === 0 ? 0 : i * PART_PLAIN - 8);
      expect([opened.fault, opened.done, opened.data.equals(expected)]).toEqual([undefined, true, true]);
      if (i === 0) continue;
      const changed = new MediaOpener(file.key, file.shape, { ...from, digest: new Uint8Array(32) });
      const { done } = await openParts(changed, file.parts.slice(i));
      expect(done).toBe(false);
    }
  });

  it("keeps a position as it was, whatever is sealed after it", async () => {
    const { key, data } = await open();
    const sealer = new MediaSealer(key, data.length);
    const before = await sealer.position();
    const bytes = encodeMediaPosition(before);
    sealer.seal(data.subarray(0, sealer.wants));
    expect(encodeMediaPosition(before)).toEqual(bytes);
    expect(bytes.length).toBe(89);
  });

  it("refuses a position that the file does not have, and bytes that are none", async () => {
    const { key, shape, positions } = await open();
    const beyond = { ...(positions[0] as (typeof positions)[0]), part: 4 };
    expect(() => new MediaSealer(key, shape.size, beyond)).toThrow(RangeError);
    expect(() => new MediaOpener(key, shape, beyond)).toThrow(RangeError);
    const bytes = encodeMediaPosition(beyond);
    for (const wrong of [bytes.subarray(1), bytes.with(0, 2), Uint8Array.of(...bytes, 0)])
      expect(() => decodeMediaPosition(wrong)).toThrow(MalformedError);
  });
});
