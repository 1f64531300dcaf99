// What removes blobs, on a ledger and blobs in memory: what has ended, what nobody knows, and what a crash left half-way.
import { randomBytes } from "node:crypto";
import { fromBytes, type AccountId, type Time } from "@lethe/protocol";
import {
  BlobError,
  type Blobs,
  type CapabilityMark,
  type MediaId,
  type MediaLedger,
  openBlobs,
  openMemoryBackend,
} from "@lethe/queue";
import { describe, expect, it } from "vitest";
import { Collecting } from "../../relay/media/collecting.ts";

const HOUR_MS = 3_600_000;
const anId = (): MediaId => randomBytes(16).toString("latin1") as MediaId;

class World {
  now = 1_000;
  readonly ledger: MediaLedger = openMemoryBackend({
    now: () => this.now as Time,
    limits: { envelopes: 1, bytes: 1 },
  }).media;
  readonly blobs: Blobs;
  readonly failures: unknown[] = [];
  readonly removed = { collected: 0, orphan: 0 };
  readonly collecting: Collecting;

  private constructor(blobs: Blobs) {
    this.blobs = blobs;
    this.collecting = new Collecting({
      ledger: this.ledger,
      blobs,
      instant: () => this.now,
      removed: (why, count) => {
        this.removed[why] += count;
      },
      failed: (error) => this.failures.push(error),
    });
  }

  static async open(change: (blobs: Blobs) => Blobs = (blobs) => blobs): Promise<World> {
    return new World(change(await openBlobs({ kind: "memory" })));
  }

  /** A blob of one part, withdrawn if it is not to stay. */
  async blob({ ends }: { ends: boolean }): Promise<MediaId> {
    const media = anId();
    const uploadKey = randomBytes(16).toString("latin1") as CapabilityMark;
    const account = fromBytes<AccountId>(randomBytes(16));
    const [expires, unfinished] = [(this.now + 1e9) as Time, (this.now + 1e9) as Time];
    await this.ledger.begin(
      { media, account, bytes: 4, uploadKey, expires, unfinished },
      { bytes: 4, blobs: 1 },
    );
    await this.put(media);
    if (ends) await this.ledger.withdraw(media, uploadKey);
    return media;
  }

  async put(media: MediaId): Promise<void> {
    const bytes = (async function* () {
      yield Buffer.from("part");
    })();
    await this.blobs.put(media, 0, 4, bytes);
  }

  async there(): Promise<MediaId[]> {
    return Array.fromAsync(this.blobs.list());
  }
}

describe("a collection", () => {
  it("removes what has ended, however much it is, and forgets it", async () => {
    const world = await World.open();
    const stays = await world.blob({ ends: false });
    const ended: MediaId[] = [];
    for (let i = 0; i < 250; i++) ended.push(await world.blob({ ends: true }));
    expect(await world.collecting.run()).toBe(250);
    expect(await world.there()).toEqual([stays]);
    expect(await world.ledger.known(ended)).toEqual(ended.map(() => false));
    expect(await world.collecting.run()).toBe(0);
    expect(world.removed).toEqual({ collected: 250, orphan: 0 });
  });

  it("removes what no ledger knows, at the first run and then once an hour", async () => {
    const world = await World.open();
    await world.put(anId());
    expect(await world.collecting.run()).toBe(1);
    await world.put(anId());
    expect(await world.collecting.run()).toBe(0);
    world.now += HOUR_MS;
    expect(await world.collecting.run()).toBe(1);
    expect([await world.there(), world.removed]).toEqual([[], { collected: 0, orphan: 2 }]);
  });

  it("that fails half-way leaves its work to the next", async () => {
    let fails = true;
    const world = await World.open((blobs) => ({
      ...bound(blobs),
      remove: (media) => (fails ? Promise.reject(new Error("no disk")) : blobs.remove(media)),
    }));
    const media = await world.blob({ ends: true });
    world.collecting.soon();
    await world.collecting.settled();
    expect(world.failures).toHaveLength(1);
    expect(await world.ledger.known([media])).toEqual([true]);
    await expect(world.collecting.run()).rejects.toThrow(BlobError);
    fails = false;
    expect(await world.collecting.run()).toBe(1);
    expect(await world.ledger.known([media])).toEqual([false]);
  });

  it("that fails with a blob removes what no ledger knows all the same", async () => {
    let stuck: MediaId | undefined;
    const world = await World.open((blobs) => ({
      ...bound(blobs),
      remove: (media) => (media === stuck ? Promise.reject(new Error("not empty")) : blobs.remove(media)),
    }));
    stuck = await world.blob({ ends: true });
    await world.put(anId());
    await expect(world.collecting.run()).rejects.toThrow(BlobError);
    expect([await world.there(), world.removed]).toEqual([[stuck], { collected: 0, orphan: 1 }]);
  });

  it("that is asked for while one runs looks once more", async () => {
    const world = await World.open();
    await world.blob({ ends: true });
    world.collecting.soon();
    await world.blob({ ends: true });
    world.collecting.soon();
    await world.collecting.settled();
    expect(await world.there()).toEqual([]);
  });
});

function bound(blobs: Blobs): Blobs {
  return {
    put: (...args) => blobs.put(...args),
    get: (...args) => blobs.get(...args),
    parts: (media) => blobs.parts(media),
    remove: (media) => blobs.remove(media),
    list: () => blobs.list(),
    place: (...args) => blobs.place(...args),
    close: () => blobs.close(),
  };
}
