// A process that dies before or after any write of its store and any request, while a file is sent, fetched or released: it comes
// over once, whole, and nothing of it is left anywhere.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { bytesSource, type Client, type ClientStore, saveMedia } from "@lethe/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../support/waiting.ts";
import type { HttpLine } from "./support/http-line.ts";
import { type Device, MediaWorld, randomData, same } from "./support/media-world.ts";

/** Two parts. */
const SIZE = 2_200_000;
const PATIENCE_MS = 30_000;

let world: MediaWorld;
beforeAll(async () => {
  world = await MediaWorld.begin();
});
afterAll(() => world[Symbol.asyncDispose]());

/** Counts edges from `begin` on, and dies at one of them: nothing is written, and nothing carried, any more. */
class Edges {
  readonly died = Promise.withResolvers<void>();
  count = 0;
  #at = Number.POSITIVE_INFINITY;
  #counting = false;
  #dead = false;

  begin(at: number): void {
    this.#at = at;
    this.#counting = true;
  }

  /** Whether it is dead by now. */
  pass(): boolean {
    if (this.#counting && ++this.count >= this.#at) {
      this.#dead = true;
      this.died.resolve();
    }
    return this.#dead;
  }

  store(store: ClientStore): ClientStore {
    return {
      ...store,
      commit: async (writes) => {
        if (this.pass()) throw new Error("dead");
        await store.commit(writes);
        if (this.pass()) throw new Error("dead");
      },
    };
  }

  hold(line: HttpLine): void {
    const edge = () => (this.pass() ? "cut" : "carry");
    line.holding = { arrived: edge, answered: edge };
    void this.died.promise.then(() => line.end());
  }
}

/** Somebody whose process dies at an edge. */
async function mortal(of: { user: string; store: ClientStore }): Promise<{ device: Device; edges: Edges }> {
  const edges = new Edges();
  const device = await world.device(of.user, edges.store(of.store));
  edges.hold(device.line);
  if (device.client.connection !== "online")
    await device.client.once("connection", ({ state }) => state === "online");
  return { device, edges };
}

async function owesNothing(device: Device): Promise<void> {
  await device.owesNothing();
  await eventually(PATIENCE_MS, "an empty outbox", () => (device.client.waiting === 0 ? true : undefined));
}

/** As an application does after a start. */
async function resumeAll(client: Client, bytes: Uint8Array): Promise<void> {
  for (const { id, state } of await client.media.unfinished())
    if (state === "waits") await client.media.resume(id, bytesSource(bytes));
}

async function twoFriends(): Promise<[Device, Device]> {
  const [anna, ben] = await world.friends();
  return [anna, ben];
}

describe("a crash at every edge", () => {
  it("of an upload: the file comes once, and nothing is left", async () => {
    const [first, ben] = await twoFriends();
    const heard: Uint8Array[] = [];
    ben.client.on("message", async ({ media }) => {
      if (media !== undefined) heard.push(await media.bytes(SIZE));
    });
    await first.client.close();
    const { user, store } = { user: first.user, store: first.store };
    /** Undefined: it did not die. */
    const live = async (edge: number): Promise<number | undefined> => {
      heard.length = 0;
      const bytes = randomData(SIZE);
      const { device, edges } = await mortal({ user, store });
      edges.begin(edge);
      const sending = device.client.sendMedia(ben.user, bytesSource(bytes)).then(
        () => owesNothing(device),
        () => undefined,
      );
      const ended = await Promise.race([sending.then(() => "lived"), edges.died.promise.then(() => "died")]);
      await device.client.close();
      const what = `edge ${edge}`;
      const again = await world.device(user, store);
      await resumeAll(again.client, bytes);
      await owesNothing(again);
      // Before its first row it had not begun: whoever was not told that it has sends it again.
      const isThere = () => (heard.length > 0 ? true : undefined);
      await eventually(1_000, what, isThere).catch(() =>
        again.client.sendMedia(ben.user, bytesSource(bytes)),
      );
      await eventually(PATIENCE_MS, what, isThere);
      await owesNothing(again);
      await world.isEmpty();
      expect(heard.length, what).toBe(1);
      expect(same(heard[0], bytes), what).toBe(true);
      await again.client.close();
      return ended === "died" ? undefined : edges.count;
    };
    const edges = (await live(Number.POSITIVE_INFINITY)) ?? 0;
    expect(edges).toBeGreaterThan(25);
    for (let edge = 1; edge <= edges; edge++) await live(edge);
  });

  it("of a download and its release: the file is there once, whole, and nothing is left", async () => {
    const [anna, first] = await twoFriends();
    await first.client.close();
    const { user, store } = { user: first.user, store: first.store };
    const path = (edge: number) => join(world.folder, `saved-${edge}.bin`);
    const listen = (device: Device, edge: number) =>
      new Promise<void>((done) => {
        device.client.on("message", async ({ media }) => {
          if (media !== undefined) await saveMedia(media, path(edge));
          done();
        });
      });
    const live = async (edge: number): Promise<number> => {
      const bytes = randomData(SIZE);
      await anna.client.sendMedia(user, bytesSource(bytes));
      const { device, edges } = await mortal({ user, store });
      edges.begin(edge);
      const saved = listen(device, edge).then(() => owesNothing(device));
      await Promise.race([saved, edges.died.promise]);
      await device.client.close();
      const what = `edge ${edge}`;
      const again = await world.device(user, store);
      const errors: unknown[] = [];
      again.client.on("error", ({ error }) => void errors.push(error));
      // What was settled does not come again: then it is there.
      await Promise.race([listen(again, edge), again.client.once("drained")]);
      await owesNothing(again);
      await world
        .isEmpty()
        .catch((late: unknown) => expect.fail(`${what}: ${String(late)}, ${errors.join()}`));
      expect(errors, what).toEqual([]);
      expect(same(await readFile(path(edge)), bytes), what).toBe(true);
      await again.client.close();
      await anna.owesNothing();
      return edges.count;
    };
    const edges = await live(Number.POSITIVE_INFINITY);
    expect(edges).toBeGreaterThan(10);
    for (let edge = 1; edge <= edges; edge++) await live(edge);
    expect((await readdir(world.folder)).filter((name) => name.endsWith(".part"))).toEqual([]);
  });
});
