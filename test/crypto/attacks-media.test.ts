// Attacks 48 and 49: blobs that are cut, put together anew, lengthened or swapped, and sealers that lie although they have the
// key; and what two uploads of one file have in common.
import { beforeAll, describe, expect, it } from "vitest";
import {
  capabilityMark,
  makeMediaKey,
  type MediaFault,
  MediaOpener,
  ready,
  releaseToken,
  Secret,
} from "../../crypto/index.ts";
import { SEALED_CHUNK_BYTES } from "../../crypto/secretstream.ts";
import {
  addressOf,
  chunksIn,
  fileOf,
  openFile,
  openParts,
  PART_CHUNKS,
  PART_PLAIN,
  type SealedFile,
  sealFile,
  twinKey,
} from "./media-support.ts";
import { seededRandom, seedOf } from "./support.ts";
import { type Cheat, chunksOf, digestOf, firstAd, partsOf, sealChunks, TAG } from "./twin/media.ts";

const random = seededRandom(seedOf("attacks on media", 48));
/** Three parts, the last of two chunks, the second of which is padding. */
let file: SealedFile;
let chunks: Uint8Array[];

beforeAll(async () => {
  await ready();
  file = await sealFile(fileOf(2 * PART_PLAIN + 1_000), random);
  chunks = chunksIn(file.parts);
});

/** Holds that a blob is refused with a code after whole parts of the true file, and that this is for good. */
async function refused(
  parts: readonly Uint8Array[],
  fault: MediaFault,
  of: SealedFile = file,
): Promise<void> {
  const opener = new MediaOpener(of.key, of.shape);
  const opened = await openParts(opener, parts);
  expect([opened.fault, opened.done]).toEqual([fault, false]);
  const whole = opened.data.length === 0 || (opened.data.length + 8) % PART_PLAIN === 0;
  expect([whole, opened.data.equals(of.data.subarray(0, opened.data.length))]).toEqual([true, true]);
  for (const part of of.parts) expect(await opener.open(part)).toBe(fault);
  await expect(opener.position()).rejects.toThrow(fault);
  expect(opener.done).toBe(false);
}

describe("attack 48: a blob that somebody in between has changed", () => {
  it("is refused when it is cut inside a part, at every border of a chunk and beside it", async () => {
    for (const [i] of chunks.entries()) {
      const [part, at] = [Math.floor(i / PART_CHUNKS), (i % PART_CHUNKS) * SEALED_CHUNK_BYTES];
      for (const cut of [at, at + 1, at + 1_000, at + SEALED_CHUNK_BYTES - 1]) {
        const bytes = file.parts[part] as Uint8Array;
        if (cut >= bytes.length) continue;
        const opener = new MediaOpener(file.key, file.shape, file.positions[part]);
        expect(await opener.open(bytes.subarray(0, cut))).toBe("media-truncated");
        expect(await opener.open(bytes)).toBe("media-truncated");
        expect(opener.done).toBe(false);
      }
    }
  });

  it("gives a true beginning when it ends at a part's border, and says that it is not all", async () => {
    for (const count of [0, 1, 2]) {
      const opened = await openFile(file, file.parts.slice(0, count));
      const expected = file.data.subarray(0, Math.max(0, count * PART_PLAIN - 8));
      expect([opened.fault, opened.done]).toEqual([undefined, false]);
      expect(opened.data.equals(expected)).toBe(true);
    }
    const all = await openFile(file, file.parts);
    expect([all.fault, all.done, all.data.equals(file.data)]).toEqual([undefined, true, true]);
  });

  it.each([
    [0, 1],
    [0, 31],
    [31, 32],
    [5, 40],
    [32, 63],
  ])("is refused when chunks %d and %d are swapped, or one stands for the other", async (a, b) => {
    const [one, other] = [chunks[a] as Uint8Array, chunks[b] as Uint8Array];
    await refused(partsOf(chunks.with(a, other).with(b, one)), "media-corrupt");
    await refused(partsOf(chunks.with(a, other)), "media-corrupt");
    await refused(partsOf(chunks.with(b, one)), "media-corrupt");
  });

  it("is refused when a chunk is left out, or comes twice and another is left out", async () => {
    for (const i of [0, 1, 31, 32, 63]) {
      const without = chunks.toSpliced(i, 1);
      await refused(partsOf(without), "media-corrupt");
      await refused(partsOf(without.toSpliced(i + 1, 0, chunks[i + 1] as Uint8Array)), "media-corrupt");
    }
  });

  it("is refused when its parts are swapped or come twice", async () => {
    const [first, second, last] = file.parts as [Uint8Array, Uint8Array, Uint8Array];
    await refused([second, first, last], "media-corrupt");
    await refused([first, first, last], "media-corrupt");
    await refused([first, last], "media-truncated");
    await refused([first, second, second], "media-too-long");
  });

  it("is refused for one flipped bit in any byte of it", async () => {
    const small = await sealFile(fileOf(1_000), random);
    const [part] = small.parts as [Uint8Array];
    for (let i = 0; i < part.length; i++) {
      const flipped = part.with(i, (part[i] as number) ^ (1 << (i % 8)));
      expect([i, await new MediaOpener(small.key, small.shape).open(flipped)]).toEqual([i, "media-corrupt"]);
    }
  });

  it("is refused for one flipped bit in any region of its first, middle and last chunks", async () => {
    for (const i of [0, 1, 31, 32, 63, 64, chunks.length - 1]) {
      const chunk = chunks[i] as Uint8Array;
      const part = Math.floor(i / PART_CHUNKS);
      for (const at of [0, 1, chunk.length >> 1, chunk.length - 17, chunk.length - 16, chunk.length - 1]) {
        const flipped = chunks.with(i, chunk.with(at, (chunk[at] as number) ^ 0x10));
        const opener = new MediaOpener(file.key, file.shape, file.positions[part]);
        expect(await opener.open(partsOf(flipped)[part] as Uint8Array)).toBe("media-corrupt");
      }
    }
  });

  it("is refused when anything follows it, or stands inside it", async () => {
    const [first, second, last] = file.parts as [Uint8Array, Uint8Array, Uint8Array];
    const longer = (part: Uint8Array): Uint8Array => new Uint8Array(Buffer.concat([part, Buffer.alloc(1)]));
    await refused([first, second, longer(last)], "media-too-long");
    await refused([longer(first), second, last], "media-too-long");
    for (const extra of [new Uint8Array(0), Uint8Array.of(0), chunks.at(-1) as Uint8Array]) {
      const opener = new MediaOpener(file.key, file.shape);
      expect((await openParts(opener, file.parts)).done).toBe(true);
      expect([await opener.open(extra), opener.done]).toEqual(["media-too-long", false]);
    }
  });
});

describe("attack 48: another blob", () => {
  it("is not opened under this one's key and id, nor this one under another's", async () => {
    const other = await sealFile(fileOf(file.data.length, 2), random);
    const { id, key } = file.key;
    await refused(other.parts, "media-corrupt");
    await refused(file.parts, "media-corrupt", other);
    for (const mixed of [
      { id: other.key.id, key },
      { id, key: other.key.key },
    ])
      expect((await openFile({ key: mixed, shape: file.shape }, file.parts)).fault).toBe("media-corrupt");
  });

  it("has nothing outside what is authenticated: its header is made of key and id, and it is chunks alone", async () => {
    const { key, data } = file;
    const elsewhere = await sealFile(data, random, { id: random.bytes(16), key: key.key });
    await refused(elsewhere.parts, "media-corrupt");
    expect(chunks.every((chunk) => chunk.length === SEALED_CHUNK_BYTES)).toBe(true);
  });

  it("of the same key and size is told by its digest, and its last bytes are not handed out", async () => {
    const rival = partsOf(sealChunks(twinKey(file.key), fileOf(file.data.length, 3)));
    const opener = new MediaOpener(file.key, file.shape);
    const opened = await openParts(opener, rival);
    expect([opened.fault, opened.done]).toEqual(["media-digest-differs", false]);
    expect(opened.data.length).toBe(2 * PART_PLAIN - 8);
    expect(await opener.open(file.parts[2] as Uint8Array)).toBe("media-digest-differs");
  });
});

describe("attack 48: a sealer that lies, although it has the key", () => {
  const key = makeMediaKey(seededRandom(481));
  const sizes = [100, PART_PLAIN, 2 * PART_PLAIN + 1_000] as const;

  /** What a cheat's blob gives: its digest is the one that it names. */
  async function lie(size: number, cheat: Cheat): Promise<string> {
    const parts = partsOf(sealChunks(twinKey(key), fileOf(size), cheat));
    const opened = await openFile({ key, shape: { size, digest: digestOf(parts) } }, parts);
    expect(opened.done).toBe(opened.fault === undefined);
    return opened.fault ?? "opened";
  }

  it("is believed where it does not", async () => {
    for (const size of sizes) expect(await lie(size, {})).toBe("opened");
  });

  it("is refused without a chunk that ends the blob", async () => {
    for (const size of sizes)
      for (const tag of [TAG.message, TAG.push, TAG.rekey])
        expect(await lie(size, { tag: (i, last) => (i === last ? tag : TAG.message) })).toBe(
          "media-truncated",
        );
  });

  it("is refused when a chunk before the last ends it", async () => {
    for (const early of [0, 1, 31, 32, 64])
      expect(await lie(sizes[2], { tag: (i, last) => (i === early || i === last ? TAG.final : 0) })).toBe(
        "media-too-long",
      );
  });

  it("is refused with tags that have no meaning here", async () => {
    for (const tag of [TAG.push, TAG.rekey, 4, 255])
      expect(await lie(sizes[2], { tag: (i, last) => (i === last ? TAG.final : i === 33 ? tag : 0) })).toBe(
        "media-corrupt",
      );
  });

  it("is refused when the length in front is not the one that was said", async () => {
    for (const size of sizes)
      for (const wrong of [0, size - 1, size + 1, size + 256, 2 ** 40]) {
        const [first, ...rest] = chunksOf(fileOf(size)) as [Uint8Array, ...Uint8Array[]];
        new DataView(first.buffer).setBigUint64(0, BigInt(wrong));
        expect(await lie(size, { chunks: [first, ...rest] })).toBe("media-size-differs");
      }
  });

  it("is refused with anything in the padding, at its beginning, inside and at its end", async () => {
    for (const size of sizes) {
      const honest = chunksOf(fileOf(size));
      const length = honest.reduce((sum, chunk) => sum + chunk.length, 0);
      for (const at of [8 + size, Math.floor((8 + size + length) / 2), length - 1]) {
        const changed = honest.map((chunk) => chunk.slice());
        (changed[Math.floor(at / 65_536)] as Uint8Array)[at % 65_536] = 1;
        expect([size, at, await lie(size, { chunks: changed })]).toEqual([size, at, "media-size-differs"]);
      }
    }
  });

  it("is refused when it says another size of the blob than it has sealed", async () => {
    const parts = partsOf(sealChunks(twinKey(key), fileOf(5_000)));
    const digest = digestOf(parts);
    const said = async (size: number): Promise<MediaFault | undefined> =>
      (await openFile({ key, shape: { size, digest } }, parts)).fault;
    expect(await said(4_999)).toBe("media-size-differs");
    expect(await said(2_000)).toBe("media-too-long");
    expect(await said(50_000)).toBe("media-truncated");
    expect(await lie(100, { ad: firstAd(key.id, 5_000) })).toBe("media-corrupt");
  });
});

describe("attack 49: a file that is passed on", () => {
  it("has nothing in common with what it was before but its length: no id, key, block, digest, token or mark", async () => {
    const data = fileOf(300_000);
    const [one, other] = [await sealFile(data, random), await sealFile(data, random)];
    const blocks = (parts: readonly Uint8Array[]): string[] => {
      const blob = Buffer.concat(parts).toString("latin1");
      return Array.from({ length: blob.length - 15 }, (_, i) => blob.slice(i, i + 16));
    };
    const seen = new Set(blocks(one.parts));
    expect(seen.size).toBeGreaterThan(300_000);
    expect(blocks(other.parts).filter((block) => seen.has(block))).toEqual([]);
    const address = addressOf(random);
    const named = ({ key, shape }: SealedFile): string[] => {
      const token = releaseToken(key, address);
      const all = [key.id, key.key.reveal(), shape.digest, token, capabilityMark(token)];
      return all.map((bytes) => Buffer.from(bytes).toString("hex"));
    };
    expect(new Set([...named(one), ...named(other)]).size).toBe(10);
    expect(one.parts.map((part) => part.length)).toEqual(other.parts.map((part) => part.length));
  });

  it("gives every device a token of its own, which neither another id nor another key derives", () => {
    const { id, key } = makeMediaKey(random);
    const [address, another] = [addressOf(random), addressOf(random)];
    const tokens = [
      releaseToken({ id, key }, address),
      releaseToken({ id, key }, another),
      releaseToken({ id: random.bytes(16), key }, address),
      releaseToken({ id, key: new Secret(random.bytes(32)) }, address),
    ].map((token) => Buffer.from(token).toString("hex"));
    expect(new Set(tokens).size).toBe(4);
    expect(Buffer.from(releaseToken({ id, key }, address)).toString("hex")).toBe(tokens[0]);
  });
});
