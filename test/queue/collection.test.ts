// The collection of media: what it removes, what it leaves, and what comes of it when it ends between any two of its steps,
// or when one of them fails.
import type { AccountId, Time } from "@lethe/protocol";
import {
  type Blobs,
  type CapabilityMark,
  collect,
  collectOrphans,
  type MediaId,
  type MediaLedger,
  openBlobs,
  openMemoryBackend,
} from "@lethe/queue";
import { describe, expect, it } from "vitest";
import { aMedia, put } from "../contracts/blobs-world.ts";
import { Clock, ROOMY } from "../contracts/world.ts";
import { aFolder } from "../support/folder.ts";

const HOUR = 3_600_000;
const ONE_BYTE = Uint8Array.of(7);
const UPLOAD_KEY = "k".repeat(16) as CapabilityMark;

/** A ledger and blobs as they are, but for steps at which something happens. */
class Store {
  readonly clock = new Clock();
  readonly ledger: MediaLedger;
  readonly #blobs: Blobs;
  /** Called before and after each step that changes something, with its blob. */
  around: (when: "before" | "after", step: "remove" | "forget", media: MediaId) => void | Promise<void> =
    () => undefined;

  private constructor(blobs: Blobs) {
    this.#blobs = blobs;
    this.ledger = openMemoryBackend({ now: this.clock.now, limits: ROOMY, timers: this.clock }).media;
  }

  static async open(folder?: string): Promise<Store> {
    return new Store(await openBlobs(folder === undefined ? { kind: "memory" } : { kind: "files", folder }));
  }

  async begin(): Promise<MediaId> {
    const media = aMedia();
    const [expires, unfinished] = [this.clock.now() + 24 * HOUR, this.clock.now() + HOUR] as [Time, Time];
    const upload = { media, account: aMedia() as string as AccountId, bytes: 1, uploadKey: UPLOAD_KEY };
    expect(await this.ledger.begin({ ...upload, expires, unfinished }, { bytes: 1, blobs: 1 })).toBe("begun");
    await this.put(media);
    return media;
  }

  begins(count: number): Promise<MediaId[]> {
    return Promise.all(Array.from({ length: count }, () => this.begin()));
  }

  put(media: MediaId): Promise<void> {
    return put(this.#blobs, media, 0, ONE_BYTE);
  }

  /** Bytes that no ledger knows. */
  async putOrphans(count: number): Promise<MediaId[]> {
    const orphans = Array.from({ length: count }, () => aMedia());
    await Promise.all(orphans.map((media) => this.put(media)));
    return orphans;
  }

  /** Blobs that have bytes. */
  async held(): Promise<Set<MediaId>> {
    const held = new Set<MediaId>();
    for await (const media of this.#blobs.list()) held.add(media);
    return held;
  }

  collect(): ReturnType<typeof collect> {
    const ended = (count: number) => this.ledger.ended(count);
    const forget = (media: readonly MediaId[]) =>
      this.#step("forget", media[0] as MediaId, () => this.ledger.forget(media));
    return collect({ ended, forget }, this.#stepped());
  }

  collectOrphans(): ReturnType<typeof collectOrphans> {
    return collectOrphans(this.ledger, this.#stepped());
  }

  #stepped(): Pick<Blobs, "list" | "remove"> {
    return {
      list: () => this.#blobs.list(),
      remove: (media) => this.#step("remove", media, () => this.#blobs.remove(media)),
    };
  }

  async #step(step: "remove" | "forget", media: MediaId, doIt: () => Promise<void>): Promise<void> {
    await this.around("before", step, media);
    await doIt();
    await this.around("after", step, media);
  }

  /** Every blob that has bytes is known, and no other is. */
  async isWhole(): Promise<boolean> {
    const held = await this.held();
    const known = await this.ledger.known([...held]);
    return known.every((each) => each) && (await this.ledger.totals()).blobs === held.size;
  }
}

describe("collecting", () => {
  it("removes what has ended, all of it, and leaves the rest", async () => {
    const store = await Store.open();
    const ended = await store.begins(100);
    store.clock.pass(HOUR);
    const stays = await store.begins(3);
    expect(await store.collect()).toEqual({ removed: 100, failed: 0 });
    expect(await store.held()).toEqual(new Set(stays));
    expect(await store.ledger.known(ended)).not.toContain(true);
    expect(await store.isWhole()).toBe(true);
    expect(await store.collect()).toEqual({ removed: 0, failed: 0 });
  });

  it("goes on where one fails, before it is removed or before it is forgotten, and tries it again", async () => {
    for (const failing of ["remove", "forget"]) {
      const store = await Store.open();
      const ended = await store.begins(100);
      const stubborn = new Set(ended.filter((_, i) => i % 3 === 0));
      store.clock.pass(HOUR);
      store.around = (when, step, media) => {
        if (when === "before" && step === failing && stubborn.has(media)) throw new Error("it fails");
      };
      expect(await store.collect()).toEqual({ removed: 66, failed: 34 });
      expect(await store.held()).toEqual(failing === "remove" ? stubborn : new Set());
      expect(await store.ledger.known([...stubborn])).not.toContain(false);
      store.around = () => undefined;
      expect(await store.collect()).toEqual({ removed: 34, failed: 0 });
      expect(await store.isWhole()).toBe(true);
    }
  });

  it("ends where everything fails, however much there is", async () => {
    const store = await Store.open();
    await store.begins(1_000);
    store.clock.pass(HOUR);
    let tried = 0;
    store.around = () => {
      tried++;
      throw new Error("it fails");
    };
    const { removed, failed } = await store.collect();
    expect([removed, failed]).toEqual([0, tried]);
    expect(tried).toBeLessThan(300);
  });

  it.each(["memory", "files"])(
    "that ends between any two of its steps is finished by the next, and no bytes are without an owner: %s",
    async (kind) => {
      let last = 0;
      for (let isOver = false; !isOver; last++) {
        await using folder = await aFolder();
        const store = await Store.open(kind === "files" ? folder.path : undefined);
        await store.begins(3);
        store.clock.pass(HOUR);
        const stays = await store.begin();
        let steps = 0;
        store.around = () => {
          if (steps++ >= last) throw new Error("the process is gone");
        };
        await store.collect();
        isOver = steps <= last;
        // Bytes that are gone may be known still; bytes that are there are always known.
        expect(await store.ledger.known([...(await store.held())])).not.toContain(false);
        store.around = () => undefined;
        await store.collect();
        expect(await store.held()).toEqual(new Set([stays]));
        expect(await store.isWhole()).toBe(true);
      }
      // Before and after each of two steps, of each of three blobs.
      expect(last - 1).toBe(3 * 2 * 2);
    },
  );
});

describe("collecting orphans", () => {
  it("removes what the ledger does not know, and nothing else, ended or not", async () => {
    const store = await Store.open();
    const ended = await store.begins(2);
    store.clock.pass(HOUR);
    const open = await store.begins(300);
    await store.putOrphans(700);
    expect(await store.collectOrphans()).toEqual({ removed: 700, failed: 0 });
    expect(await store.held()).toEqual(new Set([...ended, ...open]));
  });

  it("goes on where one fails, and tries it again; ends where everything fails", async () => {
    const store = await Store.open();
    const [stubborn] = await store.putOrphans(1_000);
    store.around = (_, __, media) => {
      if (media === stubborn) throw new Error("it fails");
    };
    expect(await store.collectOrphans()).toEqual({ removed: 999, failed: 1 });
    store.around = () => undefined;
    expect(await store.collectOrphans()).toEqual({ removed: 1, failed: 0 });
    await store.putOrphans(1_000);
    store.around = () => {
      throw new Error("it fails");
    };
    expect((await store.collectOrphans()).failed).toBeLessThan(300);
    expect((await store.held()).size).toBe(1_000);
  });

  it("takes a part that came while its blob was being removed", async () => {
    const store = await Store.open();
    const media = await store.begin();
    store.clock.pass(HOUR);
    store.around = (when, step) => (when === "after" && step === "remove" ? store.put(media) : undefined);
    expect(await store.collect()).toEqual({ removed: 1, failed: 0 });
    expect(await store.held()).toEqual(new Set([media]));
    store.around = () => undefined;
    expect(await store.collectOrphans()).toEqual({ removed: 1, failed: 0 });
    expect(await store.isWhole()).toBe(true);
  });
});
