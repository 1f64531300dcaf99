// Blobs as files in processes and on file systems of their own: killed in the middle of a part, on a disk that is really full,
// and in memory that does not grow with them.
import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { MEDIA_PART_BYTES, toHex } from "@lethe/protocol";
import { type MediaId, openBlobs } from "@lethe/queue";
import { describe, expect, it } from "vitest";
import { aMedia, all, chunked, faultOf, lengths, listed, put } from "../contracts/blobs-world.ts";
import { aFolder } from "../support/folder.ts";
import { heldBytes } from "../support/memory.ts";
import { aSmallDisk } from "../support/small-disk.ts";

/** What is read of a part at a time. */
const CHUNK_BYTES = 262_144;

/** Runs a process that puts parts, kills it after so many, and gives those that it told of. */
async function putAndKill(folder: string, media: MediaId, first: number, count: number): Promise<number[]> {
  const args = [folder, toHex(media), String(first)];
  const child = fork(new URL("./blobs-process.ts", import.meta.url), args);
  const told: number[] = [];
  child.on("message", (part: number) => {
    told.push(part);
    if (told.length === count) child.kill("SIGKILL");
  });
  await once(child, "exit");
  return told;
}

describe("blobs in a process that is killed", () => {
  it("has every part that was told of, and no part that is not whole", async () => {
    await using folder = await aFolder();
    const root = join(folder.path, "media");
    const media = aMedia();
    const told = new Set<number>();
    for (let life = 0; life < 6; life++)
      for (const part of await putAndKill(root, media, life * 100, 5 + life)) told.add(part);
    expect(told.size).toBeGreaterThanOrEqual(45);

    const blobs = await openBlobs({ kind: "files", folder: root });
    const there = await lengths(blobs, media);
    expect(there.filter(([, length]) => length !== 300_000)).toEqual([]);
    const parts = new Set(there.map(([part]) => part));
    expect([...told].filter((part) => !parts.has(part))).toEqual([]);
    for (const part of parts) {
      const bytes = await all((await blobs.get(media, part, 0, 300_000)) ?? chunked(new Uint8Array()));
      expect(bytes.equals(Buffer.alloc(300_000, part % 251))).toBe(true);
    }
    expect(await listed(blobs)).toEqual([media]);
    await blobs.remove(media);
    expect(await readdir(root)).toEqual([]);
    await blobs.close();
  });
});

const MEGABYTES = 8;
const small = await aSmallDisk(MEGABYTES);

describe("blobs on a disk that is full", () => {
  if (typeof small === "string") {
    it.skip(small, () => undefined);
    return;
  }

  it("says so, keeps what was there, leaves no piece, and takes parts again when there is room", async () => {
    await using disk = small;
    const root = join(disk.path, "media");
    const blobs = await openBlobs({ kind: "files", folder: root });
    const [media, other] = [aMedia(), aMedia()];
    for (let part = 0; part < 3; part++) await put(blobs, media, part, randomBytes(MEDIA_PART_BYTES));
    expect(await faultOf(put(blobs, media, 3, randomBytes(MEDIA_PART_BYTES)))).toBe("full");
    expect(await faultOf(put(blobs, other, 0, randomBytes(MEDIA_PART_BYTES)))).toBe("full");
    expect(await lengths(blobs, media)).toHaveLength(3);
    const files = (await readdir(root, { recursive: true, withFileTypes: true })).filter((f) => f.isFile());
    expect(files.map(({ name }) => name).toSorted()).toEqual(["0", "1", "2"]);
    expect(await listed(blobs)).toEqual([media]);
    await blobs.remove(media);
    await put(blobs, other, 0, randomBytes(MEDIA_PART_BYTES));
    expect(await lengths(blobs, other)).toEqual([[0, MEDIA_PART_BYTES]]);
    await blobs.close();
  });
});

describe("the memory of blobs in files", () => {
  it("Q5: of a part that nobody takes from the disk no more is read than one chunk", async () => {
    await using folder = await aFolder();
    const blobs = await openBlobs({ kind: "files", folder: folder.path });
    const media = aMedia();
    await put(blobs, media, 0, randomBytes(MEDIA_PART_BYTES));
    const before = heldBytes();
    const readers: AsyncIterator<Uint8Array>[] = [];
    for (let i = 0; i < 16; i++) {
      const reader = (await blobs.get(media, 0, 0, MEDIA_PART_BYTES))?.[Symbol.asyncIterator]();
      await reader?.next();
      if (reader !== undefined) readers.push(reader);
    }
    expect(heldBytes() - before).toBeLessThan(16 * 2 * CHUNK_BYTES);
    for (const reader of readers) await reader.return?.();
    await blobs.close();
  });
});
