// A key set in a file that changes, in simulated time: what is looked at when, and how often at most.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errors, exportJWK, generateKeyPair, type JWTVerifyGetKey } from "jose";
import { describe, expect, it } from "vitest";
import { LOOK_EVERY_MS, openKeySet } from "../../relay/http/key-set.ts";
import { aFolder } from "../support/folder.ts";

const { publicKey } = await generateKeyPair("Ed25519");
const jwk = await exportJWK(publicKey);

interface World extends AsyncDisposable {
  readonly clock: { now: number };
  readonly file: string;
  publish(...kids: readonly string[]): Promise<void>;
  /** What becomes of a token under this key. */
  under(kid: string): Promise<"known" | "unknown" | "unreachable">;
}

async function aWorld(): Promise<World> {
  const folder = await aFolder();
  const file = join(folder.path, "keys.json");
  const clock = { now: 0 };
  const publish = (...kids: readonly string[]): Promise<void> =>
    writeFile(file, JSON.stringify({ keys: kids.map((kid) => ({ ...jwk, kid })) }));
  await publish("one");
  const keys: JWTVerifyGetKey = await openKeySet(file, () => clock.now);
  return {
    clock,
    file,
    publish,
    under: (kid) =>
      Promise.resolve(keys({ alg: "Ed25519", kid }, { payload: "", signature: "" })).then(
        () => "known" as const,
        (error: unknown) => (error instanceof errors.JWKSNoMatchingKey ? "unknown" : "unreachable"),
      ),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

describe("a key set in a file", () => {
  it("is looked at for a key that it did not have, at once and then after the time between two looks", async () => {
    await using world = await aWorld();
    await world.publish("one", "two");
    expect(await Promise.all(["two", "two", "one"].map((kid) => world.under(kid)))).toEqual([
      "known",
      "known",
      "known",
    ]);
    await world.publish("one", "two", "three");
    world.clock.now = LOOK_EVERY_MS - 1;
    expect(await world.under("three")).toBe("unknown");
    world.clock.now = LOOK_EVERY_MS;
    expect(await world.under("three")).toBe("known");
  });

  it("is looked at again after that time while tokens come: a key that was withdrawn ends", async () => {
    await using world = await aWorld();
    await world.publish("two");
    world.clock.now = LOOK_EVERY_MS - 1;
    expect(await world.under("one")).toBe("known");
    world.clock.now = LOOK_EVERY_MS;
    expect(await world.under("one")).toBe("unknown");
  });

  it.each<[string, (file: string) => Promise<void>]>([
    ["is gone", (file) => rm(file)],
    ["is half written", (file) => writeFile(file, '{"keys":[{"kty":')],
    ["is no key set", (file) => writeFile(file, '{"keys":1}')],
    ["is a megabyte too large", (file) => writeFile(file, " ".repeat(1_048_577))],
  ])("that %s vouches for nobody until it is mended", async (_what, spoil) => {
    await using world = await aWorld();
    await spoil(world.file);
    world.clock.now = LOOK_EVERY_MS;
    expect(await world.under("one")).toBe("unreachable");
    await world.publish("one");
    expect(await world.under("one")).toBe("unreachable");
    world.clock.now = 2 * LOOK_EVERY_MS;
    expect(await world.under("one")).toBe("known");
  });

  it("that cannot be read at the start is told there", async () => {
    await using folder = await aFolder();
    await expect(openKeySet(join(folder.path, "none.json"))).rejects.toThrow("ENOENT");
  });
});
