// The collection of media: what it removes, what it leaves, and what comes of it when it ends between any two of its steps,
// or when one of them fails.
import { randomBytes } from "node:crypto";
import type { AccountId, Time } from "@lethe/protocol";
import {
  type Blobs,
  collect,
  collectOrphans,
  type CapabilityMark,
  type MediaId,
  type MediaLedger,
  openMemoryBackend,
} from "@lethe/queue";
import { describe, expect, it } from "vitest";
import { Clock, ROOMY } from "../contracts/world.ts";

const HOUR = 3_600_000;
const anId = (): string => randomBytes(16).toString("latin1");

/** Which blobs have bytes: as much of `Blobs` as a collection asks for. */
class Shelf implements Pick<Blobs, "list" | "remove"> {
  readonly held = new Set<MediaId>();

  async remove(media: MediaId): Promise<void> {
    this.held.delete(media);
  }

  async *list(): AsyncGenerator<MediaId> {
    yield* [...this.held];
  }
}

/** A step of a collection: before it is done, or after. */
type Step = "before" | "after";

/** The ledger and the shelf as they are, but for steps at which something happens. */
class Store {
  readonly clock = new Clock();
  readonly ledger: MediaLedger;
  readonly shelf = new Shelf();
  /** Called around each step that changes something, with its blob. */
  at: (step: Step, media: MediaId) => void = () => undefined;

  constructor() {
    this.ledger = openMemoryBackend({ now: this.clock.now, limits: ROOMY, timers: this.clock }).media;
  }

  async begin(): Promise<MediaId> {
    const media = anId() as MediaId;
    const [expires, unfinished] = [24, 1].map((hours) => (this.clock.now() + hours * HOUR) as Time);
    const [account, uploadKey] = [anId() as AccountId, anId() as CapabilityMark];
    const upload = {
      media,
      account,
      bytes: 1,
      uploadKey,
      expires: expires as Time,
      unfinished: unfinished as Time,
    };
    expect(await this.ledger.begin(upload, { bytes: 1, blobs: 1 })).toBe("begun");
    this.shelf.held.add(media);
    return media;
  }

  begins(count: number): Promise<MediaId[]> {
    return Promise.all(Array.from({ length: count }, () => this.begin()));
  }

  collect(): ReturnType<typeof collect> {
    const forget = (media: readonly MediaId[]) => this.#step(media[0], () => this.ledger.forget(media));
    return collect({ ended: (count) => this.ledger.ended(count), forget }, this.#shelf());
  }

  collectOrphans(): ReturnType<typeof collectOrphans> {
    return collectOrphans(this.ledger, this.#shelf());
  }

  #shelf(): Pick<Blobs, "list" | "remove"> {
    return {
      list: () => this.shelf.list(),
      remove: (media) => this.#step(media, () => this.shelf.remove(media)),
    };
  }

  async #step(media: MediaId | undefined, doIt: () => Promise<void>): Promise<void> {
    if (media === undefined) throw new Error("a step is of a blob");
    this.at("before", media);
    await doIt();
    this.at("after", media);
  }

  /** Every blob on the shelf is known, and no other is. */
  async isWhole(): Promise<boolean> {
    const known = await this.ledger.known([...this.shelf.held]);
    return known.every((each) => each) && (await this.ledger.totals()).blobs === this.shelf.held.size;
  }
}

describe("collecting", () => {
  it("removes what has ended, all of it, and leaves the rest", async () => {
    const store = new Store();
    const ended = await store.begins(100);
    store.clock.pass(HOUR);
    const stays = await store.begins(3);
    expect(await store.collect()).toEqual({ removed: 100, failed: 0 });
    expect(store.shelf.held).toEqual(new Set(stays));
    expect(await store.ledger.known([...ended, ...stays])).toEqual([
      ...ended.map(() => false),
      true,
      true,
      true,
    ]);
    expect(await store.collect()).toEqual({ removed: 0, failed: 0 });
  });

  it("goes on where one fails, before it is removed or before it is forgotten, and tries it again", async () => {
    for (const failing of ["remove", "forget"]) {
      const store = new Store();
      const ended = await store.begins(100);
      const stubborn = new Set(ended.filter((_, i) => i % 3 === 0));
      store.clock.pass(HOUR);
      store.at = (step, media) => {
        const isIt = step === "before" && store.shelf.held.has(media) === (failing === "remove");
        if (isIt && stubborn.has(media)) throw new Error("it fails");
      };
      expect(await store.collect()).toEqual({ removed: 66, failed: 34 });
      expect(store.shelf.held).toEqual(failing === "remove" ? stubborn : new Set());
      expect(await store.ledger.known([...stubborn])).toEqual([...stubborn].map(() => true));
      store.at = () => undefined;
      expect(await store.collect()).toEqual({ removed: 34, failed: 0 });
      expect(await store.isWhole()).toBe(true);
    }
  });

  it("ends where everything fails, however much there is", async () => {
    const store = new Store();
    await store.begins(1_000);
    store.clock.pass(HOUR);
    let tried = 0;
    store.at = () => {
      tried++;
      throw new Error("it fails");
    };
    const { removed, failed } = await store.collect();
    expect([removed, failed]).toEqual([0, tried]);
    expect(tried).toBeLessThan(300);
  });

  it("that ends between any two of its steps is finished by the next, and no bytes are without an owner", async () => {
    for (let last = 0, isOver = false; !isOver; last++) {
      const store = new Store();
      await store.begins(3);
      store.clock.pass(HOUR);
      const stays = await store.begin();
      let steps = 0;
      store.at = () => {
        if (steps++ >= last) throw new Error("the process is gone");
      };
      await store.collect();
      isOver = steps <= last;
      // Bytes that are gone may be known still; bytes that are there are always known.
      expect(await store.ledger.known([...store.shelf.held])).not.toContain(false);
      store.at = () => undefined;
      await store.collect();
      expect(store.shelf.held).toEqual(new Set([stays]));
      expect(await store.isWhole()).toBe(true);
      if (isOver) expect(last).toBe(3 * 4);
    }
  });
});

describe("collecting orphans", () => {
  it("removes what the ledger does not know, and nothing else, ended or not", async () => {
    const store = new Store();
    const ended = await store.begins(2);
    store.clock.pass(HOUR);
    const open = await store.begins(300);
    for (let i = 0; i < 700; i++) store.shelf.held.add(anId() as MediaId);
    expect(await store.collectOrphans()).toEqual({ removed: 700, failed: 0 });
    expect(store.shelf.held).toEqual(new Set([...ended, ...open]));
  });

  it("goes on where one fails, and tries it again; ends where everything fails", async () => {
    const store = new Store();
    for (let i = 0; i < 1_000; i++) store.shelf.held.add(anId() as MediaId);
    const [stubborn] = store.shelf.held;
    store.at = (_, media) => {
      if (media === stubborn) throw new Error("it fails");
    };
    expect(await store.collectOrphans()).toEqual({ removed: 999, failed: 1 });
    store.at = () => undefined;
    expect(await store.collectOrphans()).toEqual({ removed: 1, failed: 0 });
    for (let i = 0; i < 1_000; i++) store.shelf.held.add(anId() as MediaId);
    store.at = () => {
      throw new Error("it fails");
    };
    expect((await store.collectOrphans()).failed).toBeLessThan(300);
    expect(store.shelf.held.size).toBe(1_000);
  });

  it("takes a part that came while its blob was being removed", async () => {
    const store = new Store();
    const media = await store.begin();
    store.clock.pass(HOUR);
    store.at = (step) => {
      if (step === "after") store.shelf.held.add(media);
    };
    expect(await store.collect()).toEqual({ removed: 1, failed: 0 });
    expect(store.shelf.held).toEqual(new Set([media]));
    store.at = () => undefined;
    expect(await store.collectOrphans()).toEqual({ removed: 1, failed: 0 });
    expect(await store.isWhole()).toBe(true);
  });
});
