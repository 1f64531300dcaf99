// Blobs as nodes reach them: the real ones in memory behind calls that take time. Always true: the judge sees what is removed
// before it is, and what is put when it is there.
import { BlobError, type Blobs, type MediaId, StoreFailedError } from "@lethe/queue";
import { MemoryBlobs } from "../../../queue/memory/blobs.ts";
import type { Caller, Calls } from "./calls.ts";
import type { Judge } from "./judge.ts";
import type { MediaRule } from "./rules.ts";

export interface BlobPort {
  readonly calls: Calls;
  readonly judge: () => Judge;
  readonly off: MediaRule | undefined;
}

export class BlobLine {
  readonly here = new MemoryBlobs();
  readonly #port: BlobPort;
  /** The same bytes, to be looked at without waiting. */
  readonly #parts = new Map<MediaId, Map<number, Uint8Array>>();

  constructor(port: BlobPort) {
    this.#port = port;
  }

  kept(media: MediaId, part: number): Uint8Array | undefined {
    return this.#parts.get(media)?.get(part);
  }

  get blobs(): readonly MediaId[] {
    return [...this.#parts.keys()];
  }

  for(caller: Caller): Blobs {
    const { calls } = this.#port;
    const { here } = this;
    return {
      put: (media, part, length, bytes) => this.#put(caller, { media, part, length }, bytes),
      get: (media, part, from, to) => this.#blob(calls.make(caller, () => here.get(media, part, from, to))),
      parts: (media) => this.#blob(calls.make(caller, () => this.#partsOf(media))),
      remove: (media) => this.#blob(calls.make(caller, () => this.#remove(media))),
      list: () => this.#list(caller),
      place: () => here.place(),
      close: () => here.close(),
    };
  }

  /** What a call of the store fails with is a blob's own failure here. */
  async #blob<T>(made: Promise<T>): Promise<T> {
    try {
      return await made;
    } catch (error) {
      if (error instanceof StoreFailedError) throw new BlobError("failed");
      throw error;
    }
  }

  async #put(
    caller: Caller,
    { media, part, length }: { readonly media: MediaId; readonly part: number; readonly length: number },
    bytes: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of bytes) chunks.push(Uint8Array.from(chunk)); // a chunk's memory is given back
    const all = Buffer.concat(chunks);
    await this.#blob(
      this.#port.calls.make(caller, async () => {
        await this.here.put(media, part, length, once(all));
        const parts = this.#parts.get(media) ?? new Map<number, Uint8Array>();
        this.#parts.set(media, parts.set(part, all));
        this.#port.judge().changed(media);
      }),
    );
  }

  async #partsOf(media: MediaId): Promise<ReadonlyMap<number, number>> {
    const parts = await this.here.parts(media);
    if (this.#port.off !== "relay.allParts") return parts;
    const length = this.#port.judge().facts.get(media)?.upload.bytes ?? 0;
    return new Map([...parts, [0, Math.min(length, 2_097_696)]]);
  }

  async #remove(media: MediaId): Promise<void> {
    const judge = this.#port.judge();
    if (this.#parts.delete(media)) judge.removes(media);
    judge.removed(media);
    await this.here.remove(media);
    judge.changed(media);
  }

  async *#list(caller: Caller): AsyncGenerator<MediaId> {
    if (this.#port.off === "relay.sweepOrphans") return;
    yield* await this.#blob(
      this.#port.calls.make(caller, async () => {
        const all: MediaId[] = [];
        for await (const media of this.here.list()) all.push(media);
        return all;
      }),
    );
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
