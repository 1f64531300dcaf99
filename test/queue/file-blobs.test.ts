// Blobs as files: where they lie, whose they are to read, and what a crash or a failure leaves.
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toHex } from "@lethe/protocol";
import { type Blobs, type MediaId, openBlobs, StoreOpenError } from "@lethe/queue";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { aMedia, chunked, faultOf, lengths, listed, put } from "../contracts/blobs-world.ts";
import { aFolder, type Folder } from "../support/folder.ts";

let folder: Folder;
let root: string;
let blobs: Blobs;
beforeEach(async () => {
  folder = await aFolder();
  root = join(folder.path, "data", "media");
  blobs = await openBlobs({ kind: "files", folder: root });
});
afterEach(async () => {
  await blobs.close();
  await folder[Symbol.asyncDispose]();
});

/** All that is below the folder of the blobs. */
const names = async (): Promise<string[]> => (await readdir(root, { recursive: true })).toSorted();
const folderOf = (media: MediaId): string => join(toHex(media).slice(0, 2), toHex(media));

describe("blobs as files", () => {
  it("lie in folders of their id's hexadecimal digits, a file for each part", async () => {
    const media = aMedia(0xab);
    await put(blobs, media, 0, randomBytes(10));
    await put(blobs, media, 12, randomBytes(10));
    const at = folderOf(media);
    expect(await names()).toEqual(["ab", at, join(at, "0"), join(at, "12")]);
  });

  it("are for their owner alone", async () => {
    const media = aMedia();
    await put(blobs, media, 0, randomBytes(10));
    const rights = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);
    expect(await rights(root)).toBe("700");
    for (const name of await names())
      expect(await rights(join(root, name))).toBe(name.endsWith("0") && name.length > 35 ? "600" : "700");
  });

  it("leave no folder when they are removed, nor when their first part is refused", async () => {
    const [media, near] = [aMedia(1), aMedia(1)];
    expect(await faultOf(blobs.put(media, 0, 100, chunked(randomBytes(99))))).toBe("cut-short");
    expect(await names()).toEqual([]);
    await put(blobs, media, 0, randomBytes(10));
    await put(blobs, near, 0, randomBytes(10));
    await blobs.remove(media);
    expect(await names()).toEqual(["01", folderOf(near), join(folderOf(near), "0")]);
    await blobs.remove(near);
    expect(await names()).toEqual([]);
  });

  it("are found and removed where a crash left only a piece of a part, or an empty folder", async () => {
    const [piece, empty] = [aMedia(), aMedia()];
    for (const media of [piece, empty]) await mkdir(join(root, folderOf(media)), { recursive: true });
    await writeFile(join(root, folderOf(piece), "3.0123456789abcdef.new"), randomBytes(100));
    expect(await listed(blobs)).toEqual([piece, empty].toSorted());
    expect(await lengths(blobs, piece)).toEqual([]);
    await put(blobs, piece, 3, randomBytes(10));
    expect(await lengths(blobs, piece)).toEqual([[3, 10]]);
    for (const media of [piece, empty]) await blobs.remove(media);
    expect(await names()).toEqual([]);
  });

  it("are put however often their folders are swept away meanwhile", async () => {
    const media = aMedia(7);
    let putting = true;
    const sweeping = Array.from({ length: 4 }, async () => {
      while (putting) await blobs.remove(media);
    });
    const puts = Array.from({ length: 4 }, async (_, part) => {
      for (let turn = 0; turn < 60; turn++) await put(blobs, media, part, randomBytes(10));
    });
    await Promise.all(puts).finally(() => {
      putting = false;
    });
    await Promise.all(sweeping);
    await blobs.remove(media);
    expect(await names()).toEqual([]);
  });

  it("are not taken for what else lies in the folder", async () => {
    const media = aMedia(0x10);
    await put(blobs, media, 0, randomBytes(10));
    await writeFile(join(root, "lost"), "");
    await mkdir(join(root, "10", "lost+found"));
    await mkdir(join(root, "10", toHex(aMedia(0x11))));
    await writeFile(join(root, folderOf(media), "01"), "");
    expect(await listed(blobs)).toEqual([media]);
    expect(await lengths(blobs, media)).toEqual([[0, 10]]);
  });

  it("come back from the file that was there, however often the part is put while it is read", async () => {
    const media = aMedia();
    const bytes = randomBytes(200_000);
    await put(blobs, media, 0, bytes);
    const reader = (await blobs.get(media, 0, 0, bytes.length))?.[Symbol.asyncIterator]();
    const had = [(await reader?.next())?.value as Uint8Array];
    await put(blobs, media, 0, randomBytes(200_000));
    for (let next = await reader?.next(); next?.done === false; next = await reader?.next())
      had.push(next.value);
    expect(Buffer.concat(had).equals(bytes)).toBe(true);
  });

  it("fail, and say so, where the folder is gone or cannot be used", async () => {
    const media = aMedia();
    await rm(root, { recursive: true });
    expect(await faultOf(put(blobs, media, 0, randomBytes(10)))).toBe("failed");
    expect(await blobs.get(media, 0, 0, 1)).toBeUndefined();
    await writeFile(root, "a file");
    expect(await faultOf(put(blobs, media, 0, randomBytes(10)))).toBe("failed");
    expect(await faultOf(blobs.remove(media))).toBe("failed");
    expect(await faultOf(blobs.parts(media))).toBe("failed");
    expect(await faultOf(listed(blobs))).toBe("failed");
    await expect(openBlobs({ kind: "files", folder: root })).rejects.toBeInstanceOf(StoreOpenError);
  });

  it("take back rights that somebody has given", async () => {
    await chmod(root, 0o755);
    const again = await openBlobs({ kind: "files", folder: root });
    expect((await stat(root)).mode & 0o777).toBe(0o700);
    await again.close();
  });
});
