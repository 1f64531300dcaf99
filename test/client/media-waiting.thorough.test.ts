// Files whose messages wait in the outbox, for the relay ended between the two: neither the client's end nor a withdrawal waits.
import { bytesSource } from "@lethe/client";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../support/waiting.ts";
import { type Device, MediaWorld, randomData, same } from "./support/media-world.ts";

let world: MediaWorld;
beforeAll(async () => {
  world = await MediaWorld.begin();
});
afterEach(() => world.closeAll());
afterAll(() => world[Symbol.asyncDispose]());

/** The relay ends when the blob is ready: its message waits in Anna's outbox. */
async function waiting(anna: Device, ben: Device, bytes: Uint8Array): Promise<{ refused: Promise<void> }> {
  const ended = Promise.withResolvers<void>();
  anna.line.holding = {
    answered: ({ path }) => {
      if (path.endsWith("/tokens")) void world.relay.stop("SIGKILL").then(ended.resolve);
      return "carry";
    },
  };
  const sending = anna.client.sendMedia(ben.user, bytesSource(bytes));
  const refused = expect(sending).rejects.toMatchObject({ code: "closed" });
  await ended.promise;
  await eventually(10_000, "the message in the outbox", async () =>
    (await anna.client.media.unfinished()).length === 0 ? true : undefined,
  );
  return { refused };
}

describe("a file", () => {
  it("is withdrawn while its message waits for the relay, once, however often that is asked for", async () => {
    const [anna, ben] = await world.friends();
    const { refused } = await waiting(anna, ben, randomData(10_000));
    const errors: Error[] = [];
    anna.client.on("error", ({ error }) => void errors.push(error));
    const [upload] = await anna.store.list("media-upload");
    const id = Buffer.from(upload?.key ?? "", "latin1").toString("hex");
    for (let time = 0; time < 3; time++) expect(await anna.client.media.withdraw(id)).toBe(true);
    await anna.client.close();
    await refused;
    expect(errors).toEqual([]);
    await world.relay.start();
    const arrived = ben.file();
    const again = await world.device(anna.user, anna.store);
    await world.isEmpty();
    await again.owesNothing();
    await expect((await arrived).media?.bytes(10_000)).rejects.toMatchObject({ code: "media-gone" });
  });

  it("whose message waits for the relay keeps no client from its end, and goes with the next", async () => {
    const [anna, ben] = await world.friends();
    const bytes = randomData(10_000);
    const { refused } = await waiting(anna, ben, bytes);
    await anna.client.close();
    await refused;
    await world.relay.start();
    const arrived = ben.file();
    const again = await world.device(anna.user, anna.store);
    expect(same(await (await arrived).media?.bytes(10_000), bytes)).toBe(true);
    await world.isEmpty();
    await again.owesNothing();
  });
});
