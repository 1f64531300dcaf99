// Files against a second implementation of their specification, on other primitives: the same bytes, digests, tokens and marks.
import { toBytes } from "@lethe/protocol";
import { beforeAll, expect, it } from "vitest";
import { capabilityMark, paddedSize, ready, releaseToken } from "../../crypto/index.ts";
import { addressOf, fileOf, openFile, PART_PLAIN, sealFile, twinKey } from "./media-support.ts";
import { seededRandom, seedOf } from "./support.ts";
import { digestOf, markOf, padded, partsOf, sealChunks, tokenOf } from "./twin/media.ts";

beforeAll(ready);

const random = seededRandom(seedOf("media of the twin", 48));

it.each([0, 1, 4_088, 4_089, 65_528, 65_529, PART_PLAIN - 8, PART_PLAIN - 7, 2 * PART_PLAIN + 99])(
  "seals a file of %d bytes to the same blob, and opens the other's",
  async (size) => {
    const sealed = await sealFile(fileOf(size), random);
    const { key, data, parts, shape } = sealed;
    const twin = partsOf(sealChunks(twinKey(key), data));
    expect(twin.map((part) => part.length)).toEqual(parts.map((part) => part.length));
    for (const [i, part] of parts.entries()) expect(Buffer.compare(part, twin[i] as Uint8Array)).toBe(0);
    expect(digestOf(twin)).toEqual(shape.digest);
    const opened = await openFile(sealed, twin);
    expect([opened.fault, opened.done, opened.data.equals(data)]).toEqual([undefined, true, true]);
  },
);

it("pads to the same sizes", () => {
  for (let i = 0; i < 2_000; i++) {
    const size = Math.floor(2 ** (36 * (i / 2_000))) + random.below(3);
    expect([size, paddedSize(size)]).toEqual([size, padded(size)]);
  }
});

it("derives the same tokens and marks", async () => {
  for (let i = 0; i < 20; i++) {
    const { key } = await sealFile(new Uint8Array(0), random);
    const address = addressOf(random);
    const token = releaseToken(key, address);
    expect(token).toEqual(tokenOf(twinKey(key), toBytes(address)));
    expect(capabilityMark(token)).toEqual(markOf(token));
  }
});
