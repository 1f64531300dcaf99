// What the tests of blobs need of a kind of blobs under test, and the small words in which they tell their stories.
import { randomBytes } from "node:crypto";
import { BlobError, type BlobFault, type Blobs, type MediaId } from "@lethe/queue";

export interface BlobsWorld extends AsyncDisposable {
  /** Others after `restart`. */
  readonly blobs: Blobs;
  /** Closes the blobs and opens them again over what they keep. */
  restart(): Promise<void>;
}

export interface BlobsUnderTest {
  readonly name: string;
  /** Whether anything is there after a restart. */
  readonly keeps: boolean;
  readonly open: () => Promise<BlobsWorld>;
}

/** @param first the byte that it begins with: blobs with the same one lie together. */
export function aMedia(first?: number): MediaId {
  const id = randomBytes(16);
  if (first !== undefined) id[0] = first;
  return id.toString("latin1") as MediaId;
}

/** The bytes in chunks, as a connection brings them. */
export async function* chunked(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function put(blobs: Blobs, media: MediaId, part: number, bytes: Uint8Array): Promise<void> {
  await blobs.put(media, part, bytes.length, chunked(bytes));
}

/** The bytes of a range; undefined where there is none. */
export async function got(
  blobs: Blobs,
  media: MediaId,
  part: number,
  from: number,
  to: number,
): Promise<Buffer | undefined> {
  const bytes = await blobs.get(media, part, from, to);
  return bytes === undefined ? undefined : all(bytes);
}

export async function all(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function listed(blobs: Blobs): Promise<MediaId[]> {
  const found: MediaId[] = [];
  for await (const media of blobs.list()) found.push(media);
  return found.toSorted();
}

export async function lengths(blobs: Blobs, media: MediaId): Promise<[number, number][]> {
  return [...(await blobs.parts(media))].toSorted(([a], [b]) => a - b);
}

/** The fault with which work fails. @throws where it does not fail, or by another error */
export async function faultOf(work: Promise<unknown>): Promise<BlobFault> {
  try {
    await work;
  } catch (error) {
    if (error instanceof BlobError) return error.fault;
    throw error;
  }
  throw new Error("nothing failed");
}

/** Every verb that asks the store something, over a blob whose part 0 is there. */
export function verbs(blobs: Blobs, media = aMedia()): Record<string, () => Promise<unknown>> {
  return {
    put: () => put(blobs, media, 0, randomBytes(1_000)),
    get: async () => all((await blobs.get(media, 0, 0, 10)) ?? chunked(new Uint8Array())),
    parts: () => blobs.parts(media),
    remove: () => blobs.remove(media),
    list: () => listed(blobs),
  };
}

/** With which fault each verb fails. */
export async function failing(blobs: Blobs): Promise<Record<string, string>> {
  const faults: Record<string, string> = {};
  for (const [verb, work] of Object.entries(verbs(blobs))) faults[verb] = await faultOf(work());
  return faults;
}

export const ALL_FAILED = { put: "failed", get: "failed", parts: "failed", remove: "failed", list: "failed" };
