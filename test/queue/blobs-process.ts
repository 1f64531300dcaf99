// A process that puts parts until it is killed, and tells which are there: see file-blobs.thorough.test.ts.
import { type MediaId, openBlobs } from "@lethe/queue";

const [folder, hex, first] = process.argv.slice(2);
const media = Buffer.from(hex ?? "", "hex").toString("latin1") as MediaId;
const blobs = await openBlobs({ kind: "files", folder: folder ?? "" });

async function* bytes(part: number, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < length; at += 65_536) yield Buffer.alloc(Math.min(65_536, length - at), part % 251);
}

/** Parts of its own, one after another: each is made of its number, so that a torn one shows. */
async function putForever(from: number): Promise<void> {
  for (let part = from; part < 30_000; part += 4) {
    await blobs.put(media, part, 300_000, bytes(part, 300_000));
    process.send?.(part);
  }
}

for (let i = 0; i < 4; i++) void putForever(Number(first) + i);
