// What a client that is closed leaves of the files that were on their way to it, over a real relay.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { saveMedia } from "@lethe/client";
import { MEDIA_PART_BYTES } from "@lethe/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { MediaWorld, randomData, same, sent } from "./support/media-world.ts";

let world: MediaWorld;
beforeAll(async () => {
  world = await MediaWorld.begin();
});
afterEach(() => world.closeAll());
afterAll(() => world[Symbol.asyncDispose]());

describe("a file, at the end of the client,", () => {
  it("is released when the client is closed right after it was saved; where the relay is away, at the next start", async () => {
    const [anna, ben] = await world.friends();
    const bytes = randomData(10_000);
    const first = await sent(anna, ben, bytes);
    await saveMedia(first.media, join(world.folder, "closed.bin"));
    await ben.client.close();
    expect(await ben.store.list("media-release")).toEqual([]);
    await world.isEmpty();
    const again = await world.device(ben.user, ben.store);
    const second = await sent(anna, again, bytes);
    const asked = Promise.withResolvers<void>();
    again.line.holding = {
      arrived: ({ path }) => {
        if (!path.endsWith("/release")) return "carry";
        asked.resolve();
        return "cut";
      },
    };
    await saveMedia(second.media, join(world.folder, "later.bin"));
    await asked.promise;
    await again.client.close();
    expect(await ben.store.list("media-release")).toHaveLength(1);
    const third = await world.device(ben.user, ben.store);
    await world.isEmpty();
    await third.owesNothing();
  });

  it("of which a few parts were saved goes on behind them", async () => {
    const [anna, ben] = await world.friends();
    const size = 10_000_000;
    const bytes = randomData(size);
    const { media } = await sent(anna, ben, bytes);
    const path = join(world.folder, "few.bin");
    const stopped = Promise.withResolvers<void>();
    const progress = (done: number) => void (done > 3 * MEDIA_PART_BYTES - 100_000 && stopped.resolve());
    ben.line.holding = { arrived: ({ path }) => (path.endsWith("/parts/3") ? "cut" : "carry") };
    const refused = expect(saveMedia(media, path, { progress })).rejects.toMatchObject({ code: "closed" });
    await stopped.promise;
    await ben.client.close();
    await refused;
    const again = await world.device(ben.user, ben.store);
    const from: number[] = [];
    await saveMedia(again.client.media.open(media.ref), path, { progress: (done) => void from.push(done) });
    expect(from[0]).toBeGreaterThan(3 * MEDIA_PART_BYTES - 100_000);
    const asked = again.line.carried.flatMap(({ path }) => /\/parts\/(\d+)$/.exec(path)?.[1] ?? []);
    expect(asked).toEqual(["3", "4"]);
    expect(same(await readFile(path), bytes)).toBe(true);
    await world.isEmpty();
  });
});
